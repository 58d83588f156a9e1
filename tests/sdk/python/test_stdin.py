"""Input of commands: send_stdin, close_stdin, stream_input."""

import hashlib
import os

import pytest
from e2b import NotFoundException, SandboxException


@pytest.mark.parametrize("data", ["hello", "two\nlines\n", "ünïcode ✓", b"bytes too"])
async def test_send_and_close(box, data):
    handle = await box.start("cat", stdin=True)
    await handle.send_stdin(data)
    await handle.close_stdin()
    expected = data if isinstance(data, str) else data.decode()
    assert (await handle.wait()).stdout == expected


async def test_send_by_pid_in_pieces(box):
    handle = await box.start("cat", stdin=True)
    for piece in ("one ", "", "two ", "three"):
        await box.commands.send_stdin(handle.pid, piece)
    await box.commands.close_stdin(handle.pid)
    assert (await handle.wait()).stdout == "one two three"


async def test_close_without_data(box):
    handle = await box.start("cat; echo closed", stdin=True)
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "closed\n"


async def test_close_twice(box):
    handle = await box.start("cat; exec sleep 300", stdin=True)
    await handle.close_stdin()
    await handle.close_stdin()
    assert await handle.kill() is True


async def test_answer_comes_before_the_end(box, text):
    handle = await box.start("while read line; do echo got $line; done",
                             stdin=True, on_stdout=text)
    await handle.send_stdin("a\n")
    await text.has("got a\n")
    await handle.send_stdin("b\n")
    await text.has("got b\n")
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "got a\ngot b\n"


async def test_large_input(box):
    data = os.urandom(3_000_000)
    handle = await box.start("sha256sum | cut -c1-64", stdin=True)
    for start in range(0, len(data), 1_000_000):
        await handle.send_stdin(data[start:start + 1_000_000])
    await handle.close_stdin()
    assert (await handle.wait()).stdout.strip() == hashlib.sha256(data).hexdigest()


async def test_stdin_that_was_not_asked_for(box):
    handle = await box.start("exec sleep 300")
    with pytest.raises(SandboxException, match="stdin not enabled or closed"):
        await handle.send_stdin("x")


async def test_stdin_after_close(box):
    handle = await box.start("cat; exec sleep 300", stdin=True)
    await handle.close_stdin()
    with pytest.raises(SandboxException, match="stdin not enabled or closed"):
        await handle.send_stdin("x")


async def test_stdin_of_unknown_pid(box):
    with pytest.raises(NotFoundException):
        await box.commands.send_stdin(999_999, "x")
    with pytest.raises(NotFoundException):
        await box.commands.close_stdin(999_999)


async def test_stream_input(box):
    handle = await box.start("cat", stdin=True)
    await box.stream_input(handle.pid, ["one ", b"two ", "trois ✓"])
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "one two trois ✓"


async def test_stream_input_leaves_stdin_open(box):
    handle = await box.start("cat", stdin=True)
    await box.stream_input(handle.pid, ["first "])
    await box.stream_input(handle.pid, ["second "])
    await handle.send_stdin("third")
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "first second third"


async def test_stream_input_to_unknown_pid(box):
    with pytest.raises(NotFoundException):
        await box.stream_input(999_999, ["x"])
