"""What is announced, in which order: each test in both forms of watching."""

import os
import shutil

import pytest

from test_files_change import plant
from watching import short, squeezed


def write(path, text="x"):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def append(path):
    with open(path, "a", encoding="utf-8") as file:
        file.write("more")


def attributes(path):
    """Several changes back to back."""
    os.chmod(path, 0o600)
    os.chown(path, 1, 1)
    os.setxattr(path, "user.x", b"y")


# name, what is there before, what is done below the root, what is announced
SEQUENCES = [
    ("new file", [], lambda r: write(f"{r}/f"), ["CREATE f", "WRITE f"]),
    ("empty file", [], lambda r: os.close(os.open(f"{r}/f", os.O_CREAT | os.O_WRONLY)), ["CREATE f"]),
    ("truncate", ["f"], lambda r: os.truncate(f"{r}/f", 0), ["WRITE f"]),
    ("append", ["f"], lambda r: append(f"{r}/f"), ["WRITE f"]),
    ("rename", ["f"], lambda r: os.rename(f"{r}/f", f"{r}/g"), ["RENAME f", "CREATE g"]),
    ("rename over", ["f", "g"], lambda r: os.rename(f"{r}/f", f"{r}/g"), ["RENAME f", "CREATE g"]),
    ("rename of a directory", ["d/f"], lambda r: os.rename(f"{r}/d", f"{r}/e"), ["RENAME d", "CREATE e"]),
    ("unlink", ["f"], lambda r: os.unlink(f"{r}/f"), ["REMOVE f"]),
    ("hard link", ["f"], lambda r: os.link(f"{r}/f", f"{r}/g"), ["CREATE g"]),
    ("symlink", [], lambda r: os.symlink("/", f"{r}/l"), ["CREATE l"]),
    ("mkdir", [], lambda r: os.mkdir(f"{r}/d"), ["CREATE d"]),
    ("mkfifo", [], lambda r: os.mkfifo(f"{r}/p"), ["CREATE p"]),
    ("rmdir", ["d/"], lambda r: os.rmdir(f"{r}/d"), ["REMOVE d"]),
    ("attributes", ["f"], lambda r: attributes(f"{r}/f"), ["CHMOD f"]),
    ("times", ["f"], lambda r: os.utime(f"{r}/f"), ["CHMOD f"]),
    ("mode of a directory", ["d/"], lambda r: os.chmod(f"{r}/d", 0o700), ["CHMOD d"]),
    ("mode of the root", [], lambda r: os.chmod(r, 0o700), ["CHMOD ."]),
]


@pytest.mark.parametrize("recursive", [False, True], ids=["flat", "recursive"])
@pytest.mark.parametrize("before, change, expected", [row[1:] for row in SEQUENCES],
                         ids=[row[0] for row in SEQUENCES])
def test_sequence(scratch, watch, before, change, expected, recursive):
    plant(scratch, *before)
    seen = watch(scratch, recursive=recursive)
    change(scratch)
    assert squeezed(seen.since(scratch)) == expected


@pytest.mark.ours
def test_two_ends_of_a_move_have_one_cookie(scratch, watch):
    plant(scratch, "root/f", "root/d/x", "out/")
    seen = watch(f"{scratch}/root", recursive=True)
    for old, new in (("root/f", "root/g"), ("root/d", "root/e"), ("root/g", "out/g"), ("out/g", "root/h")):
        os.rename(f"{scratch}/{old}", f"{scratch}/{new}")
    events = seen.since(f"{scratch}/root")
    assert squeezed(events) == ["RENAME f", "CREATE g", "RENAME d", "CREATE e", "RENAME g", "CREATE h"]
    cookies = [event.get("cookie") for event in events]
    assert cookies[0] == cookies[1] and cookies[2] == cookies[3]
    assert len({*cookies[:5]}) == 3 and cookies[5] not in cookies[:5]


def test_move_out_and_in(scratch, watch):
    plant(scratch, "in/f", "in/d/x", "out/")
    seen = watch(f"{scratch}/in")
    os.rename(f"{scratch}/in/f", f"{scratch}/out/f")
    os.rename(f"{scratch}/in/d", f"{scratch}/out/d")
    os.rename(f"{scratch}/out/f", f"{scratch}/in/g")
    assert squeezed(seen.since(f"{scratch}/in")) == ["RENAME f", "RENAME d", "CREATE g"]


def test_write_behind_unlink(scratch, watch):
    plant(scratch, "f")
    seen = watch(scratch)
    with open(f"{scratch}/f", "a", encoding="utf-8") as file:
        os.unlink(f"{scratch}/f")
        file.write("nameless")
    assert squeezed(seen.since(scratch)) == ["REMOVE f", "WRITE f"]


def test_flat_sees_nothing_below(scratch, watch):
    plant(scratch, "d/f")
    seen = watch(scratch)
    append(f"{scratch}/d/f")
    write(f"{scratch}/d/g")
    os.mkdir(f"{scratch}/d/e")
    assert seen.since(scratch) == []


def test_recursive_sees_all_levels(scratch, watch):
    plant(scratch, "a/b/c/f")
    seen = watch(scratch, recursive=True)
    append(f"{scratch}/a/b/c/f")
    os.rename(f"{scratch}/a/b/c/f", f"{scratch}/a/g")
    os.chmod(f"{scratch}/a/b/c", 0o700)
    os.unlink(f"{scratch}/a/g")
    assert squeezed(seen.since(scratch)) == [
        "WRITE a/b/c/f", "RENAME a/b/c/f", "CREATE a/g", "CHMOD a/b/c", "REMOVE a/g"]


def test_new_directories_and_what_is_in_them(scratch, watch):
    seen = watch(scratch, recursive=True)
    plant(scratch, "a/b/c/f")
    created = ["CREATE a", "CREATE a/b", "CREATE a/b/c", "CREATE a/b/c/f"]
    got = squeezed(seen.since(scratch, *created))
    assert [text for text in got if text.startswith("CREATE")] == created
    append(f"{scratch}/a/b/c/f")
    assert squeezed(seen.since(scratch)) == ["WRITE a/b/c/f"]


@pytest.mark.ours
def test_new_files_with_content_are_written(scratch, watch):
    seen = watch(scratch, recursive=True)
    plant(scratch, *[f"{n}/deep/er/file" for n in range(40)])
    got = squeezed(seen.since(scratch, *[f"WRITE {n}/deep/er/file" for n in range(40)]))
    for n in range(40):
        assert got.count(f"CREATE {n}/deep/er/file") == 1
        assert got.count(f"WRITE {n}/deep/er/file") == 1


def test_directory_moved_in_is_announced_whole(scratch, watch):
    plant(scratch, "in/", "out/d/e/f", "out/d/g")
    seen = watch(f"{scratch}/in", recursive=True)
    os.rename(f"{scratch}/out/d", f"{scratch}/in/d")
    created = ["CREATE d", "CREATE d/e", "CREATE d/e/f", "CREATE d/g"]
    got = [text for text in squeezed(seen.since(f"{scratch}/in", *created, "WRITE d/e/f", "WRITE d/g"))
           if text.startswith("CREATE")]
    assert got[0] == "CREATE d" and sorted(got) == created
    assert got.index("CREATE d/e") < got.index("CREATE d/e/f")
    append(f"{scratch}/in/d/e/f")
    assert squeezed(seen.since(f"{scratch}/in")) == ["WRITE d/e/f"]


@pytest.mark.ours
def test_transient_directories_end_nothing(scratch, watch):
    seen = watch(scratch, recursive=True)
    for n in range(500):
        os.mkdir(f"{scratch}/{n}")
        os.rmdir(f"{scratch}/{n}")
    write(f"{scratch}/last")
    got = squeezed(seen.since(scratch))
    assert got[-2:] == ["CREATE last", "WRITE last"]
    assert got[:-2] == [text for n in range(500) for text in (f"CREATE {n}", f"REMOVE {n}")]


@pytest.mark.ours
def test_siblings_with_a_common_prefix(scratch, watch):
    plant(scratch, "foo/x", "foobar/x")
    seen = watch(scratch, recursive=True)
    os.rename(f"{scratch}/foo", f"{scratch}/baz")
    append(f"{scratch}/foobar/x")
    append(f"{scratch}/baz/x")
    assert squeezed(seen.since(scratch)) == [
        "RENAME foo", "CREATE baz", "WRITE foobar/x", "WRITE baz/x"]


@pytest.mark.ours
def test_old_name_taken_by_a_new_directory(scratch, watch):
    plant(scratch, "a/x")
    seen = watch(scratch, recursive=True)
    os.rename(f"{scratch}/a", f"{scratch}/b")
    os.mkdir(f"{scratch}/a")
    seen.until_has("CREATE a")
    write(f"{scratch}/a/new")
    append(f"{scratch}/b/x")
    got = squeezed(seen.since(scratch, "WRITE a/new", "WRITE b/x"))
    assert got[:3] == ["RENAME a", "CREATE b", "CREATE a"]
    assert sorted(got[3:]) == ["CREATE a/new", "WRITE a/new", "WRITE b/x"]


@pytest.mark.ours
def test_moved_out_falls_silent(scratch, watch):
    plant(scratch, "in/d/e/x", "out/")
    seen = watch(f"{scratch}/in", recursive=True)
    os.rename(f"{scratch}/in/d", f"{scratch}/out/d")
    seen.since(f"{scratch}/in")
    append(f"{scratch}/out/d/e/x")
    write(f"{scratch}/out/d/y")
    os.mkdir(f"{scratch}/in/d")
    assert squeezed(seen.since(f"{scratch}/in")) == ["CREATE d"]


@pytest.mark.ours
@pytest.mark.parametrize("slash", ["", "/"])
def test_recursive_on_a_link(scratch, watch, slash):
    plant(scratch, "dir/sub/f")
    os.symlink("dir", f"{scratch}/link")
    seen = watch(f"{scratch}/link{slash}", recursive=True)
    append(f"{scratch}/dir/sub/f")
    assert squeezed(seen.since(f"{scratch}/dir")) == ["WRITE sub/f"]


def test_links_below_are_not_entered(scratch, watch):
    plant(scratch, "in/", "out/f")
    os.symlink("../out", f"{scratch}/in/link")
    seen = watch(f"{scratch}/in", recursive=True)
    append(f"{scratch}/out/f")
    assert seen.since(f"{scratch}/in") == []


def test_names_are_relative_to_the_cleaned_path(scratch, watch):
    plant(scratch, "d/e/f")
    seen = watch(f"{scratch}//d/../d/.", recursive=True, includeEntry=True)
    append(f"{scratch}/d/e/f")
    event, = seen.since(f"{scratch}/d")
    assert short(event) == "WRITE e/f"
    assert event["entry"]["path"] == f"{scratch}/d/e/f"


def test_root_is_deleted(scratch, watch):
    plant(scratch, "root/a", "root/b")
    seen = watch(f"{scratch}/root")
    shutil.rmtree(f"{scratch}/root")
    seen.until_has("REMOVE .")
    got = squeezed(seen.events)
    assert sorted(got[:-1]) == ["REMOVE a", "REMOVE b"] and got[-1] == "REMOVE ."


def test_root_is_renamed(scratch, watch):
    plant(scratch, "root/")
    seen = watch(f"{scratch}/root")
    os.rename(f"{scratch}/root", f"{scratch}/other")
    seen.until_has("RENAME .")
    assert squeezed(seen.events) == ["RENAME ."]


def test_entries(scratch, watch):
    seen = watch(scratch, recursive=True, includeEntry=True)
    os.mkdir(f"{scratch}/d")
    write(f"{scratch}/d/f", "12345")
    seen.until_has("WRITE d/f")
    os.chmod(f"{scratch}/d/f", 0o640)
    events = seen.since(scratch)
    assert all("entry" in event for event in events)
    assert {short(event): event["entry"]["type"] for event in events} == {
        "CREATE d": "FILE_TYPE_DIRECTORY", "CREATE d/f": "FILE_TYPE_FILE",
        "WRITE d/f": "FILE_TYPE_FILE", "CHMOD d/f": "FILE_TYPE_FILE"}
    last = events[-1]["entry"]
    assert (last["name"], last["path"], last["size"]) == ("f", f"{scratch}/d/f", "5")
    assert (last["permissions"], last["owner"], last["group"]) == ("-rw-r-----", "root", "root")
    assert "modifiedTime" in last


def test_entry_of_the_root(scratch, watch):
    seen = watch(scratch, includeEntry=True)
    os.chmod(scratch, 0o711)
    event, = seen.since(scratch)
    assert short(event) == "CHMOD ."
    assert event["entry"]["type"] == "FILE_TYPE_DIRECTORY"
    assert event["entry"]["permissions"] == "drwx--x--x"


def test_no_entries_unless_asked_for(scratch, watch):
    seen = watch(scratch)
    write(f"{scratch}/f")
    assert all(set(event) == {"name", "type"} for event in seen.since(scratch))


def test_entry_only_of_what_is_there(scratch, watch):
    plant(scratch, "f", "g")
    seen = watch(scratch, includeEntry=True)
    os.unlink(f"{scratch}/f")
    write(f"{scratch}/f")
    os.rename(f"{scratch}/g", f"{scratch}/h")
    os.unlink(f"{scratch}/h")
    events = {short(event): event.get("entry") for event in seen.since(scratch)}
    assert events["CREATE f"]["name"] == events["WRITE f"]["name"] == "f"
    assert [events[gone] for gone in ("REMOVE f", "RENAME g", "REMOVE h")] == [None] * 3


@pytest.mark.ours
def test_many_entries_keep_their_order(scratch, watch):
    seen = watch(scratch, includeEntry=True)
    for n in range(3000):
        write(f"{scratch}/{n}", "x" * (n % 7 + 1))
    events = seen.since(scratch)
    created = [event for event in events if short(event).startswith("CREATE")]
    assert [event["name"] for event in created] == [str(n) for n in range(3000)]
    written = {event["name"]: event["entry"]["size"] for event in events
               if short(event).startswith("WRITE")}
    assert written == {str(n): str(n % 7 + 1) for n in range(3000)}


@pytest.mark.ours
def test_names_that_are_not_utf_8(scratch, watch):
    seen = watch(scratch, recursive=True, includeEntry=True)
    os.mkdir(scratch.encode() + b"/d\xff")
    with open(scratch.encode() + b"/d\xff/\xc3\xa9\xc3", "wb") as file:
        file.write(b"123")
    events = seen.since(scratch, "WRITE d\ufffd/é\ufffd")
    assert squeezed(events) == ["CREATE d\ufffd", "CREATE d\ufffd/é\ufffd", "WRITE d\ufffd/é\ufffd"]
    last = events[-1]["entry"]
    assert (last["name"], last["path"], last["size"]) == (
        "é\ufffd", f"{scratch}/d\ufffd/é\ufffd", "3")


@pytest.mark.ours
def test_ignored_names_and_paths(scratch, watch):
    plant(scratch, "node_modules/old/", "src/")
    seen = watch(scratch, recursive=True, ignore=["node_modules", "*.tmp", "src/gen/*"])
    plant(scratch, "node_modules/old/f", "node_modules/new/f", "a.tmp", "src/b.tmp", "src/gen/c",
          "src/d", "sub/node_modules/e")
    assert squeezed(seen.since(scratch)) == ["CREATE src/gen", "CREATE src/d", "WRITE src/d", "CREATE sub"]
    plant(scratch, "sub/kept")
    assert squeezed(seen.since(scratch, "WRITE sub/kept")) == ["CREATE sub/kept", "WRITE sub/kept"]


@pytest.mark.ours
def test_close_write(scratch, watch):
    seen = watch(scratch, closeWrite=True, includeEntry=True)
    write(f"{scratch}/f", "12345")
    events = seen.since(scratch)
    assert squeezed(events) == ["CREATE f", "WRITE f", "CLOSE_WRITE f"]
    assert events[-1]["entry"]["size"] == "5"


def test_two_watch_the_same(scratch, watch):
    plant(scratch, "d/")
    seen, other = watch(scratch, recursive=True), watch(f"{scratch}/d")
    write(f"{scratch}/d/f")
    assert squeezed(seen.since(scratch)) == ["CREATE d/f", "WRITE d/f"]
    assert squeezed(other.since(f"{scratch}/d")) == ["CREATE f", "WRITE f"]


def test_relative_to_the_home(home_folder, watch):
    seen = watch(home_folder)
    write(f"/root/{home_folder}/f")
    assert squeezed(seen.since(f"/root/{home_folder}")) == ["CREATE f", "WRITE f"]
