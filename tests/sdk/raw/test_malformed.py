"""Requests that are not HTTP, or not quite."""

import pytest

import rpc
from rpc import JSON, route
from wire import barrier, exchange, request

LIST = route("Process/List")


@pytest.mark.parametrize("text, status", [
    (b"GET /health HTTP/1.1\r\n\r\n", 400),
    (b"garbage\r\n\r\n", 400),
    (b"GET /he%zzlth HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
], ids=["no host", "garbage", "bad escape", "version 2", "no colon", "length not a number",
        "two lengths", "negative length"])
def test_protocol_error(conn, text, status):
    conn.send(text)
    answer = conn.answer()
    assert answer.status == status
    assert answer.get("connection") == "close"
    assert answer.get("content-type").startswith("text/plain")
    assert answer.get("access-control-allow-origin") is None
    assert conn.at_end()
    barrier()


def test_missing_host_is_named(conn):
    conn.send(b"GET /health HTTP/1.1\r\n\r\n")
    assert conn.answer().body == b"400 Bad Request: missing required Host header"


@pytest.mark.parametrize("method", ["FOO", "TRACE", "get"])
def test_unknown_method(conn, method):
    conn.send(request(method, "/health"))
    assert conn.answer().status == 405


def test_http_2_preface(conn):
    conn.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert conn.head().status in (400, 405, 505)
    barrier()


def test_chunked_beats_content_length(conn):
    conn.send(request("POST", LIST, {**JSON, "Transfer-Encoding": "chunked", "Content-Length": "99"})
              + b"2\r\n{}\r\n0\r\n\r\n")
    answer = conn.answer()
    assert (answer.status, answer.body) == (200, b"{}")


@pytest.mark.parametrize("body", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n"],
                         ids=["size", "end of chunk", "sign"])
def test_bad_chunk(conn, body):
    conn.send(request("POST", LIST, {**JSON, "Transfer-Encoding": "chunked"}) + body)
    assert conn.answer().status in (400, 500)
    assert conn.at_end()
    barrier()


def test_unknown_transfer_coding(conn):
    conn.send(request("POST", LIST, {**JSON, "Transfer-Encoding": "gzip"}, b"{}"))
    assert conn.answer().status in (400, 501)
    assert conn.at_end()


@pytest.mark.ours
@pytest.mark.parametrize("text", [
    b"POST /process.Process/List HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"X-Empty:\rContent-Length: 2\r\n\r\n{}",
    b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 5\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n",
], ids=["bare CR in a field", "folded length", "bare CR before the end"])
def test_heads_that_could_smuggle(conn, text):
    conn.send(text)
    answer = conn.answer()
    assert answer.status == 400
    assert conn.at_end()


@pytest.mark.ours
def test_many_small_things_take_no_more_memory_than_they_may():
    """Within the limit of a message, but many times its text when decoded."""
    body = b'{"process":{"cmd":"true","args":[' + b'"",' * 9_000_000 + b'""]}}'
    said = rpc.stream_refused("Process/Start", body, "resource_exhausted")
    assert said.endswith("message needs too much memory")
    body = b'{"source_paths":[' + b'"",' * 1_300_000 + b'""],"destination":"/tmp/x"}'
    assert exchange("POST", "/files/compose", {"Content-Type": "application/json"}, body).status == 400
