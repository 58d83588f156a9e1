"""files.write and files.read: every kind of data, every format."""

import io
import os

import pytest
from e2b import (AuthenticationException, FileNotFoundException,
                 InvalidArgumentException)
from e2b.sandbox.filesystem.filesystem import FileType

import disk
from disk import content

TEXTS = ["", "plain", "ünïcödé ✓ 日本語 🎉", "a\r\nb\n\n", "nul \0 inside", "x" * 100_000]


@pytest.mark.parametrize("text", TEXTS)
async def test_text_round_trip(box, scratch, text):
    info = await box.files.write(f"{scratch}/file", text)
    assert (info.name, info.path, info.type) == ("file", f"{scratch}/file", FileType.FILE)
    assert content(f"{scratch}/file") == text.encode()
    assert await box.files.read(f"{scratch}/file") == text


@pytest.mark.parametrize("size", [0, 1, 4096, 5_000_000])
@pytest.mark.parametrize("octet_stream", [False, True])
async def test_bytes_round_trip(box, scratch, size, octet_stream):
    data = os.urandom(size)
    await box.files.write(f"{scratch}/file", data, use_octet_stream=octet_stream)
    assert content(f"{scratch}/file") == data
    assert await box.files.read(f"{scratch}/file", format="bytes") == bytearray(data)


async def test_read_as_stream(box, scratch):
    data = os.urandom(3_000_000)
    await box.files.write(f"{scratch}/file", data)
    chunks = await box.read_stream(f"{scratch}/file")
    assert len(chunks) > 1
    assert b"".join(chunks) == data


async def test_read_empty_file_as_stream(box, scratch):
    await box.files.write(f"{scratch}/file", b"")
    assert b"".join(await box.read_stream(f"{scratch}/file")) == b""


async def test_write_from_file_object(box, scratch):
    data = os.urandom(2_000_000)
    await box.files.write(f"{scratch}/file", io.BytesIO(data))
    assert content(f"{scratch}/file") == data


async def test_write_from_chunks(box, scratch):
    await box.files.write(f"{scratch}/file", box.chunks([b"one ", b"two ", b"three"]))
    assert content(f"{scratch}/file") == b"one two three"


async def test_compressed_both_ways(box, scratch):
    text = "compressible " * 20_000
    await box.files.write(f"{scratch}/file", text, gzip=True)
    assert content(f"{scratch}/file") == text.encode()
    assert await box.files.read(f"{scratch}/file", gzip=True) == text


async def test_overwrite_shrinks(box, scratch):
    await box.files.write(f"{scratch}/file", "a long first content")
    await box.files.write(f"{scratch}/file", "short")
    assert await box.files.read(f"{scratch}/file") == "short"


async def test_overwrite_keeps_the_mode(box, scratch):
    await box.files.write(f"{scratch}/file", "one")
    disk.chmod(f"{scratch}/file", 0o750)
    await box.files.write(f"{scratch}/file", "two")
    assert disk.stat(f"{scratch}/file")[0] == "750"


async def test_missing_parents_are_made(box, scratch):
    await box.files.write(f"{scratch}/a/b/c/file", "deep", user="nobody")
    assert content(f"{scratch}/a/b/c/file") == b"deep"
    for path in ("a", "a/b", "a/b/c", "a/b/c/file"):
        assert disk.stat(f"{scratch}/{path}")[1:] == ("nobody", "nogroup")


@pytest.mark.parametrize("octet_stream", [False, True])
async def test_many_files_at_once(box, scratch, octet_stream):
    entries = [{"path": f"{scratch}/many/{n}", "data": f"file {n}"} for n in range(20)]
    entries.append({"path": f"{scratch}/many/bytes", "data": b"\0\xff"})
    infos = await box.files.write_files(entries, use_octet_stream=octet_stream)
    assert [info.path for info in infos] == [entry["path"] for entry in entries]
    assert content(f"{scratch}/many/7") == b"file 7"
    assert content(f"{scratch}/many/bytes") == b"\0\xff"


async def test_no_files_at_all(box):
    assert await box.files.write_files([]) == []


@pytest.mark.parametrize("name", ["with blank", "ünï ✓", "q?uestion&mark=1", "per%20cent",
                                  "semi;colon", "plus+plus", "hash#tag", "quo'te\"s", "back\\slash"])
async def test_awkward_names(box, scratch, name):
    info = await box.files.write(f"{scratch}/{name}", "content")
    assert info.name == name
    assert content(f"{scratch}/{name}") == b"content"
    assert await box.files.read(f"{scratch}/{name}") == "content"


async def test_metadata(box, scratch):
    given = {"color": "blue", "note": "two words"}
    info = await box.files.write(f"{scratch}/file", "x", metadata=given)
    assert info.metadata == given
    assert (await box.files.get_info(f"{scratch}/file")).metadata == given
    info = await box.files.write(f"{scratch}/file", "y")
    assert info.metadata is None


async def test_relative_path_is_in_home(box, home_folder):
    info = await box.files.write(f"{home_folder}/relative", "one")
    assert info.path == f"/root/{home_folder}/relative"
    assert await box.files.read(f"~/{home_folder}/relative") == "one"


async def test_home_of_another_user(box):
    with pytest.raises(FileNotFoundException, match="/nonexistent/file"):
        await box.files.read("file", user="nobody")


@pytest.mark.parametrize("form", ["text", "bytes"])
async def test_read_missing_file(box, scratch, form):
    with pytest.raises(FileNotFoundException, match="does not exist"):
        await box.files.read(f"{scratch}/missing", format=form)


async def test_read_missing_file_as_stream(box, scratch):
    with pytest.raises(FileNotFoundException):
        await box.read_stream(f"{scratch}/missing")


async def test_read_a_directory(box, scratch):
    with pytest.raises(InvalidArgumentException, match="is a directory"):
        await box.files.read(scratch)


async def test_write_to_a_directory(box, scratch):
    with pytest.raises(InvalidArgumentException, match="path is a directory"):
        await box.files.write(scratch, "x")


async def test_unknown_user(box, scratch):
    with pytest.raises(AuthenticationException, match="no-such-user"):
        await box.files.write(f"{scratch}/file", "x", user="no-such-user")
    with pytest.raises(AuthenticationException, match="no-such-user"):
        await box.files.read(f"{scratch}/file", user="no-such-user")
