// The filesystem service in binary form.

package sdk

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"
)

func path(value string) string {
	return fmt.Sprintf(`{"path":%q}`, value)
}

func TestStat(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		file := filepath.Join(t.TempDir(), "ünï ✓")
		if err := os.WriteFile(file, []byte("12345"), 0o640); err != nil {
			t.Fatal(err)
		}
		before := time.Unix(-2, 500_000_000)
		if err := os.Chtimes(file, before, before); err != nil {
			t.Fatal(err)
		}
		answer := p.must(t, "Filesystem/Stat", path(file))
		size, _ := field(answer, "entry.size")
		mode, _ := field(answer, "entry.mode")
		kind, _ := field(answer, "entry.type")
		seconds, _ := field(answer, "entry.modified_time.seconds")
		nanos, _ := field(answer, "entry.modified_time.nanos")
		if size.Int() != 5 || mode.Uint() != 0o640 || kind.Enum() != 1 ||
			seconds.Int() != -2 || nanos.Int() != 500_000_000 {
			t.Fatalf("entry is %v", answer)
		}
		if text(answer, "entry.name") != "ünï ✓" || text(answer, "entry.path") != file ||
			text(answer, "entry.permissions") != "-rw-r-----" || text(answer, "entry.owner") != "root" {
			t.Fatalf("entry is %v", answer)
		}
		if _, ok := field(answer, "entry.symlink_target"); ok {
			t.Fatalf("a file has a link target: %v", answer)
		}
	})
}

func TestStatErrors(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		missing := filepath.Join(t.TempDir(), "ünï ✓")
		_, err := p.call(t, "Filesystem/Stat", path(missing))
		refused(t, err, connect.CodeNotFound,
			fmt.Sprintf("file not found: lstat %s: no such file or directory", missing))
	})
}

func TestListDirOfManyEntries(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		root := t.TempDir()
		for i := range 2000 {
			if err := os.WriteFile(fmt.Sprintf("%s/%04d", root, i), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		answer := p.must(t, "Filesystem/ListDir", path(root))
		entries, _ := field(answer, "entries")
		if entries.List().Len() != 2000 {
			t.Fatalf("%d entries", entries.List().Len())
		}
		for i := range 2000 {
			if got := text(entries.List().Get(i).Message(), "name"); got != fmt.Sprintf("%04d", i) {
				t.Fatalf("entry %d is %q", i, got)
			}
		}
	})
}

func TestMakeMoveRemove(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		root := t.TempDir()
		made := p.must(t, "Filesystem/MakeDir", path(root+"/a/b"))
		if kind, _ := field(made, "entry.type"); kind.Enum() != 2 {
			t.Fatalf("entry is %v", made)
		}
		_, err := p.call(t, "Filesystem/MakeDir", path(root+"/a/b"))
		refused(t, err, connect.CodeAlreadyExists, fmt.Sprintf("directory already exists: %s/a/b", root))
		moved := p.must(t, "Filesystem/Move",
			fmt.Sprintf(`{"source":"%[1]s/a/b","destination":"%[1]s/c"}`, root))
		if text(moved, "entry.path") != root+"/c" {
			t.Fatalf("entry is %v", moved)
		}
		p.must(t, "Filesystem/Remove", path(root+"/c"))
		p.must(t, "Filesystem/Remove", path(root+"/c"))
		if _, err := os.Stat(root + "/c"); !os.IsNotExist(err) {
			t.Fatalf("it is still there: %v", err)
		}
	})
}
