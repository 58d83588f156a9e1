"""gzip in both directions, on unary calls and on streams."""

import gzip
import json
import struct

import pytest

from rpc import JSON, STREAM, data, encode, envelope, route, start
from wire import exchange

UNKNOWN = 'unknown compression "br": supported encodings are gzip'
ECHO = {"process": {"cmd": "echo", "args": ["hi"]}}


def body_of(answer):
    if answer.get("content-encoding") == "gzip":
        return gzip.decompress(answer.body)
    assert answer.get("content-encoding") in (None, "identity")
    return answer.body


def frames(answer):
    """Payloads of a stream, inflated where their flag says so."""
    left, found = answer.body, []
    while left:
        flags, size = struct.unpack(">BI", left[:5])
        payload, left = left[5:5 + size], left[5 + size:]
        if flags & 1:
            assert answer.get("connect-content-encoding") == "gzip"
            payload = gzip.decompress(payload)
        found.append((flags & 2, json.loads(payload)))
    assert [end for end, _ in found] == [0] * (len(found) - 1) + [2]
    return [payload for _, payload in found]


def check_echo(answer):
    payloads = frames(answer)
    assert payloads[1] == {"event": {"data": {"stdout": data("hi\n")}}}
    assert payloads[-1] == {}


@pytest.mark.parametrize("accept", ["gzip", "identity", "br, gzip", "gzip;q=1.0", "*", "GZIP", ""])
def test_unary_answer(accept):
    answer = exchange("POST", route("Filesystem/Stat"), {**JSON, "Accept-Encoding": accept},
                      b'{"path":"/dev/null"}')
    if accept not in ("gzip", "br, gzip"):
        assert answer.get("content-encoding") is None
    assert json.loads(body_of(answer))["entry"]["name"] == "null"


def test_unary_request():
    answer = exchange("POST", route("Filesystem/Stat"), {**JSON, "Content-Encoding": "gzip"},
                      gzip.compress(b'{"path":"/dev/null"}'))
    assert json.loads(body_of(answer))["entry"]["name"] == "null"


def test_unary_request_of_two_members():
    body = gzip.compress(b'{"path":') + gzip.compress(b'"/dev/null"}')
    answer = exchange("POST", route("Filesystem/Stat"), {**JSON, "Content-Encoding": "gzip"}, body)
    assert json.loads(body_of(answer))["entry"]["name"] == "null"


def test_unary_identity():
    answer = exchange("POST", route("Process/List"), {**JSON, "Content-Encoding": "identity"}, b"{}")
    assert (answer.status, answer.body) == (200, b"{}")


def test_unary_error_is_never_compressed():
    answer = exchange("POST", route("Filesystem/Stat"), {**JSON, "Accept-Encoding": "gzip"},
                      b'{"path":"/no/such"}')
    assert answer.get("content-encoding") is None
    assert json.loads(answer.body)["code"] == "not_found"


def test_unary_unknown_encoding():
    answer = exchange("POST", route("Process/List"), {**JSON, "Content-Encoding": "br"}, b"{}")
    assert answer.status == 501
    assert json.loads(answer.body) == {"code": "unimplemented", "message": UNKNOWN}


@pytest.mark.parametrize("body", [b"not gzip", gzip.compress(b"{}")[:-9], gzip.compress(b"{}")[:12],
                                  gzip.compress(b"{}")[:-8] + b"\0" * 8],
                         ids=["garbage", "no end", "cut", "bad checksum"])
def test_unary_bad_data(body):
    answer = exchange("POST", route("Process/List"), {**JSON, "Content-Encoding": "gzip"}, body)
    assert (answer.status, json.loads(answer.body)["code"]) == (400, "invalid_argument")


def test_stream_request_and_answer():
    asked = {**STREAM, "Connect-Content-Encoding": "gzip", "Connect-Accept-Encoding": "gzip"}
    check_echo(exchange("POST", route("Process/Start"), asked,
                        envelope(gzip.compress(encode(ECHO)), flags=1)))


def test_stream_with_an_uncompressed_envelope():
    asked = {**STREAM, "Connect-Content-Encoding": "gzip"}
    check_echo(exchange("POST", route("Process/Start"), asked, envelope(ECHO)))


def test_stream_answer_on_demand():
    check_echo(exchange("POST", route("Process/Start"),
                        {**STREAM, "Connect-Accept-Encoding": "gzip"}, envelope(ECHO)))


def test_stream_is_plain_unless_asked():
    answer = exchange("POST", route("Process/Start"), {**STREAM, "Accept-Encoding": "gzip"},
                      envelope(ECHO))
    assert answer.get("connect-content-encoding") is None
    assert answer.get("content-encoding") is None
    assert answer.body[:1] == b"\0"
    check_echo(answer)


def test_stream_unknown_encoding():
    answer = exchange("POST", route("Process/Start"),
                      {**STREAM, "Connect-Content-Encoding": "br"}, envelope(ECHO))
    assert frames(answer) == [{"error": {"code": "unimplemented", "message": UNKNOWN}}]


def test_stream_bad_data():
    answer = exchange("POST", route("Process/Start"), {**STREAM, "Connect-Content-Encoding": "gzip"},
                      envelope(b"not gzip", flags=1))
    assert frames(answer)[0]["error"]["code"] == "invalid_argument"


def test_client_stream_of_compressed_messages():
    with start({"process": {"cmd": "cat"}}) as cat:
        events = [{"start": {"process": {"pid": cat.pid}}},
                  {"data": {"input": {"stdin": data("x" * 50_000)}}}]
        body = b"".join(envelope(gzip.compress(encode(event)), flags=1) for event in events)
        answer = exchange("POST", route("Process/StreamInput"),
                          {**STREAM, "Connect-Content-Encoding": "gzip"}, body)
        assert frames(answer) == [{}, {}]
        cat.until(b"x" * 50_000)
