"""ListDir: depth, order, links, errors."""

import os
import random

import pytest

from rpc import must, refused

LIST = "Filesystem/ListDir"


def paths(path, **members):
    entries = must(LIST, {"path": path, **members}).get("entries", [])
    return [entry["path"] for entry in entries]


def plant(root, *names):
    for name in names:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not name.endswith("/"):
            with open(path, "w", encoding="utf-8"):
                pass


def below(root, *names):
    return [f"{root}/{name}" for name in names]


TREE = ("test-dir/sub-dir-1/file.txt", "test-dir/sub-dir-2/")


@pytest.mark.parametrize("depth, count", [(None, 1), (0, 1), (1, 1), (2, 3), (3, 4), (4294967295, 4)])
def test_depth(scratch, depth, count):
    plant(scratch, *TREE)
    everything = below(scratch, "test-dir", "test-dir/sub-dir-1", "test-dir/sub-dir-1/file.txt",
                       "test-dir/sub-dir-2")
    got = paths(scratch, **({} if depth is None else {"depth": depth}))
    assert len(got) == count
    assert got == [path for path in everything if path in got]


def test_order_is_bytewise_within_each_directory(scratch):
    names = ["a", "a.b", "a-b", "ab", "B", "é", "\u2028", "🎉", "\uffff", "~", " ", "1", "10", "2"]
    random.Random(1).shuffle(names)
    plant(scratch, *names, "a!/inside")
    assert paths(scratch) == below(scratch, *sorted([*names, "a!"], key=lambda name: name.encode()))


def test_walk_is_pre_order(scratch):
    plant(scratch, "a/x", "a.b", "a/b/c", "b")
    assert paths(scratch, depth=9) == below(scratch, "a", "a/b", "a/b/c", "a/x", "a.b", "b")


def test_empty_directory(scratch):
    assert must(LIST, {"path": scratch}) == {}


def test_requested_path_is_the_prefix(scratch):
    plant(scratch, "dir/file")
    os.symlink("dir", f"{scratch}/link")
    assert paths(f"{scratch}/link") == below(scratch, "link/file")
    assert paths(f"{scratch}/link/") == below(scratch, "link/file")
    assert paths(f"{scratch}//dir/.") == below(scratch, "dir/file")
    assert paths(f"{scratch}/dir/../dir") == below(scratch, "dir/file")


def test_links_are_listed_but_not_entered(scratch):
    plant(scratch, "dir/file")
    os.symlink("dir", f"{scratch}/link")
    os.symlink(".", f"{scratch}/self")
    os.symlink("nowhere", f"{scratch}/dangling")
    entries = must(LIST, {"path": scratch, "depth": 9})["entries"]
    assert [entry["name"] for entry in entries] == ["dangling", "dir", "file", "link", "self"]
    kinds = {entry["name"]: entry.get("type") for entry in entries}
    assert kinds == {"dangling": None, "dir": "FILE_TYPE_DIRECTORY", "file": "FILE_TYPE_FILE",
                     "link": "FILE_TYPE_DIRECTORY", "self": "FILE_TYPE_DIRECTORY"}
    assert entries[3]["symlinkTarget"] == f"{scratch}/dir"


def test_relative_and_home(home_folder):
    plant(f"/root/{home_folder}", "file")
    for given in (home_folder, f"~/{home_folder}", f"./{home_folder}/"):
        assert paths(given) == [f"/root/{home_folder}/file"]


def test_root_has_single_slashes():
    assert all(path.count("/") == 1 for path in paths("/"))


def test_many_entries(scratch):
    plant(scratch, *[f"{n:05}" for n in range(10_000)])
    assert paths(scratch) == below(scratch, *[f"{n:05}" for n in range(10_000)])


def test_deep_tree(scratch):
    names = ["/".join(["d"] * depth) for depth in range(1, 101)]
    plant(scratch, names[-1] + "/")
    assert paths(scratch, depth=200) == below(scratch, *names)


def test_missing(scratch):
    refused(LIST, {"path": f"{scratch}/missing"}, "not_found",
            f"path not found: lstat {scratch}/missing: no such file or directory")
    os.symlink("nowhere", f"{scratch}/dangling")
    refused(LIST, {"path": f"{scratch}/dangling"}, "not_found",
            f"path not found: lstat {scratch}/nowhere: no such file or directory")


def test_not_a_directory(scratch):
    plant(scratch, "file")
    os.symlink("file", f"{scratch}/link")
    for name in ("file", "link"):
        refused(LIST, {"path": f"{scratch}/{name}"}, "invalid_argument",
                f"path is not a directory: {scratch}/file")
    refused(LIST, {"path": f"{scratch}/file/x"}, "internal",
            "error resolving symlink: not a directory")


def test_cycles(scratch):
    os.symlink("self", f"{scratch}/self")
    os.symlink("b", f"{scratch}/a")
    os.symlink("a", f"{scratch}/b")
    for name in ("self", "a"):
        refused(LIST, {"path": f"{scratch}/{name}"}, "failed_precondition",
                f'cyclic symlink or chain >255 links at "{scratch}/{name}"')


def test_long_chain_of_links(scratch):
    plant(scratch, "0/file")
    for number in range(1, 101):
        os.symlink(str(number - 1), f"{scratch}/{number}")
    assert paths(f"{scratch}/100") == below(scratch, "100/file")


@pytest.mark.ours
def test_names_that_are_not_utf_8(scratch):
    with open(scratch.encode() + b"/bad\xff", "w", encoding="ascii"):
        pass
    plant(scratch, "good")
    names = [entry["name"] for entry in must(LIST, {"path": scratch})["entries"]]
    assert names == ["bad\ufffd", "good"]
