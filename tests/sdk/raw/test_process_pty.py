"""Terminals at the level of the wire."""

import os

import pytest

from rpc import by_pid, connect, data, must, start
from test_gates import basic


def terminal(script, cols=80, rows=24, **members):
    size = {"cols": cols, "rows": rows}
    return {"process": {"cmd": "/bin/sh", "args": ["-c", script], **members}, "pty": {"size": size}}


def type_in(run, text):
    must("Process/SendInput", by_pid(run.pid, input={"pty": data(text)}))


@pytest.mark.parametrize("cols, rows, shown", [
    (80, 24, b"24 80"), (1, 1, b"1 1"), (70000, 65536 + 50, b"50 4464"), (0, 0, b"0 0")])
def test_size(cols, rows, shown):
    with start(terminal("stty size", cols, rows)) as run:
        run.finish()
    assert run.output["pty"] == shown + b"\r\n"


def test_missing_size_is_zero():
    message = terminal("stty size")
    message["pty"] = {}
    with start(message) as run:
        run.finish()
    assert run.output["pty"] == b"0 0\r\n"


def test_resize():
    with start(terminal("stty size; read a; stty size; read a; stty size")) as run:
        run.until(b"24 80\r\n", "pty")
        must("Process/Update", by_pid(run.pid, pty={"size": {"cols": 133, "rows": 65536 + 44}}))
        type_in(run, "\n")
        run.until(b"44 133\r\n", "pty")
        must("Process/Update", by_pid(run.pid, pty={}))
        type_in(run, "\n")
        run.until(b"0 0\r\n", "pty")
        run.finish()


def test_it_leads_a_session_on_its_terminal():
    with start(terminal("cut -d' ' -f5,6 /proc/$$/stat; tty; : </dev/tty && echo controls")) as run:
        run.finish()
    lines = run.output["pty"].decode().splitlines()
    assert lines[0].split() == [str(run.pid)] * 2
    assert lines[1].startswith("/dev/pts/") and lines[2] == "controls"


def test_all_three_descriptors_are_the_terminal():
    with start(terminal("for n in 0 1 2; do readlink /proc/self/fd/$n; done; echo err >&2")) as run:
        run.finish()
    lines = run.output["pty"].decode().splitlines()
    assert len(set(lines[:3])) == 1 and lines[3] == "err"
    assert run.output["stdout"] == run.output["stderr"] == b""


def test_stdin_member_is_ignored():
    with start({**terminal("read a; echo got $a"), "stdin": False}) as run:
        type_in(run, "word\n")
        run.until(b"got word\r\n", "pty")


def test_echo_is_on():
    with start(terminal("cat")) as run:
        type_in(run, "abc\n")
        run.until(b"abc\r\nabc\r\n", "pty")


def test_interrupt_character():
    with start(terminal("echo ready; exec sleep 300")) as run:
        run.until(b"ready\r\n", "pty")
        type_in(run, "\x03")
        end = run.finish()
    assert end["status"] in ("signal: interrupt", "exit status 130")


def test_end_of_file_character():
    with start(terminal("cat; echo over")) as run:
        type_in(run, "\x04")
        run.finish()
    assert run.output["pty"].endswith(b"over\r\n")


def test_bytes_pass_unchanged_in_raw_mode():
    every = bytes(range(256))
    with start(terminal("stty raw -echo; echo ready; exec cat")) as run:
        run.until(b"ready", "pty")
        type_in(run, every)
        run.until(every, "pty")


def test_large_output():
    with start(terminal("stty -opost; head -c 2000000 /dev/zero | tr '\\0' x")) as run:
        run.finish()
    assert run.output["pty"] == b"x" * 2_000_000


def test_large_input():
    with start(terminal("stty raw -echo; echo ready; head -c 200000 | wc -c")) as run:
        run.until(b"ready", "pty")
        type_in(run, b"x" * 200_000)
        run.finish()
    assert b"200000" in run.output["pty"]


def test_exit_code_and_late_connect():
    with start(terminal("exit 8")) as run:
        assert run.finish()["exitCode"] == 8
    with connect({"pid": run.pid}) as late:
        assert late.finish()["exitCode"] == 8


def test_two_readers():
    with start(terminal("stty -echo; read a; echo both; read a")) as run, connect({"pid": run.pid}) as other:
        type_in(run, "\n")
        run.until(b"both\r\n", "pty")
        other.until(b"both\r\n", "pty")


def test_user():
    with start(terminal("id -un", cwd="/"), basic("nobody")) as run:
        run.finish()
    assert run.output["pty"] == b"nobody\r\n"


@pytest.mark.ours
def test_terminal_belongs_to_its_user():
    with start(terminal("stat -c '%U %G %a' $(tty); : >$(tty) && echo opened", cwd="/"),
               basic("nobody")) as run:
        run.finish()
    assert run.output["pty"] == b"nobody tty 620\r\nopened\r\n"


def test_descriptors_are_given_back():
    agent = int(os.environ["ENVD_PID"])
    before = len(os.listdir(f"/proc/{agent}/fd"))
    for _ in range(30):
        with start(terminal("true")) as run:
            run.finish()
    assert len(os.listdir(f"/proc/{agent}/fd")) < before + 15
