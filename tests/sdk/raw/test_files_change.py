"""MakeDir, Move and Remove: effects and every refusal."""

import os
import pwd

import pytest

from rpc import must, refused
from test_gates import basic

MAKE, MOVE, REMOVE = "Filesystem/MakeDir", "Filesystem/Move", "Filesystem/Remove"


def plant(root, *names):
    for name in names:
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not name.endswith("/"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(name)


def content(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def move(root, source, destination):
    return {"source": f"{root}/{source}", "destination": f"{root}/{destination}"}


def test_make(scratch):
    entry = must(MAKE, {"path": f"{scratch}/a/b"})["entry"]
    assert (entry["name"], entry["path"], entry["type"]) == ("b", f"{scratch}/a/b", "FILE_TYPE_DIRECTORY")
    assert (entry["owner"], entry["permissions"]) == ("root", "drwxr-xr-x")


def test_make_owns_only_what_it_made(scratch):
    plant(scratch, "old/")
    must(MAKE, {"path": f"{scratch}/old/new/newer"}, basic("nobody"))
    owner = pwd.getpwnam("nobody")
    for name, ids in (("old", (0, 0)), ("old/new", (owner.pw_uid, owner.pw_gid)),
                      ("old/new/newer", (owner.pw_uid, owner.pw_gid))):
        found = os.stat(f"{scratch}/{name}")
        assert (found.st_uid, found.st_gid) == ids


def test_make_through_a_link(scratch):
    plant(scratch, "dir/")
    os.symlink("dir", f"{scratch}/link")
    must(MAKE, {"path": f"{scratch}/link/new"})
    assert os.path.isdir(f"{scratch}/dir/new")


def test_make_errors(scratch):
    plant(scratch, "dir/", "file")
    os.symlink("dir", f"{scratch}/link")
    for name in ("dir", "link", "dir/"):
        refused(MAKE, {"path": f"{scratch}/{name}"}, "already_exists",
                f"directory already exists: {scratch}/{name}")
    refused(MAKE, {"path": f"{scratch}/file"}, "invalid_argument",
            f"path already exists but it is not a directory: {scratch}/file")
    refused(MAKE, {"path": f"{scratch}/file/new"}, "internal",
            f"error getting file info: stat {scratch}/file/new: not a directory")
    long = f"{scratch}/{'x' * 300}"
    refused(MAKE, {"path": long}, "internal",
            f"error getting file info: stat {long}: file name too long")


@pytest.mark.parametrize("source, destination", [("file", "new"), ("file", "deep/er/new"), ("file", "other"),
                                                 ("file", "file")])
def test_move_file(scratch, source, destination):
    plant(scratch, "file", "other")
    entry = must(MOVE, move(scratch, source, destination))["entry"]
    assert (entry["path"], entry["type"]) == (f"{scratch}/{destination}", "FILE_TYPE_FILE")
    assert content(f"{scratch}/{destination}") == "file"
    assert os.path.exists(f"{scratch}/file") == (source == destination)


def test_move_directory_with_its_content(scratch):
    plant(scratch, "dir/sub/file")
    must(MOVE, move(scratch, "dir", "moved"))
    assert content(f"{scratch}/moved/sub/file") == "dir/sub/file"
    assert os.listdir(scratch) == ["moved"]


def test_move_relative_paths(home_folder):
    plant(f"/root/{home_folder}", "file")
    entry = must(MOVE, {"source": f"{home_folder}/file", "destination": f"~/{home_folder}/new"})["entry"]
    assert entry["path"] == f"/root/{home_folder}/new"


def test_move_keeps_the_owner_and_makes_parents_for_the_user(scratch):
    plant(scratch, "file")
    must(MOVE, move(scratch, "file", "parent/file"), basic("nobody"))
    assert os.stat(f"{scratch}/parent").st_uid == pwd.getpwnam("nobody").pw_uid
    assert os.stat(f"{scratch}/parent/file").st_uid == 0


def test_move_link_itself(scratch):
    plant(scratch, "dir/file", "file")
    for target in ("dir", "file"):
        os.symlink(target, f"{scratch}/link")
        must(MOVE, move(scratch, "link", "moved"))
        assert os.readlink(f"{scratch}/moved") == target
        os.unlink(f"{scratch}/moved")
    assert sorted(os.listdir(scratch)) == ["dir", "file"]


def test_move_target_of_a_link(scratch):
    plant(scratch, "file")
    os.symlink("file", f"{scratch}/link")
    must(MOVE, move(scratch, "file", "moved"))
    assert os.path.islink(f"{scratch}/link") and not os.path.exists(f"{scratch}/link")


def failing_move(root, source, destination, code, prefix, cause):
    paths = f"{root}/{source} {root}/{destination}"
    refused(MOVE, move(root, source, destination), code, f"{prefix}: rename {paths}: {cause}")


def test_move_errors(scratch):
    plant(scratch, "file", "dir/inside", "empty/")
    failing_move(scratch, "missing", "new", "not_found", "source file not found",
                 "no such file or directory")
    failing_move(scratch, "missing", "empty", "not_found", "source file not found",
                 "no such file or directory")
    for destination in ("empty", "dir"):
        failing_move(scratch, "file", destination, "internal", "error renaming", "file exists")
    failing_move(scratch, "dir", "empty", "internal", "error renaming", "file exists")
    failing_move(scratch, "dir", "dir", "internal", "error renaming", "file exists")
    failing_move(scratch, "dir", "file", "internal", "error renaming", "not a directory")
    failing_move(scratch, "dir", "dir/sub", "internal", "error renaming", "invalid argument")
    refused(MOVE, move(scratch, "dir", "file/new"), "internal", f"path is a file: {scratch}/file")
    assert content(f"{scratch}/dir/inside") == "dir/inside" and content(f"{scratch}/file") == "file"


@pytest.mark.ours
def test_move_of_nothing_leaves_no_parents(scratch):
    refused(MOVE, move(scratch, "missing", "parent/new"), "not_found")
    assert os.listdir(scratch) == []


@pytest.mark.ours
@pytest.mark.parametrize("source, destination", [("", "new"), ("/", "new"), ("/.", "new"), ("//", "new"),
                                                 ("file", "")])
def test_move_of_roots_is_refused(scratch, source, destination):
    """The empty path is the home, which this user does not have."""
    plant(scratch, "file")
    message = {"source": f"{scratch}/file" if source == "file" else source,
               "destination": f"{scratch}/new" if destination else ""}
    refused(MOVE, message, "invalid_argument", headers=basic("nobody"))
    assert os.listdir(scratch) == ["file"]


@pytest.mark.ours
def test_remove_of_the_home_is_refused():
    refused(REMOVE, {"path": ""}, "invalid_argument", headers=basic("nobody"))


def test_remove(scratch):
    plant(scratch, "file", "dir/a/b/c", "dir/d")
    os.symlink("nowhere", f"{scratch}/dir/dangling")
    for name in ("file", "dir", "missing"):
        assert must(REMOVE, {"path": f"{scratch}/{name}"}) == {}
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_remove_link(scratch, slash):
    plant(scratch, "dir/file")
    os.symlink("dir", f"{scratch}/link")
    must(REMOVE, {"path": f"{scratch}/link{slash}"})
    assert os.listdir(scratch) == ["dir"] and os.listdir(f"{scratch}/dir") == ["file"]


def test_remove_of_a_large_tree(scratch):
    plant(scratch, *[f"tree/{n % 50}/{n}" for n in range(5000)])
    must(REMOVE, {"path": f"{scratch}/tree"})
    assert os.listdir(scratch) == []


def test_remove_below_a_link(scratch):
    plant(scratch, "dir/a", "dir/b")
    os.symlink("dir", f"{scratch}/link")
    must(REMOVE, {"path": f"{scratch}/link/a"})
    assert os.listdir(f"{scratch}/dir") == ["b"]


def test_remove_does_not_follow_links_inside(scratch):
    plant(scratch, "kept/file", "tree/x")
    os.symlink("../kept", f"{scratch}/tree/link")
    must(REMOVE, {"path": f"{scratch}/tree"})
    assert os.listdir(f"{scratch}/kept") == ["file"]


def test_remove_errors(scratch):
    plant(scratch, "file", "dir/")
    refused(REMOVE, {"path": f"{scratch}/dir/."}, "internal",
            f"error removing file or directory: RemoveAll {scratch}/dir/.: invalid argument")
    refused(REMOVE, {"path": f"{scratch}/file/x"}, "internal",
            f"error removing file or directory: unlinkat {scratch}/file/x: not a directory")
    assert sorted(os.listdir(scratch)) == ["dir", "file"]
