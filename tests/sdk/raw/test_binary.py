"""Binary messages at the edges of the wire format."""

import json

import pytest

import proto
from proto import number, text
from rpc import envelope, envelopes, route, start
from wire import exchange

PROTO = {"Content-Type": "application/proto"}
STREAM = {"Content-Type": "application/connect+proto"}
NULL = text(1, "/dev/null")


def stat(body):
    answer = exchange("POST", route("Filesystem/Stat"), PROTO, body)
    assert answer.status == 200, answer.body
    assert answer.get("content-type") == "application/proto"
    return proto.at(answer.body, 1, 3).decode()


def rejected(name, body):
    answer = exchange("POST", route(name), PROTO, body)
    error = json.loads(answer.body)
    assert (answer.status, error["code"]) == (400, "invalid_argument"), error
    return error["message"]


@pytest.mark.parametrize("body", [
    NULL,
    text(1, "/dev/zero") + NULL,
    number(15, 7) + NULL,
    NULL + text(2000, b"anything") + number(536870911, 1),
    NULL + proto.varint(9 << 3 | 1) + bytes(8) + proto.varint(9 << 3 | 5) + bytes(4),
    NULL + proto.varint(9 << 3 | 3) + number(1, 1) + proto.varint(9 << 3 | 4),
    b"\x8a\x80\x80\x80\x00" + NULL[1:],
    b"\x0a\x89\x80\x00" + b"/dev/null",
], ids=["plain", "last wins", "unknown before", "unknown after", "fixed widths", "group",
        "long tag", "long length"])
def test_accepted_messages(body):
    assert stat(body) == "/dev/null"


@pytest.mark.parametrize("body", [
    b"\x0a", b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 11, b"\x00\x01", b"\x0f\x01",
    b"\x0b\x01", b"\x0c", b"\x09\x01", b"\x0d\x01",
], ids=["no length", "cut short", "huge length", "endless varint", "field 0", "wire type 7",
        "open group", "end of no group", "short fixed64", "short fixed32"])
def test_garbage(body):
    assert "unmarshal" in rejected("Filesystem/Stat", body)


def test_field_of_another_type_is_unknown():
    assert stat(number(1, 5) + NULL) == "/dev/null"


def test_text_that_is_not_utf_8():
    for value in (b"\xff", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc3"):
        assert "invalid UTF-8" in rejected("Filesystem/Stat", text(1, value))


def test_empty_body_is_the_empty_message():
    assert stat(b"") == "/root"
    answer = exchange("POST", route("Process/List"), PROTO, b"")
    assert (answer.status, answer.body) == (200, b"")


def test_stat_of_a_device():
    answer = exchange("POST", route("Filesystem/Stat"), PROTO, NULL)
    entry = proto.fields(proto.at(answer.body, 1))
    assert entry[1] == [b"null"] and entry[6] == [b"Dcrw-rw-rw-"]
    assert 2 not in entry and 4 not in entry and entry[5] == [0o666]


def test_whole_stream():
    body = text(1, text(1, "echo") + text(2, "hi"))
    answer = exchange("POST", route("Process/Start"), STREAM, envelope(body))
    frames = envelopes(answer.body)
    assert [flags for flags, _ in frames] == [0, 0, 0, 2]
    assert proto.at(frames[0][1], 1, 1, 1) > 1
    assert frames[1][1] == bytes.fromhex("0a0712050a0368690a")
    end = frames[2][1]
    assert end[0] == 0x0a and end[2] == 0x1a
    assert end[4:].startswith(bytes.fromhex("10011a0d") + b"exit status 0")
    assert frames[3][1] == b"{}"


def test_exit_code_is_zig_zag():
    for script, code in (("exit 3", 6), ("kill -9 $$", 1)):
        body = text(1, text(1, "/bin/sh") + text(2, "-c") + text(2, script))
        frames = envelopes(exchange("POST", route("Process/Start"), STREAM, envelope(body)).body)
        assert proto.at(frames[-2][1], 1, 3, 1) == code


def test_parts_of_a_message_merge():
    """The same singular message twice: scalars are replaced, lists grow."""
    body = text(1, text(1, "false") + text(2, "a")) + text(1, text(1, "echo") + text(2, "b"))
    frames = envelopes(exchange("POST", route("Process/Start"), STREAM, envelope(body)).body)
    assert proto.at(frames[1][1], 1, 2, 1) == b"a b\n"


def test_last_entry_of_a_map_key_wins():
    entry = [text(3, text(1, "KEY") + text(2, value)) for value in ("first", "second")]
    body = text(1, text(1, "/bin/sh") + text(2, "-c") + text(2, "echo $KEY") + b"".join(entry))
    frames = envelopes(exchange("POST", route("Process/Start"), STREAM, envelope(body)).body)
    assert proto.at(frames[1][1], 1, 2, 1) == b"second\n"


def test_map_entry_without_value():
    body = text(1, text(1, "/bin/sh") + text(2, "-c") + text(2, "echo [${KEY-unset}]")
                + text(3, text(1, "KEY")))
    frames = envelopes(exchange("POST", route("Process/Start"), STREAM, envelope(body)).body)
    assert proto.at(frames[1][1], 1, 2, 1) == b"[]\n"


def test_last_member_of_a_oneof_wins():
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as run:
        selected = text(1, text(2, "no-such-tag") + number(1, run.pid)) + number(2, 9)
        answer = exchange("POST", route("Process/SendSignal"), PROTO, selected)
        assert (answer.status, answer.body) == (200, b"")
        assert run.finish()["status"] == "signal: killed"


def test_large_varint_of_a_bool():
    body = text(1, text(1, "cat")) + number(4, 0) + number(4, 2)
    answer = exchange("POST", route("Process/Start"), STREAM, envelope(body)[:-1] + b"\x00")
    frames = envelopes(answer.body)
    assert proto.at(frames[-2][1], 1, 3, 3) == b"exit status 0"
