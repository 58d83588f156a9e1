"""The JSON that answers carry, compared as text where the text matters."""

import json
import os

import pytest

from rpc import COST, JSON, STREAM, by_pid, call, encode, envelope, envelopes, must, route, start
from wire import exchange

HOLD = ["-c", "exec sleep 300"]


def raw(name, message):
    """The text of a unary answer."""
    return exchange("POST", route(name), JSON, encode(message)).body.decode()


def planted(scratch, seconds, nanoseconds):
    path = f"{scratch}/file"
    with open(path, "w", encoding="ascii"):
        pass
    os.utime(path, ns=(0, seconds * 10**9 + nanoseconds))
    return must("Filesystem/Stat", {"path": path})["entry"]


@pytest.mark.parametrize("seconds, nanoseconds, text", [
    (1_600_000_000, 0, "2020-09-13T12:26:40Z"),
    (1_600_000_000, 123_000_000, "2020-09-13T12:26:40.123Z"),
    (1_600_000_000, 120_000_000, "2020-09-13T12:26:40.120Z"),
    (1_600_000_000, 123_456_000, "2020-09-13T12:26:40.123456Z"),
    (1_600_000_000, 1, "2020-09-13T12:26:40.000000001Z"),
    (-2, 500_000_000, "1969-12-31T23:59:58.500Z"),
    (-1, 0, "1969-12-31T23:59:59Z"),
    (0, 1000, "1970-01-01T00:00:00.000001Z"),
])
def test_timestamps(scratch, seconds, nanoseconds, text):
    assert planted(scratch, seconds, nanoseconds)["modifiedTime"] == text


def test_timestamp_of_exactly_zero_is_omitted(scratch):
    assert "modifiedTime" not in planted(scratch, 0, 0)


def test_members_of_an_entry(scratch):
    path = f"{scratch}/file"
    with open(path, "w", encoding="ascii") as file:
        file.write("12345")
    os.chmod(path, 0o644)
    entry = must("Filesystem/Stat", {"path": path})["entry"]
    assert list(entry) == ["name", "type", "path", "size", "mode", "permissions", "owner", "group",
                           "modifiedTime"]
    assert entry["size"] == "5" and entry["mode"] == 420
    assert entry["type"] == "FILE_TYPE_FILE"


def test_defaults_are_omitted(scratch):
    path = f"{scratch}/fifo"
    os.mkfifo(path)
    os.chmod(path, 0)
    entry = must("Filesystem/Stat", {"path": path})["entry"]
    assert not {"type", "size", "mode", "symlinkTarget", "metadata"} & set(entry)


def test_empty_messages():
    for name, message in (("Process/List", {}), ("Filesystem/Remove", {"path": "/no/such/file"})):
        assert raw(name, message) == "{}"


def test_presence_is_kept():
    message = {"process": {"cmd": "sleep", "args": ["300"], "cwd": ""}, "tag": ""}
    with start(message) as done:
        info = must("Process/List", {})["processes"][0]
    assert info == {"config": {"cmd": "sleep", "args": ["300"], "cwd": ""}, "pid": done.pid, "tag": ""}


def test_absence_is_kept():
    with start({"process": {"cmd": "cat"}}) as done:
        assert must("Process/List", {})["processes"] == [{"config": {"cmd": "cat"}, "pid": done.pid}]


def test_strings_come_back_unchanged():
    word = "".join(map(chr, range(1, 0x80))) + "é✓🎉\u2028\u2029\ufeff\U0010ffff"
    envs = {"B": "2", "A": word, "é": "3", "a": "", "": "empty key"}
    with start({"process": {"cmd": "sh", "args": [*HOLD, word], "envs": envs}}):
        config = must("Process/List", {})["processes"][0]["config"]
    assert config["args"] == [*HOLD, word]
    assert config["envs"] == envs
    assert list(config["envs"]) == sorted(envs, key=lambda key: key.encode())


def test_only_what_must_be_escaped_is_escaped():
    word = "\"\\\b\f\n\r\t\x01\x1f/<>&\x7f\u2028é🎉"
    with start({"process": {"cmd": "sh", "args": [*HOLD, word]}}):
        text = raw("Process/List", {})
    assert r'"\"\\\b\f\n\r\t\u0001\u001f/<>&' + "\x7f\u2028é🎉\"" in text


def test_bytes_are_padded_standard_base64():
    with start({"process": {"cmd": "printf", "args": [r"\373\377\276\373"]}}) as done:
        message = done.next()
    assert message["event"]["data"]["stdout"] == "+/+++w=="


def test_text_of_the_end_event():
    answer = exchange("POST", route("Process/Start"), STREAM,
                      envelope({"process": {"cmd": "sh", "args": ["-c", "exit 3"]}}))
    end = envelopes(answer.body)[-2][1].decode()
    end = {name: value for name, value in json.loads(end)["event"]["end"].items() if name not in COST}
    assert end == {
        "exitCode": 3, "exited": True, "status": "exit status 3", "error": "exit status 3"}
    assert list(end) == ["exitCode", "exited", "status", "error"]


def test_keepalive_is_an_empty_object():
    with start({"process": {"cmd": "sleep", "args": ["300"]}}, {"Keepalive-Ping-Interval": "1"}) as done:
        assert done.next() == {"event": {"keepalive": {}}}
        assert done.next() == {"event": {"keepalive": {}}}


def test_error_text_is_valid_json():
    path = "/no/such/<&>\u2028\"\\\x01é"
    status, body = call("Filesystem/Stat", {"path": path})
    assert status == 404
    assert body["message"] == f"file not found: lstat {path}: no such file or directory"


def test_unknown_numbers_of_an_enum_are_echoed_in_errors():
    with start({"process": {"cmd": "cat"}}) as done:
        status, body = call("Process/SendSignal", by_pid(done.pid, signal=12345))
    assert status == 501
    assert body["message"] == "invalid signal: 12345"
