"""files: list, get_info, exists, make_dir, rename, remove."""

import datetime
import os

import pytest
from e2b import (AuthenticationException, FileNotFoundException,
                 InvalidArgumentException, SandboxException)
from e2b.sandbox.filesystem.filesystem import FileType

import disk
from disk import plant


def names(entries, root):
    return [os.path.relpath(entry.path, root) for entry in entries]


async def test_list_one_level(box, scratch):
    plant(scratch, "b", "a", "B", "dir/inside", "z/", ".hidden")
    entries = await box.files.list(scratch)
    assert names(entries, scratch) == [".hidden", "B", "a", "b", "dir", "z"]
    kinds = {entry.name: entry.type for entry in entries}
    assert (kinds["a"], kinds["dir"]) == (FileType.FILE, FileType.DIR)


@pytest.mark.parametrize("depth, expected", [
    (1, ["a", "b", "file"]),
    (2, ["a", "a/a2", "a/f1", "b", "file"]),
    (3, ["a", "a/a2", "a/a2/f2", "a/f1", "b", "file"]),
    (50, ["a", "a/a2", "a/a2/f2", "a/f1", "b", "file"]),
])
async def test_list_depth(box, scratch, depth, expected):
    plant(scratch, "file", "a/f1", "a/a2/f2", "b/")
    entries = await box.files.list(scratch, depth=depth)
    assert names(entries, scratch) == expected


async def test_list_sorts_bytewise(box, scratch):
    given = ["a.b", "a-b", "a", "ab", "Z", "é", "z", "_", "1", "10", "2"]
    plant(scratch, *given)
    expected = sorted(given, key=lambda name: name.encode())
    assert names(await box.files.list(scratch), scratch) == expected


async def test_list_empty_directory(box, scratch):
    assert await box.files.list(scratch) == []


async def test_list_many_entries(box, scratch):
    plant(scratch, *[f"{n:05}" for n in range(3000)])
    assert names(await box.files.list(scratch), scratch) == [f"{n:05}" for n in range(3000)]


async def test_list_by_link(box, scratch):
    plant(scratch, "dir/inside")
    disk.symlink("dir", f"{scratch}/link")
    assert names(await box.files.list(f"{scratch}/link"), scratch) == ["link/inside"]


async def test_list_does_not_enter_links(box, scratch):
    plant(scratch, "dir/inside")
    disk.symlink("..", f"{scratch}/dir/up")
    entries = await box.files.list(scratch, depth=10)
    assert names(entries, scratch) == ["dir", "dir/inside", "dir/up"]


async def test_list_relative_and_home(box, home_folder):
    await box.files.write(f"{home_folder}/file", "x")
    for path in (home_folder, f"~/{home_folder}"):
        assert [e.path for e in await box.files.list(path)] == [f"/root/{home_folder}/file"]


async def test_list_errors(box, scratch):
    plant(scratch, "file")
    with pytest.raises(FileNotFoundException, match="path not found"):
        await box.files.list(f"{scratch}/missing")
    with pytest.raises(InvalidArgumentException, match="is not a directory"):
        await box.files.list(f"{scratch}/file")


async def test_info_of_file(box, scratch):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    await box.files.write(f"{scratch}/file", "12345", user="nobody")
    disk.chmod(f"{scratch}/file", 0o640)
    info = await box.files.get_info(f"{scratch}/file")
    assert (info.name, info.path, info.type) == ("file", f"{scratch}/file", FileType.FILE)
    assert (info.size, info.mode, info.permissions) == (5, 0o640, "-rw-r-----")
    assert (info.owner, info.group) == ("nobody", "nogroup")
    assert info.symlink_target is None and info.metadata is None
    assert before < info.modified_time < before + datetime.timedelta(seconds=60)


async def test_info_of_directory(box, scratch):
    info = await box.files.get_info(scratch)
    assert (info.type, info.permissions) == (FileType.DIR, "drwxr-xr-x")
    assert (info.owner, info.group) == ("root", "root")


async def test_info_of_link(box, scratch):
    plant(scratch, "file")
    disk.symlink("file", f"{scratch}/link")
    info = await box.files.get_info(f"{scratch}/link")
    assert info.symlink_target == f"{scratch}/file"
    assert (info.type, info.permissions) == (FileType.FILE, "Lrwxrwxrwx")


async def test_info_of_missing_path(box, scratch):
    with pytest.raises(FileNotFoundException, match="file not found"):
        await box.files.get_info(f"{scratch}/missing")


async def test_exists(box, scratch):
    plant(scratch, "file")
    disk.symlink("nowhere", f"{scratch}/dangling")
    assert await box.files.exists(scratch) is True
    assert await box.files.exists(f"{scratch}/file") is True
    assert await box.files.exists(f"{scratch}/dangling") is True
    assert await box.files.exists(f"{scratch}/missing") is False


async def test_make_dir_twice(box, scratch):
    assert await box.files.make_dir(f"{scratch}/a/b/c") is True
    assert await box.files.make_dir(f"{scratch}/a/b/c") is False
    assert disk.names(f"{scratch}/a/b/c") == []


async def test_make_dir_as_user(box, scratch):
    await box.files.make_dir(f"{scratch}/a/b", user="nobody")
    for path in ("a", "a/b"):
        assert disk.stat(f"{scratch}/{path}")[:2] == ("755", "nobody")


async def test_make_dir_over_a_file(box, scratch):
    plant(scratch, "file")
    with pytest.raises(InvalidArgumentException, match="not a directory"):
        await box.files.make_dir(f"{scratch}/file")


async def test_rename_file(box, scratch):
    plant(scratch, "old")
    info = await box.files.rename(f"{scratch}/old", f"{scratch}/deep/new")
    assert (info.name, info.path) == ("new", f"{scratch}/deep/new")
    assert not disk.exists(f"{scratch}/old")
    assert await box.files.read(f"{scratch}/deep/new") == "old"


async def test_rename_replaces_a_file(box, scratch):
    plant(scratch, "one", "two")
    await box.files.rename(f"{scratch}/one", f"{scratch}/two")
    assert await box.files.read(f"{scratch}/two") == "one"


async def test_rename_directory(box, scratch):
    plant(scratch, "dir/sub/file")
    info = await box.files.rename(f"{scratch}/dir", f"{scratch}/moved")
    assert info.type == FileType.DIR
    assert await box.files.read(f"{scratch}/moved/sub/file") == "dir/sub/file"


async def test_rename_errors(box, scratch):
    plant(scratch, "file", "dir/")
    with pytest.raises(FileNotFoundException, match="source file not found"):
        await box.files.rename(f"{scratch}/missing", f"{scratch}/new")
    with pytest.raises(SandboxException, match="file exists"):
        await box.files.rename(f"{scratch}/file", f"{scratch}/dir")


async def test_remove(box, scratch):
    plant(scratch, "file", "dir/sub/file", "dir/other")
    await box.files.remove(f"{scratch}/file")
    await box.files.remove(f"{scratch}/dir")
    await box.files.remove(f"{scratch}/missing")
    assert disk.names(scratch) == []


async def test_remove_link_keeps_target(box, scratch):
    plant(scratch, "dir/file")
    disk.symlink("dir", f"{scratch}/link")
    await box.files.remove(f"{scratch}/link")
    assert disk.names(scratch) == ["dir"]
    assert disk.names(f"{scratch}/dir") == ["file"]


async def test_unknown_user(box, scratch):
    with pytest.raises(AuthenticationException, match="no-such-user"):
        await box.files.list(scratch, user="no-such-user")
    with pytest.raises(AuthenticationException, match="no-such-user"):
        await box.files.make_dir(f"{scratch}/dir", user="no-such-user")
    assert not disk.exists(f"{scratch}/dir")
