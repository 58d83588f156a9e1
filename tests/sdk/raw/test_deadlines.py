"""Connect-Timeout-Ms, half-close, and disconnects."""

import os
import time

import pytest

from conftest import eventually
from rpc import (JSON, STREAM, by_pid, call, connect, data, envelope, must, outcome, pids, refused,
                 route, shell, start, stream, stream_refused)
from wire import Connection, request

SLEEP = {"process": {"cmd": "sleep", "args": ["300"]}}
PARSE = "parse timeout: "
BAD = [
    ("12345678901", PARSE + '"12345678901" has >10 digits'),
    ("abc", PARSE + 'strconv.ParseInt: parsing "abc": invalid syntax'),
    ("1500.5", PARSE + 'strconv.ParseInt: parsing "1500.5": invalid syntax'),
    ("1 0", PARSE + 'strconv.ParseInt: parsing "1 0": invalid syntax'),
    ("0x10", PARSE + 'strconv.ParseInt: parsing "0x10": invalid syntax'),
]


@pytest.mark.parametrize("value, text", BAD)
def test_value_that_is_no_number(value, text):
    headers = {"Connect-Timeout-Ms": value}
    refused("Process/List", {}, "invalid_argument", text, headers)
    stream_refused("Process/Start", SLEEP, "invalid_argument", text, headers)
    assert pids() == []


@pytest.mark.parametrize("value", ["60000", "+60000", "0000060000", "9999999999"])
def test_value_that_is_fine(value):
    assert must("Process/List", {}, {"Connect-Timeout-Ms": value}) == {}
    messages, final = stream("Process/Start", {"process": {"cmd": "true"}},
                             {"Connect-Timeout-Ms": value})
    assert len(messages) == 2 and final == {}


@pytest.mark.parametrize("value", ["0", "-1", "-9999"])
def test_value_already_over(value):
    headers = {"Connect-Timeout-Ms": value}
    refused("Process/List", {}, "deadline_exceeded", "context deadline exceeded", headers)


def test_connect_that_is_already_over():
    with start(SLEEP) as run:
        _, final = stream("Process/Connect", by_pid(run.pid), {"Connect-Timeout-Ms": "0"})
        assert final["error"] == {"code": "deadline_exceeded", "message": "context deadline exceeded"}
        assert run.pid in pids()


@pytest.mark.parametrize("value", ["0", "-1"])
def test_start_that_is_already_over(value):
    _, final = stream("Process/Start", SLEEP, {"Connect-Timeout-Ms": value})
    assert final["error"] == {"code": "deadline_exceeded", "message": "context deadline exceeded"}


@pytest.mark.ours
@pytest.mark.parametrize("value", ["0", "-1"])
def test_start_that_is_already_over_spawns_nothing(value, scratch):
    message = shell(f": >{scratch}/ran; sleep 300")
    stream_refused("Process/Start", message, "deadline_exceeded", headers={"Connect-Timeout-Ms": value})
    assert pids() == [] and os.listdir(scratch) == []


def test_start_deadline_cuts_the_stream_and_kills():
    began = time.monotonic()
    with start(SLEEP, {"Connect-Timeout-Ms": "300"}) as run:
        assert run.finish() is None
    assert run.final["error"] == {"code": "deadline_exceeded", "message": "context deadline exceeded"}
    assert time.monotonic() - began < 10
    eventually(lambda: run.pid not in pids())
    eventually(lambda: not os.path.exists(f"/proc/{run.pid}"))


def test_start_deadline_kills_after_the_client_left():
    with start(SLEEP, {"Connect-Timeout-Ms": "500"}) as run:
        pass
    eventually(lambda: run.pid not in pids())


def test_deadline_of_the_starter_is_an_end_for_others():
    with start(SLEEP, {"Connect-Timeout-Ms": "1000"}) as run, connect({"pid": run.pid}) as other:
        end = other.finish()
    assert (end["exitCode"], end["status"]) == (-1, "signal: killed")
    assert other.final == {}


def test_output_before_the_deadline_arrives():
    with start(shell("echo early; exec sleep 300"), {"Connect-Timeout-Ms": "1500"}) as run:
        run.until(b"early\n")
        assert run.finish() is None
    assert run.final["error"]["code"] == "deadline_exceeded"


def test_command_that_is_quicker_than_its_deadline():
    with start(shell("echo done"), {"Connect-Timeout-Ms": "30000"}) as run:
        assert run.finish() == {"exited": True, "status": "exit status 0"}


def test_connect_deadline_leaves_the_process_alone():
    with start(SLEEP) as run:
        with connect({"pid": run.pid}, {"Connect-Timeout-Ms": "300"}) as other:
            assert other.finish() is None
        assert other.final["error"]["code"] == "deadline_exceeded"
        assert run.pid in pids()


def test_unary_with_deadline_works():
    with start({"process": {"cmd": "cat"}}) as run:
        message = by_pid(run.pid, input={"stdin": data("x")})
        assert call("Process/SendInput", message, {"Connect-Timeout-Ms": "30000"}) == (200, {})
        run.until(b"x")


@pytest.mark.ours
def test_blocked_send_input_honours_its_deadline():
    with start(SLEEP) as run:
        message = by_pid(run.pid, input={"stdin": data(b"x" * 1_000_000)})
        began = time.monotonic()
        refused("Process/SendInput", message, "deadline_exceeded",
                headers={"Connect-Timeout-Ms": "500"})
        assert time.monotonic() - began < 10


@pytest.mark.ours
def test_stream_input_deadline():
    with start({"process": {"cmd": "cat"}}) as run, Connection() as conn:
        conn.send(request("POST", route("Process/StreamInput"), {
            **STREAM, "Transfer-Encoding": "chunked", "Connect-Timeout-Ms": "400"}))
        first = envelope({"start": by_pid(run.pid)})
        conn.send(b"%x\r\n%s\r\n" % (len(first), first))
        messages, final = outcome(conn.answer())
        assert messages == []
        assert "deadline" in final["error"]["message"]


def test_half_close_of_a_stream_is_canceled():
    with start(SLEEP) as run:
        run.conn.half_close()
        assert run.finish() is None
        assert run.final["error"] == {"code": "canceled", "message": "context canceled"}
        assert run.pid in pids()


def test_half_close_behind_a_whole_unary_request():
    with Connection() as conn:
        conn.send(request("POST", route("Process/List"), JSON, b"{}"))
        conn.half_close()
        assert conn.answer().status == 200
        assert conn.at_end()


def test_process_outlives_its_client(scratch):
    message = shell(f"read line; echo $line >{scratch}/got; exec sleep 300")
    with start(message) as run:
        pass
    must("Process/SendInput", by_pid(run.pid, input={"stdin": data("still here\n")}))
    eventually(lambda: os.path.exists(f"{scratch}/got"))
    assert run.pid in pids()


def test_output_of_an_abandoned_process_does_not_block_it(scratch):
    with start(shell(f"head -c 20000000 /dev/zero; : >{scratch}/done")) as run:
        pass
    eventually(lambda: os.path.exists(f"{scratch}/done"))
    eventually(lambda: run.pid not in pids())
