"""files.watch_dir: the polled handle of the synchronous SDK, the stream of the other."""

import asyncio

import pytest
from e2b import (FileNotFoundException, FilesystemEventType, InvalidArgumentException,
                 SandboxException, TimeoutException)
from e2b.sandbox.filesystem.filesystem import FileType

import disk
from conftest import PATIENCE
from disk import plant

CREATE, WRITE, REMOVE, RENAME, CHMOD = (
    FilesystemEventType[name] for name in ("CREATE", "WRITE", "REMOVE", "RENAME", "CHMOD"))


async def has(seen, *wanted):
    """Wait until these were announced, as pairs of type and name."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not set(wanted) <= {(event.type, event.name) for event in seen.events}:
                await seen.more()
    except TimeoutError:
        pytest.fail(f"no {wanted} in {seen.events}")


async def test_write_to_a_file(box, scratch):
    plant(scratch, "file")
    seen = await box.watch(scratch)
    await box.files.write(f"{scratch}/file", "new")
    await has(seen, (WRITE, "file"))
    assert {event.name for event in seen.events} == {"file"}
    assert all(event.entry is None for event in seen.events)
    await seen.stop()


async def test_every_type(box, scratch):
    seen = await box.watch(scratch)
    await box.files.write(f"{scratch}/file", "new")
    await has(seen, (CREATE, "file"), (WRITE, "file"))
    await box.commands.run(f"chmod 600 {scratch}/file")
    await box.files.rename(f"{scratch}/file", f"{scratch}/other")
    await box.files.remove(f"{scratch}/other")
    await has(seen, (CHMOD, "file"), (RENAME, "file"), (CREATE, "other"), (REMOVE, "other"))
    kinds = [(event.type, event.name) for event in seen.events]
    assert kinds.index((CREATE, "file")) < kinds.index((RENAME, "file")) < kinds.index((CREATE, "other"))
    await seen.stop()


async def test_recursive(box, scratch):
    plant(scratch, "nested/file")
    seen = await box.watch(scratch, recursive=True)
    await box.files.write(f"{scratch}/nested/file", "new")
    await has(seen, (WRITE, "nested/file"))
    await seen.stop()


async def test_recursive_after_nested_folder_addition(box, scratch):
    seen = await box.watch(scratch, recursive=True)
    await box.files.make_dir(f"{scratch}/nested")
    await has(seen, (CREATE, "nested"))
    await box.files.write(f"{scratch}/nested/file", "new")
    await has(seen, (CREATE, "nested/file"), (WRITE, "nested/file"))
    await seen.stop()


async def test_deep_tree_at_once(box, scratch):
    plant(scratch, "in/", *[f"out/{n}/deep/er/file" for n in range(50)])
    seen = await box.watch(f"{scratch}/in", recursive=True)
    disk.sh('cp -r "$1/out" "$1/in/copy"', scratch)
    await has(seen, *[(WRITE, f"copy/{n}/deep/er/file") for n in range(50)])
    await seen.stop()


async def test_not_recursive(box, scratch):
    plant(scratch, "nested/file")
    seen = await box.watch(scratch)
    await box.files.write(f"{scratch}/nested/file", "new")
    await box.files.write(f"{scratch}/last", "new")
    await has(seen, (WRITE, "last"))
    assert {event.name for event in seen.events} == {"last"}
    await seen.stop()


async def test_entry_info(box, scratch):
    plant(scratch, "file")
    seen = await box.watch(scratch, include_entry=True)
    await box.files.write(f"{scratch}/file", "12345")
    await has(seen, (WRITE, "file"))
    entry = seen.events[-1].entry
    assert (entry.name, entry.path, entry.type, entry.size) == ("file", f"{scratch}/file", FileType.FILE, 5)
    await box.files.remove(f"{scratch}/file")
    await has(seen, (REMOVE, "file"))
    assert seen.events[-1].entry is None
    await seen.stop()


async def test_in_home_and_as_a_user(box, home_folder):
    seen = await box.watch(home_folder)
    await box.files.write(f"{home_folder}/file", "new")
    await has(seen, (WRITE, "file"))
    await seen.stop()


async def test_name_that_is_not_utf_8(box, scratch):
    seen = await box.watch(scratch, include_entry=True)
    disk.sh(r""": >"$(printf '%s/a\377b' "$1")" """, scratch)
    await box.files.write(f"{scratch}/after", "new")
    await has(seen, (CREATE, "a\ufffdb"), (CREATE, "after"))
    await seen.stop()


async def test_errors(box, scratch):
    plant(scratch, "file")
    with pytest.raises(FileNotFoundException, match="not found: stat"):
        await box.watch(f"{scratch}/missing")
    with pytest.raises(InvalidArgumentException, match="not a directory"):
        await box.watch(f"{scratch}/file")


@pytest.mark.parametrize("box", ["sync"], indirect=True)
async def test_stopped_handle(box, scratch):
    seen = await box.watch(scratch)
    await seen.stop()
    with pytest.raises(SandboxException, match="already stopped"):
        await seen.poll()


@pytest.mark.parametrize("box", ["async"], indirect=True)
async def test_stopped_stream(box, scratch):
    seen = await box.watch(scratch)
    plant(scratch, "file")
    await has(seen, (CREATE, "file"))
    await seen.stop()
    async with asyncio.timeout(PATIENCE):
        await seen.ended.wait()
    assert seen.error is None


@pytest.mark.parametrize("box", ["async"], indirect=True)
async def test_timeout(box, scratch):
    seen = await box.watch(scratch, timeout=1)
    async with asyncio.timeout(PATIENCE):
        await seen.ended.wait()
    assert isinstance(seen.error, TimeoutException)
