"""gRPC and gRPC-Web framing over HTTP/1.1, down to the trailers."""

import struct

import pytest

from proto import at, number, text
from rpc import envelope, envelopes, pids, route, start
from wire import exchange

GRPC = {"Content-Type": "application/grpc", "Te": "trailers"}
WEB = {"Content-Type": "application/grpc-web+proto"}
ECHO = text(1, text(1, "echo") + text(2, "hi"))


def grpc(name, body, headers=()):
    answer = exchange("POST", route(name), {**GRPC, **dict(headers)}, body)
    assert answer.status == 200
    assert answer.get("content-type") == "application/grpc"
    return envelopes(answer.body), dict(answer.trailers) or dict(answer.headers)


def web(name, body):
    """Messages and trailers; these stand in a last frame, or in the headers."""
    answer = exchange("POST", route(name), WEB, body)
    assert answer.status == 200 and answer.trailers == []
    frames = envelopes(answer.body)
    if frames and frames[-1][0] & 0x80:
        lines = frames.pop()[1].decode().split("\r\n")
        assert lines.pop() == ""
        return frames, dict(line.split(": ", 1) for line in lines)
    return frames, dict(answer.headers)


def test_unary():
    frames, trailers = grpc("Filesystem/Stat", envelope(text(1, "/dev/null")))
    assert at(frames[0][1], 1, 3) == b"/dev/null" and len(frames) == 1
    assert trailers["grpc-status"] == "0"


def test_empty_answer():
    frames, trailers = grpc("Process/List", envelope(b""))
    assert frames == [(0, b"")]
    assert trailers["grpc-status"] == "0"


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto"])
def test_server_stream(kind):
    answer = exchange("POST", route("Process/Start"), {**GRPC, "Content-Type": kind}, envelope(ECHO))
    frames = envelopes(answer.body)
    assert answer.get("content-type") == kind
    assert [flags for flags, _ in frames] == [0, 0, 0]
    assert at(frames[1][1], 1, 2, 1) == b"hi\n"
    assert dict(answer.trailers)["grpc-status"] == "0"


def test_json_in_grpc_framing():
    answer = exchange("POST", route("Filesystem/Stat"), {"Content-Type": "application/grpc+json"},
                      envelope({"path": "/dev/null"}))
    (flags, payload), = envelopes(answer.body)
    assert flags == 0 and payload.startswith(b'{"entry":{"name":"null"')
    assert dict(answer.trailers)["grpc-status"] == "0"


@pytest.mark.parametrize("name", ["Process/Connect", "Process/SendSignal"])
def test_errors(name):
    frames, trailers = grpc(name, envelope(text(1, number(1, 999_999)) + number(2, 9)))
    assert frames == []
    assert trailers["grpc-status"] == "5"
    assert trailers["grpc-message"] == "process with pid 999999 not found"


def test_message_is_percent_encoded():
    path = "/no/such/ü%\x01~"
    _, trailers = grpc("Filesystem/Stat", envelope(text(1, path)))
    assert trailers["grpc-status"] == "5"
    assert trailers["grpc-message"] == (
        "file not found: lstat /no/such/%C3%BC%25%01~: no such file or directory")


def test_client_stream():
    with start({"process": {"cmd": "cat"}}) as cat:
        body = envelope(text(1, text(1, number(1, cat.pid))))
        body += envelope(text(2, text(2, text(1, b"one \xff")))) + envelope(text(3, b""))
        frames, trailers = grpc("Process/StreamInput", body)
        assert frames == [(0, b"")] and trailers["grpc-status"] == "0"
        cat.until(b"one \xff")


@pytest.mark.parametrize("body, status", [
    (b"\0\0", "3"), (struct.pack(">BI", 0, 9) + b"x", "3"), (envelope(b"\x0a"), "3"),
    (envelope(b"", flags=4), "13"), (envelope(b"", flags=1), "13"), (b"", "12"),
], ids=["prefix", "payload", "undecodable", "flag", "compressed", "nothing"])
def test_broken_requests(body, status):
    _, trailers = grpc("Process/Connect", body)
    assert trailers["grpc-status"] == status


@pytest.mark.parametrize("value", ["10x", "123456789S", "", "S", "-1S", "1.5S"])
def test_bad_timeout(value):
    _, trailers = grpc("Process/List", envelope(b""), {"Grpc-Timeout": value})
    assert trailers["grpc-status"] == ("0" if value == "" else "3")


def test_unit_of_a_bad_timeout_is_named():
    _, trailers = grpc("Process/List", envelope(b""), {"Grpc-Timeout": "10x"})
    assert trailers["grpc-message"] == "protocol error: timeout has invalid unit 'x'"


@pytest.mark.parametrize("value", ["2000m", "2000000u", "2S"])
def test_timeout_cuts_the_stream_only(value):
    frames, trailers = grpc("Process/Start", envelope(text(1, text(1, "sleep") + text(2, "300"))),
                            {"Grpc-Timeout": value})
    assert trailers["grpc-status"] == "4"
    assert at(frames[0][1], 1, 1, 1) in pids()


def test_timeout_in_nanoseconds():
    _, trailers = grpc("Process/Start", envelope(text(1, text(1, "sleep") + text(2, "301"))),
                       {"Grpc-Timeout": "99999999n"})
    assert trailers["grpc-status"] == "4"


def test_timeout_that_does_not_matter():
    for value in ("99999999H", "60M", "1H"):
        frames, trailers = grpc("Process/Start", envelope(ECHO), {"Grpc-Timeout": value})
        assert len(frames) == 3 and trailers["grpc-status"] == "0"


def test_web_unary():
    frames, trailers = web("Filesystem/Stat", envelope(text(1, "/dev/null")))
    assert at(frames[0][1], 1, 3) == b"/dev/null"
    assert trailers["grpc-status"] == "0"


def test_web_server_stream():
    frames, trailers = web("Process/Start", envelope(ECHO))
    assert [flags for flags, _ in frames] == [0, 0, 0]
    assert trailers == {"grpc-status": "0"}


def test_web_client_stream():
    with start({"process": {"cmd": "cat"}}) as cat:
        body = envelope(text(1, text(1, number(1, cat.pid))))
        body += envelope(text(2, text(2, text(1, b"web"))))
        frames, trailers = web("Process/StreamInput", body)
        assert frames == [(0, b"")] and trailers["grpc-status"] == "0"
        cat.until(b"web")


def test_web_error_before_any_message():
    answer = exchange("POST", route("Process/Connect"), WEB, envelope(text(1, number(1, 999_999))))
    assert (answer.body, answer.get("grpc-status")) == (b"", "5")
    assert answer.get("grpc-message") == "process with pid 999999 not found"


def test_web_error_after_messages():
    frames, trailers = web("Process/StreamInput", envelope(text(1, text(1, number(1, 999_999)))))
    assert trailers["grpc-status"] == "5" and frames == []
