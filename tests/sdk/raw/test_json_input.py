"""The JSON that requests may and may not carry."""

import pytest

from rpc import call, must, refused, run, start, stream_refused

STAT = "Filesystem/Stat"
SIGNAL = "Process/SendSignal"


def accepted(path_json):
    """A Stat request in raw JSON that has to find /dev/null."""
    assert must(STAT, path_json)["entry"]["path"] == "/dev/null"


def rejected(name, text):
    message = refused(name, text, "invalid_argument")
    assert message.startswith("unmarshal message: "), message


@pytest.mark.parametrize("text", [
    b'{"path":"/dev/null"}', b' \t\r\n{ "path" : "/dev/null" } \r\n',
    b'{"path":"\\/dev\\/null"}', b'{"path":"\\u002fdev/nul\\u006c"}', b'{"p\\u0061th":"/dev/null"}',
    b'{"unknown":null,"path":"/dev/null"}', b'{"x":[1,-2.5e3,"s",true,{"y":[]}],"path":"/dev/null"}',
    b'{"path":"/dev/null","x":{"path":7}}', b'{"Path":1,"path":"/dev/null","PATH":[]}',
])
def test_accepted_objects(text):
    accepted(text)


@pytest.mark.parametrize("text", [
    b"null", b"1", b'"x"', b"[]", b"true", b"{", b"}", b"{}{}", b"{} x", b"{},", b'{"path":"/",}',
    b"{'path':'/'}", b'{path:"/"}', b'{"path":"/"}//', b'/**/{"path":"/"}', b'\xef\xbb\xbf{"path":"/"}',
    b'{"path" "/"}', b'{"path":}', b'{"path":"/" "x":1}', b'{"x":01}', b'{"x":+1}', b'{"x":.5}',
    b'{"x":1.}', b'{"x":NaN}', b'{"x":tru}', b'{"x":[1,]}', b'{"x":[1 2]}', b'{"x":"a\\q"}',
    b'{"x":"\\u12g4"}', b'{"path":"/","path":"/"}',
])
def test_rejected_objects(text):
    rejected(STAT, text)


def test_empty_body():
    refused(STAT, b"", "invalid_argument",
            "unmarshal message: zero-length payload is not a valid JSON object")


@pytest.mark.parametrize("text", [
    b'{"path":1}', b'{"path":["/"]}', b'{"path":{}}', b'{"path":true}', b'{"path":"a\nb"}',
    b'{"path":"a\x01b"}', b'{"path":"\xff"}', b'{"path":"\xc0\xaf"}', b'{"path":"\xed\xa0\x80"}',
    b'{"path":"\\ud800"}', b'{"path":"\\ud800x"}', b'{"path":"\\udc00\\ud800"}', b'{"path":"\\x41"}',
    b'{"path":"open',
])
def test_rejected_strings(text):
    rejected(STAT, text)


def test_null_is_absent():
    assert must(STAT, {"path": None})["entry"]["path"] == "/root"
    assert run("echo ok", tag=None, pty=None, stdin=None).output["stdout"] == b"ok\n"
    stream_refused("Process/Connect", {"process": None}, "unimplemented")
    refused("Process/SendInput", {"process": {"pid": None, "tag": "none"}, "input": None},
            "not_found", "process with tag none not found")


@pytest.mark.parametrize("text", [
    b'{"process":{"cmd":"true","args":[null]}}', b'{"process":{"cmd":"true","args":["a",null]}}',
    b'{"process":{"cmd":"true","envs":{"A":null}}}'])
def test_null_inside_lists_and_maps(text):
    assert stream_refused("Process/Start", text, "invalid_argument").startswith("unmarshal message: ")


def test_characters_and_surrogate_pairs(scratch):
    name = "é✓🎉\x7f\u2028"
    with open(f"{scratch}/{name}", "w", encoding="ascii"):
        pass
    text = '{"path":"%s/\\u00e9\\u2713\\ud83c\\udf89\\u007F\\u2028"}' % scratch
    assert must(STAT, text)["entry"]["name"] == name


def test_escapes_reach_the_command():
    text = '{"process":{"cmd":"printf","args":["%s","\\b\\f\\n\\r\\t\\"\\\\\\/\\u001f"]}}'
    with start(text) as done:
        done.finish()
    assert done.output["stdout"] == b"\b\f\n\r\t\"\\/\x1f"


@pytest.mark.ours
def test_nul_reaches_the_handler():
    refused(STAT, '{"path":"/a\\u0000b"}', "invalid_argument",
            "the path holds a NUL byte: invalid argument")


@pytest.mark.parametrize("number", [
    "999999", '"999999"', "999999.0", "9.99999e5", '"9.99999e5"', "99999900e-2", "9999990E-1"])
def test_spellings_of_an_unsigned_number(number):
    refused(SIGNAL, '{"process":{"pid":%s},"signal":9}' % number, "not_found",
            "process with pid 999999 not found")


@pytest.mark.parametrize("number", [
    "1.5", "-1", "4294967296", '""', '" 1"', '"1 "', '"x"', "true", "[]", "{}", "1e10", '"-0.5"',
    "0x10", '"0x10"', "01", '"1_000"', "1e400"])
def test_values_that_are_no_unsigned_number(number):
    rejected(SIGNAL, '{"process":{"pid":%s},"signal":9}' % number)


def test_largest_unsigned_number():
    refused(SIGNAL, {"process": {"pid": 4294967295}, "signal": 9}, "not_found",
            "process with pid 4294967295 not found")


@pytest.mark.parametrize("value", ['"true"', "1", "0", '""', "[]", "{}", "True"])
def test_values_that_are_no_bool(value):
    text = '{"process":{"cmd":"true"},"stdin":%s}' % value
    assert stream_refused("Process/Start", text, "invalid_argument").startswith("unmarshal message: ")


@pytest.mark.parametrize("signal", ['"SIGNAL_SIGKILL"', "9", "9.0", "9e0"])
def test_spellings_of_an_enum(signal):
    with start({"process": {"cmd": "sleep", "args": ["300"]}}) as done:
        must(SIGNAL, '{"process":{"pid":%d},"signal":%s}' % (done.pid, signal))
        assert done.finish()["status"] == "signal: killed"


@pytest.mark.parametrize("signal", ['"SIGNAL_OTHER"', '"9"', '"sigkill"', '"SIGNAL_UNSPECIFIED"', "0", "null"])
def test_enum_values_that_leave_it_unset(signal):
    with start({"process": {"cmd": "cat"}}) as done:
        refused(SIGNAL, '{"process":{"pid":%d},"signal":%s}' % (done.pid, signal),
                "unimplemented", "invalid signal: SIGNAL_UNSPECIFIED")


@pytest.mark.parametrize("signal", ["1.5", "true", "[]", "{}", "2147483648"])
def test_values_that_are_no_enum(signal):
    rejected(SIGNAL, '{"process":{"pid":999999},"signal":%s}' % signal)


@pytest.mark.parametrize("text, expected", [
    ("aGk=", b"hi"), ("aGk", b"hi"), ("-_-_", b"\xfb\xff\xbf"), ("+/+/", b"\xfb\xff\xbf"), ("", b""),
    ("AA==", b"\0"), ("AA", b"\0"), ("-_8=", b"\xfb\xff"), ("-_8", b"\xfb\xff")])
def test_spellings_of_bytes(text, expected):
    with start({"process": {"cmd": "cat"}}) as cat:
        must("Process/SendInput", {"process": {"pid": cat.pid}, "input": {"stdin": text}})
        must("Process/CloseStdin", {"process": {"pid": cat.pid}})
        cat.finish()
    assert cat.output["stdout"] == expected


@pytest.mark.parametrize("text", ['"aGk= "', '" aGk="', '"a"', '"aGk=="', '"a=Gk"', '"+_+_"', '"a!k="',
                                  '"aG\\nk="', "1", "[104,105]", "null,", "{}"])
def test_values_that_are_no_bytes(text):
    rejected("Process/SendInput", '{"process":{"pid":999999},"input":{"stdin":%s}}' % text)


@pytest.mark.parametrize("members", [
    '"args":"x"', '"args":{"0":"x"}', '"args":[1]', '"args":[["x"]]', '"envs":[]', '"envs":"A=B"',
    '"envs":{"A":1}', '"envs":{"A":"1","A":"2"}', '"envs":{"A":{}}', '"cwd":1', '"cmd":"a","cmd":"b"'])
def test_rejected_members_of_a_command(members):
    text = '{"process":{%s}}' % members
    assert stream_refused("Process/Start", text, "invalid_argument").startswith("unmarshal message: ")


@pytest.mark.parametrize("selector", [
    '{"pid":1,"tag":"x"}', '{"pid":0,"tag":""}', '{"tag":"x","pid":1}'])
def test_two_members_of_a_oneof(selector):
    message = refused(SIGNAL, '{"process":%s,"signal":9}' % selector, "invalid_argument")
    assert "oneof process.ProcessSelector.selector is already set" in message


@pytest.mark.parametrize("selector, text", [
    ('{"pid":0}', "process with pid 0 not found"), ('{"tag":""}', "process with tag  not found"),
    ('{"pid":null,"tag":"t"}', "process with tag t not found")])
def test_default_value_of_a_oneof_member_counts(selector, text):
    refused(SIGNAL, '{"process":%s,"signal":9}' % selector, "not_found", text)


@pytest.mark.parametrize("text", ['{"process":1}', '{"process":"x"}', '{"process":[]}', '{"process":true}'])
def test_values_that_are_no_message(text):
    rejected(SIGNAL, text)


def test_original_and_camel_case_names():
    for name in ("watcherId", "watcher_id"):
        refused("Filesystem/RemoveWatcher", {name: "w1"}, "not_found", "watcher with id w1 not found")
    refused("Filesystem/RemoveWatcher", {"watcherID": "w1"}, "not_found", "watcher with id  not found")
    rejected("Filesystem/RemoveWatcher", b'{"watcherId":"a","watcher_id":"b"}')


def test_nesting_has_a_limit():
    deep = b'{"x":' * 20_000 + b"1" + b"}" * 20_000
    rejected(STAT, deep)
    shallow = b'{"path":"/dev/null","x":' + b"[" * 60 + b"]" * 60 + b"}"
    accepted(shallow)


def test_large_string():
    status, body = call(STAT, {"path": "/" + "x" * 2_000_000})
    assert status == 500 and body["code"] == "internal"
