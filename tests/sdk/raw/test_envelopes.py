"""Connect stream framing and what is wrong with it."""

import json
import struct

import pytest

from rpc import STREAM, by_pid, data, envelope, outcome, pids, route, start, stream, stream_refused
from wire import exchange

TRUE = {"process": {"cmd": "true"}}
SELECT = {"start": by_pid(999_999)}


def error(name, body):
    """The error of a stream request with this body."""
    messages, final = outcome(exchange("POST", route(name), STREAM, body))
    assert messages == [], messages
    return final["error"]["code"], final["error"].get("message", "")


PROTOCOL = "protocol error: "
BROKEN = [
    (b"\0\0\0", "invalid_argument", PROTOCOL + "incomplete envelope: unexpected EOF"),
    (envelope("{}")[:4], "invalid_argument", PROTOCOL + "incomplete envelope: unexpected EOF"),
    (struct.pack(">BI", 0, 17) + b"x" * 15, "invalid_argument",
     PROTOCOL + "promised 17 bytes in enveloped message, got 15 bytes"),
    (struct.pack(">BI", 0, 17), "invalid_argument",
     PROTOCOL + "promised 17 bytes in enveloped message, got 0 bytes"),
    (envelope("{}", flags=1), "internal",
     PROTOCOL + "sent compressed message without compression support"),
    (envelope("{}", flags=4), "internal", PROTOCOL + "invalid envelope flags 4"),
    (envelope("{}", flags=0x80), "internal", PROTOCOL + "invalid envelope flags 128"),
]
IDS = ["prefix 3", "prefix 4", "payload", "no payload", "compressed", "flag 4", "flag 128"]


@pytest.mark.parametrize("name", ["Process/Start", "Process/Connect", "Filesystem/WatchDir"])
@pytest.mark.parametrize("body, code, text", BROKEN, ids=IDS)
def test_broken_server_stream_request(name, body, code, text):
    assert error(name, body) == (code, text)


@pytest.mark.parametrize("body, code, text", BROKEN, ids=IDS)
def test_broken_client_stream_request(body, code, text):
    expected = ("unknown", f"error streaming input: {code}: {text}")
    assert error("Process/StreamInput", body) == expected


def test_broken_envelope_behind_a_good_one():
    with start({"process": {"cmd": "cat"}}) as cat:
        body = envelope({"start": by_pid(cat.pid)})
        body += envelope({"data": {"input": {"stdin": data("first")}}}) + envelope("{}", flags=4)
        code, text = error("Process/StreamInput", body)
        assert (code, text.startswith("error streaming input: internal: ")) == ("unknown", True)
        cat.until(b"first")


@pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff", b'{"process":1}', b"null", b'{"start":5}'])
def test_undecodable_payload(payload):
    code, text = error("Process/Connect", envelope(payload))
    if payload == b'{"start":5}':
        assert (code, text) == ("unimplemented", "invalid input type *process.ProcessSelector")
    else:
        assert code == "invalid_argument" and text.startswith("unmarshal message: ")


def test_undecodable_payload_of_a_client_stream():
    code, text = error("Process/StreamInput", envelope(b"{"))
    assert code == "unknown"
    assert text.startswith("error streaming input: invalid_argument: unmarshal message: ")


def test_no_envelope_at_all():
    for name in ("Process/Start", "Process/Connect", "Filesystem/WatchDir"):
        assert error(name, b"") == ("unimplemented", "unary request has zero messages")


def test_two_envelopes_have_no_effect(scratch):
    body = envelope({"process": {"cmd": "touch", "args": [f"{scratch}/ran"]}}) + envelope(TRUE)
    assert error("Process/Start", body) == ("unimplemented", "unary request has multiple messages")
    assert pids() == []


def test_zero_length_envelope_is_the_empty_message():
    assert error("Process/Connect", envelope(b"")) == (
        "unimplemented", "invalid input type *process.ProcessSelector")


def test_client_stream_without_envelopes():
    assert outcome(exchange("POST", route("Process/StreamInput"), STREAM, b"")) == ([{}], {})


def test_end_flag_from_the_client_ends_its_stream():
    body = envelope("{}", flags=2)
    assert outcome(exchange("POST", route("Process/StreamInput"), STREAM, body)) == ([{}], {})
    with start({"process": {"cmd": "cat"}}) as cat:
        body = envelope({"start": by_pid(cat.pid)})
        body += envelope({"data": {"input": {"stdin": data("x")}}}) + envelope("{}", flags=2)
        assert outcome(exchange("POST", route("Process/StreamInput"), STREAM, body)) == ([{}], {})
        cat.until(b"x")


def test_success_and_error_both_answer_200():
    messages, final = stream("Process/Start", TRUE)
    assert len(messages) == 2 and final == {}
    stream_refused("Process/Connect", by_pid(1), "not_found", "process with pid 1 not found")


def test_headers_of_a_stream():
    answer = exchange("POST", route("Process/Start"), STREAM, envelope(TRUE))
    assert answer.get("content-type") == "application/connect+json"
    assert answer.get("connect-content-encoding") is None
    assert answer.get("connect-accept-encoding") == "gzip"
    assert answer.get("vary") == "Origin"


def test_success_ends_with_an_empty_object():
    answer = exchange("POST", route("Process/Start"), STREAM, envelope(TRUE))
    assert answer.body.endswith(b"\x02\x00\x00\x00\x02{}")


def test_end_of_stream_is_json_for_the_binary_codec():
    answer = exchange("POST", route("Process/Connect"),
                      {"Content-Type": "application/connect+proto"}, envelope(b"\x0a\x02\x08\x01"))
    assert answer.body[:1] == b"\x02"
    assert json.loads(answer.body[5:]) == {
        "error": {"code": "not_found", "message": "process with pid 1 not found"}}


def test_wrong_protocol_version_on_a_stream():
    stream_refused("Process/Start", TRUE, "invalid_argument",
                   'Connect-Protocol-Version must be "1": got "2"',
                   {"Connect-Protocol-Version": "2"})
