"""SendInput, StreamInput, CloseStdin, SendSignal: contents and refusals."""

import array
import fcntl
import json
import os
import termios
import threading

import pytest

from conftest import eventually
from rpc import (JSON, STREAM, by_pid, call, data, encode, envelope, must, outcome, refused, route,
                 shell, start)
from wire import Connection, exchange, request

CAT = {"process": {"cmd": "cat"}}
TERMINAL = {"process": {"cmd": "cat"}, "pty": {"size": {"cols": 80, "rows": 24}}}
STREAMED = "error streaming input: "


def stdin(pid, value):
    return by_pid(pid, input={"stdin": data(value)})


def send_stream(*events):
    body = b"".join(map(envelope, events))
    return outcome(exchange("POST", route("Process/StreamInput"), STREAM, body))


def test_bytes_pass_unchanged():
    every = bytes(range(256)) * 100
    with start(CAT) as cat:
        must("Process/SendInput", stdin(cat.pid, every))
        cat.until(every)


def test_empty_input_succeeds():
    with start(CAT) as cat:
        for value in ({"stdin": ""}, {"stdin": data("x")}):
            assert must("Process/SendInput", by_pid(cat.pid, input=value)) == {}
        cat.until(b"x")


def test_close_is_repeatable_and_keeps_earlier_data():
    with start(shell("sleep 0.3; cat; exec sleep 300")) as cat:
        must("Process/SendInput", stdin(cat.pid, b"x" * 60_000))
        for _ in range(3):
            assert must("Process/CloseStdin", by_pid(cat.pid)) == {}
        cat.until(b"x" * 60_000)


def test_close_where_stdin_is_off():
    with start({"process": {"cmd": "sleep", "args": ["300"]}, "stdin": False}) as done:
        assert must("Process/CloseStdin", by_pid(done.pid)) == {}


@pytest.mark.parametrize("value", [None, {}])
def test_no_input(value):
    with start(CAT) as cat:
        message = by_pid(cat.pid) if value is None else by_pid(cat.pid, input=value)
        refused("Process/SendInput", message, "unimplemented", "invalid input type <nil>")


def test_wrong_kind_of_input():
    with start(CAT) as cat:
        refused("Process/SendInput", by_pid(cat.pid, input={"pty": ""}), "internal",
                "error writing to tty: tty not assigned to process — input should be written to the "
                "stdin, not the tty")
        refused("Process/Update", by_pid(cat.pid, pty={}), "internal",
                "error resizing tty: tty not assigned to process")
        assert must("Process/Update", by_pid(cat.pid)) == {}


def test_wrong_kind_of_input_for_a_terminal():
    with start(TERMINAL) as cat:
        refused("Process/SendInput", by_pid(cat.pid, input={"stdin": ""}), "internal",
                "error writing to stdin: tty assigned to process — input should be written to the "
                "pty, not the stdin")
        refused("Process/CloseStdin", by_pid(cat.pid), "unknown",
                "error closing stdin: cannot close stdin for PTY process — send Ctrl+D (0x04) instead")


@pytest.mark.parametrize("off", [True, False])
def test_stdin_off_or_closed(off):
    with start({"process": {"cmd": "sleep", "args": ["300"]}, "stdin": not off}) as done:
        if not off:
            must("Process/CloseStdin", by_pid(done.pid))
        refused("Process/SendInput", stdin(done.pid, "x"), "internal",
                "error writing to stdin: stdin not enabled or closed")


def test_reader_closed_its_end():
    with start(shell("exec <&-; echo closed; exec sleep 300")) as done:
        done.until(b"closed\n")
        refused("Process/SendInput", stdin(done.pid, "x"), "internal",
                f"error writing to stdin: error writing to stdin of process '{done.pid}': "
                "write |1: broken pipe")


def test_full_pipe_blocks_until_it_is_read():
    with start(shell("sleep 0.5; wc -c")) as done, Connection() as conn:
        conn.send(request("POST", route("Process/SendInput"), JSON,
                          encode(stdin(done.pid, b"x" * 1_000_000))))
        assert conn.answer().status == 200
        must("Process/CloseStdin", by_pid(done.pid))
        done.finish()
        assert int(done.output["stdout"]) == 1_000_000


def test_blocked_input_ends_with_the_process():
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as done, Connection() as conn:
        conn.send(request("POST", route("Process/SendInput"), JSON,
                          encode(stdin(done.pid, b"x" * 1_000_000))))
        eventually(lambda: pending(done.pid) > 0)
        must("Process/SendSignal", by_pid(done.pid, signal=9))
        answer = conn.answer()
        assert answer.status in (404, 500)
        assert json.loads(answer.body)["code"] in ("internal", "not_found")
        assert done.finish()["status"] == "signal: killed"


def pending(pid):
    """Bytes that wait in the stdin of a process."""
    size = array.array("i", [0])
    descriptor = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, size)
    finally:
        os.close(descriptor)
    return size[0]


def test_blocked_process_does_not_block_others():
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as blocked, start(CAT) as cat, \
            Connection() as conn:
        conn.send(request("POST", route("Process/SendInput"), JSON,
                          encode(stdin(blocked.pid, b"x" * 1_000_000))))
        eventually(lambda: pending(blocked.pid) > 0)
        must("Process/SendInput", stdin(cat.pid, "free"))
        cat.until(b"free")


def test_bytes_of_one_call_stay_together():
    with start(CAT) as cat:
        parts = [bytes([65 + n]) * 30_000 for n in range(8)]
        senders = [threading.Thread(target=must, args=("Process/SendInput", stdin(cat.pid, part)))
                   for part in parts]
        for sender in senders:
            sender.start()
        while len(cat.output["stdout"]) < 240_000:
            assert cat.next()
        for sender in senders:
            sender.join()
    got = cat.output["stdout"]
    assert sorted(got[at:at + 30_000] for at in range(0, 240_000, 30_000)) == parts


def test_stream_errors():
    assert send_stream({"start": by_pid(999_999)})[1]["error"] == {
        "code": "not_found", "message": "process with pid 999999 not found"}
    assert send_stream({})[1]["error"] == {
        "code": "unimplemented", "message": "invalid event type <nil>"}
    assert send_stream({"start": {}})[1]["error"]["code"] == "unimplemented"


def test_stream_error_of_its_data():
    with start(CAT) as cat:
        _, final = send_stream({"start": by_pid(cat.pid)}, {"data": {"input": {"pty": ""}}})
        assert final["error"]["code"] == "internal"
        assert "tty not assigned to process" in final["error"]["message"]
        _, final = send_stream({"start": by_pid(cat.pid)}, {"data": {}})
        assert final["error"] == {"code": "unimplemented", "message": "invalid input type <nil>"}


def test_stream_goes_to_its_last_start():
    with start(CAT) as one, start(CAT) as two:
        piece = {"data": {"input": {"stdin": data("x")}}}
        assert send_stream({"start": by_pid(one.pid)}, piece, {"start": by_pid(two.pid)}, piece,
                           piece) == ([{}], {})
        for each, count in ((one, 1), (two, 2)):
            must("Process/CloseStdin", by_pid(each.pid))
            each.finish()
            assert each.output["stdout"] == b"x" * count


@pytest.mark.ours
def test_stream_data_before_start():
    _, final = send_stream({"data": {"input": {"stdin": data("x")}}})
    assert final["error"]["code"] == "failed_precondition"


@pytest.mark.parametrize("signal, name", [("SIGNAL_SIGKILL", "killed"), (9, "killed"),
                                          ("SIGNAL_SIGTERM", "terminated"), (15, "terminated")])
def test_signals(signal, name):
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as done:
        assert must("Process/SendSignal", by_pid(done.pid, signal=signal)) == {}
        assert done.finish()["status"] == f"signal: {name}"


def test_signal_that_is_handled():
    with start(shell("trap 'echo caught; exit 3' TERM; echo ready; while :; do sleep 0.02; done")) as done:
        done.until(b"ready\n")
        must("Process/SendSignal", by_pid(done.pid, signal="SIGNAL_SIGTERM"))
        assert done.finish()["exitCode"] == 3


def test_selector_is_checked_before_the_signal():
    refused("Process/SendSignal", by_pid(999_999), "not_found", "process with pid 999999 not found")
    with start(CAT) as cat:
        refused("Process/SendSignal", by_pid(cat.pid), "unimplemented",
                "invalid signal: SIGNAL_UNSPECIFIED")


@pytest.mark.ours
@pytest.mark.parametrize("number, name", [(2, "interrupt"), (1, "hangup"), (10, "user defined signal 1")])
def test_any_valid_signal(number, name):
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as done:
        must("Process/SendSignal", by_pid(done.pid, signal=number))
        assert done.finish()["status"] == f"signal: {name}"


@pytest.mark.ours
@pytest.mark.parametrize("value", ["0", "-5", "abc", "99999999999999999999"])
def test_odd_keepalive_intervals_are_harmless(value):
    answer = exchange("POST", route("Process/Start"), {**STREAM, "Keepalive-Ping-Interval": value},
                      envelope({"process": {"cmd": "true"}}))
    assert outcome(answer)[1] == {}
    assert call("Process/List", {})[0] == 200
