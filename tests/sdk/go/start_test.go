// Start, Connect and List.

package sdk

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
	"time"

	"connectrpc.com/connect"
)

func TestEventsOfAShortCommand(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"echo","args":["hi","ünï ✓"]},"stdin":false}`)
		run.wait(0, "exit status 0")
		if got := string(run.output["stdout"]); got != "hi ünï ✓\n" || run.pid == 0 {
			t.Fatalf("pid %d wrote %q", run.pid, got)
		}
	})
}

func TestExitCodes(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		p.start(t, sh("exit 3")).wait(3, "exit status 3")
		p.start(t, sh("exit 255")).wait(255, "exit status 255")
		p.start(t, sh("kill -KILL $$")).wait(-1, "signal: killed")
		p.start(t, sh("kill -USR1 $$")).wait(-1, "signal: user defined signal 1")
	})
}

func TestBothOutputs(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, sh("printf out; printf err >&2"))
		run.wait(0, "exit status 0")
		if string(run.output["stdout"]) != "out" || string(run.output["stderr"]) != "err" {
			t.Fatalf("output is %q", run.output)
		}
	})
}

func TestLargeBinaryOutput(t *testing.T) {
	const size = 16 << 20
	every := make([]byte, size)
	for i := range every {
		every[i] = byte(i)
	}
	file := t.TempDir() + "/bytes"
	if err := os.WriteFile(file, every, 0o600); err != nil {
		t.Fatal(err)
	}
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, fmt.Sprintf(`{"process":{"cmd":"cat","args":[%q]}}`, file))
		run.wait(0, "exit status 0")
		if sha256.Sum256(run.output["stdout"]) != sha256.Sum256(every) {
			t.Fatalf("%d bytes arrived and they differ", len(run.output["stdout"]))
		}
	})
}

func TestEnvironmentAndFolder(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"/bin/sh","args":["-c","echo $A-$B; pwd"],`+
			`"envs":{"A":"one","B":"ünï ✓"},"cwd":"/usr"}}`)
		run.wait(0, "exit status 0")
		if got := string(run.output["stdout"]); got != "one-ünï ✓\n/usr\n" {
			t.Fatalf("output is %q", got)
		}
	})
}

func TestStartErrors(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		stream := p.open(t.Context(), t, "Process/Start", `{"process":{"cmd":"true","cwd":"/no/such"}}`)
		if stream.Receive() {
			t.Fatalf("an event came: %v", stream.Msg())
		}
		refused(t, stream.Err(), connect.CodeInvalidArgument, "cwd '/no/such' does not exist")
	})
}

func TestUsers(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.as("nobody").start(t, `{"process":{"cmd":"id","args":["-un"],"cwd":"/"}}`)
		run.wait(0, "exit status 0")
		if got := string(run.output["stdout"]); got != "nobody\n" {
			t.Fatalf("ran as %q", got)
		}
		stream := p.as("no-such-user").open(t.Context(), t, "Process/Start", `{"process":{"cmd":"true"}}`)
		if stream.Receive() {
			t.Fatalf("an event came: %v", stream.Msg())
		}
		refused(t, stream.Err(), connect.CodeUnauthenticated, "invalid username: 'no-such-user'")
	})
}

func TestTagNamesAProcess(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		tag := "tag of " + p.name
		run := p.start(t, sh("read line; exit $line", fmt.Sprintf(`"tag":%q`, tag)))
		second := p.attach(t, fmt.Sprintf(`{"tag":%q}`, tag))
		if second.pid != run.pid {
			t.Fatalf("connected to %d, not %d", second.pid, run.pid)
		}
		p.must(t, "Process/SendInput", selector(run.pid, bytesField("stdin", "4\n")))
		second.wait(4, "exit status 4")
		run.wait(4, "exit status 4")
		p.attach(t, fmt.Sprintf(`{"tag":%q}`, tag)).wait(4, "exit status 4")
	})
}

func TestList(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		run := p.start(t, `{"process":{"cmd":"sleep","args":["300"],"envs":{"K":"v"},"cwd":"/usr"},"tag":""}`)
		answer := p.must(t, "Process/List", `{}`)
		list, _ := field(answer, "processes")
		if list.List().Len() != 1 {
			t.Fatalf("listed: %v", answer)
		}
		info := list.List().Get(0).Message()
		if pid, _ := field(info, "pid"); pid.Uint() != run.pid || text(info, "config.cmd") != "sleep" {
			t.Fatalf("listed: %v", answer)
		}
		if _, ok := field(info, "tag"); !ok || text(info, "config.cwd") != "/usr" {
			t.Fatalf("an empty tag and the folder are missing: %v", answer)
		}
		p.must(t, "Process/SendSignal", selector(run.pid, `"signal":9`))
		run.wait(-1, "signal: killed")
	})
}

func TestUnknownProcess(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		stream := p.open(t.Context(), t, "Process/Connect", `{"process":{"pid":999999}}`)
		if stream.Receive() {
			t.Fatalf("an event came: %v", stream.Msg())
		}
		refused(t, stream.Err(), connect.CodeNotFound, "process with pid 999999 not found")
	})
}

// A Connect deadline kills the process, a gRPC deadline only cuts the stream.
func TestDeadline(t *testing.T) {
	forEach(t, func(t *testing.T, p peer) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		run := p.startWithin(ctx, t, `{"process":{"cmd":"sleep","args":["300"]}}`)
		for run.next() {
		}
		if code := connect.CodeOf(run.stream.Err()); code != connect.CodeDeadlineExceeded {
			t.Fatalf("the stream ended with %v", run.stream.Err())
		}
		if p.name != "connect" && p.name != "connect-gzip" {
			if !running(t, run.pid) {
				t.Fatal("the process was killed")
			}
			return
		}
		for patience := time.Now().Add(30 * time.Second); running(t, run.pid); {
			if time.Now().After(patience) {
				t.Fatal("the process still runs")
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}
