"""Terminals: create, input, resize, reconnect, kill."""

import pytest
from e2b import CommandExitException, NotFoundException, PtySize, SandboxException


async def type_line(box, handle, line):
    await box.terminal.send_stdin(handle.pid, line.encode() + b"\n")


async def test_echo_and_exit(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "echo wo''rd; exit 0")
    result = await handle.wait()
    assert result.exit_code == 0
    await raw.has(b"word\r\n")


async def test_exit_code(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "exit 6")
    with pytest.raises(CommandExitException) as caught:
        await handle.wait()
    assert caught.value.exit_code == 6


async def test_initial_size(box, raw):
    handle = await box.pty(raw, cols=93, rows=31)
    await type_line(box, handle, "stty size")
    await raw.has(b"31 93\r\n")


async def test_resize(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "stty size")
    await raw.has(b"24 80\r\n")
    await box.terminal.resize(handle.pid, PtySize(rows=55, cols=222))
    await type_line(box, handle, "stty size")
    await raw.has(b"55 222\r\n")


async def test_resize_is_signalled(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "trap 'echo win''ch' WINCH; echo rea''dy")
    await raw.has(b"ready\r\n")
    await box.terminal.resize(handle.pid, PtySize(rows=12, cols=34))
    await type_line(box, handle, "")
    await raw.has(b"winch\r\n")


async def test_environment(box, raw):
    handle = await box.pty(raw, envs={"MINE": "yes"})
    await type_line(box, handle, 'echo "[$TERM|$LANG|$LC_ALL|$MINE]"')
    await raw.has(b"[xterm-256color|C.UTF-8|C.UTF-8|yes]\r\n")


async def test_cwd_and_user(box, raw):
    handle = await box.pty(raw, cwd="/tmp", user="nobody")
    await type_line(box, handle, 'echo "[$(pwd)|$(id -un)]"')
    await raw.has(b"[/tmp|nobody]\r\n")


async def test_it_is_a_controlling_terminal(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "tty; echo al''so >/dev/tty")
    await raw.has(b"/dev/pts/")
    await raw.has(b"also\r\n")


async def test_interrupt_key(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "sh -c \"echo be''gin; exec sleep 300\"; echo $?")
    await raw.has(b"begin\r\n")
    await box.terminal.send_stdin(handle.pid, b"\x03")
    await type_line(box, handle, "echo aft''er")
    await raw.has(b"after\r\n")


async def test_end_of_file_key(box, raw):
    handle = await box.pty(raw)
    await type_line(box, handle, "PS1='pro''mpt> '")
    await raw.has(b"prompt> ")
    await box.terminal.send_stdin(handle.pid, b"\x04")
    assert (await handle.wait()).exit_code == 0


async def test_all_bytes_pass_through(box, raw, scratch):
    every = bytes(range(256))
    await box.files.write(f"{scratch}/bytes", every)
    handle = await box.pty(raw)
    await type_line(box, handle, f"stty -opost; cat {scratch}/bytes; exit 0")
    await handle.wait()
    await raw.has(every)


async def test_kill(box, raw):
    handle = await box.pty(raw)
    assert await box.terminal.kill(handle.pid) is True
    with pytest.raises(CommandExitException) as caught:
        await handle.wait()
    assert caught.value.exit_code == -1
    assert await box.terminal.kill(handle.pid) is False


async def test_kill_of_unknown_pid(box):
    assert await box.terminal.kill(999_999) is False


async def test_second_connection_sees_new_output(box, raw, more):
    handle = await box.pty(raw)
    await type_line(box, handle, "echo fi''rst")
    await raw.has(b"first\r\n")
    second = await box.pty_connect(handle.pid, more)
    assert second.pid == handle.pid
    await type_line(box, second, "echo sec''ond")
    await more.has(b"second\r\n")
    await raw.has(b"second\r\n")
    await type_line(box, second, "exit 0")
    assert (await second.wait()).exit_code == 0
    assert (await handle.wait()).exit_code == 0


async def test_listed_while_running(box, raw):
    handle = await box.pty(raw)
    mine = [p for p in await box.commands.list() if p.pid == handle.pid]
    assert [p.args for p in mine] == [["-i", "-l"]]


async def test_stdin_calls_are_refused(box, raw):
    handle = await box.pty(raw)
    with pytest.raises(SandboxException, match="tty assigned to process"):
        await box.commands.send_stdin(handle.pid, "x")
    with pytest.raises(SandboxException, match="cannot close stdin for PTY process"):
        await box.commands.close_stdin(handle.pid)


async def test_terminal_calls_on_a_plain_command(box):
    handle = await box.start("exec sleep 300")
    with pytest.raises(SandboxException, match="tty not assigned to process"):
        await box.terminal.send_stdin(handle.pid, b"x")
    with pytest.raises(SandboxException, match="tty not assigned to process"):
        await box.terminal.resize(handle.pid, PtySize(rows=1, cols=1))


async def test_unknown_pid(box):
    with pytest.raises(NotFoundException):
        await box.terminal.send_stdin(999_999, b"x")
    with pytest.raises(NotFoundException):
        await box.terminal.resize(999_999, PtySize(rows=1, cols=1))
