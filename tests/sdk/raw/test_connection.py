"""Life of a connection: keep-alive, pipelining, HTTP/1.0, Expect, limits."""

import json
import re

import pytest

import wire
from rpc import JSON, STREAM, envelope, outcome, route, shell, start
from wire import Connection, chunked, exchange, request

LIST = request("POST", route("Process/List"), JSON, b"{}")
START = request("POST", route("Process/Start"), STREAM, envelope({"process": {"cmd": "true"}}))
HEALTH = request("GET", "/health")


def test_keep_alive_across_kinds_of_requests(conn):
    for _ in range(3):
        conn.send(HEALTH)
        assert conn.answer().status == 204
        conn.send(START)
        assert outcome(conn.answer())[1] == {}
        conn.send(LIST)
        assert conn.answer().status == 200
        conn.send(request("GET", "/missing"))
        assert conn.answer().status == 404


def test_pipelining_in_order(conn):
    conn.send(HEALTH + LIST + START + request("GET", "/missing") + LIST + HEALTH)
    assert conn.answer().status == 204
    assert json.loads(conn.answer().body) == {}
    assert outcome(conn.answer())[1] == {}
    assert conn.answer().status == 404
    assert conn.answer().status == 200
    assert conn.answer().status == 204


def test_pipelining_behind_a_chunked_body(conn):
    head = request("POST", route("Process/List"), {**JSON, "Transfer-Encoding": "chunked"})
    conn.send((head + chunked([b"{", b"}"])) * 5 + HEALTH)
    for _ in range(5):
        assert conn.answer().status == 200
    assert conn.answer().status == 204


def test_request_pipelined_behind_a_running_stream():
    with start(shell("read line; echo done")) as run:
        run.conn.send(HEALTH)
        with Connection() as other:
            body = json.dumps({"process": {"pid": run.pid}, "input": {"stdin": "Cg=="}})
            other.send(request("POST", route("Process/SendInput"), JSON, body.encode()))
            assert other.answer().status == 200
        run.finish()
        assert run.conn.answer().status == 204


def test_connection_close(conn):
    conn.send(request("GET", "/health", {"Connection": "close"}))
    answer = conn.answer()
    assert (answer.status, answer.get("connection")) == (204, "close")
    assert conn.at_end()


def test_connection_close_after_a_stream(conn):
    conn.send(request("POST", route("Process/Start"), {**STREAM, "Connection": "close"},
                      envelope({"process": {"cmd": "true"}})))
    answer = conn.answer()
    assert answer.get("connection") == "close"
    assert outcome(answer)[1] == {}
    assert conn.at_end()


def test_http_1_0_closes(conn):
    conn.send(request("GET", "/envs", version="HTTP/1.0"))
    answer = conn.answer()
    assert answer.status == 200 and answer.get("transfer-encoding") is None
    assert conn.at_end()


def test_http_1_0_keep_alive_is_echoed(conn):
    for _ in range(2):
        conn.send(request("GET", "/envs", {"Connection": "keep-alive"}, version="HTTP/1.0"))
        answer = conn.answer()
        assert answer.status == 200
        assert answer.get("connection").lower() == "keep-alive"


def test_http_1_0_needs_no_host(conn):
    conn.send(b"GET /health HTTP/1.0\r\n\r\n")
    assert conn.answer().status == 204


def test_http_1_0_stream_ends_with_the_connection(conn):
    conn.send(request("POST", route("Process/Start"), STREAM,
                      envelope({"process": {"cmd": "echo", "args": ["hi"]}}), "HTTP/1.0"))
    answer = conn.answer()
    assert answer.get("transfer-encoding") is None and answer.get("content-length") is None
    messages, final = outcome(answer)
    assert len(messages) == 3 and final == {}


def test_expect_continue(conn):
    conn.send(request("POST", route("Process/List"),
                      {**JSON, "Expect": "100-continue", "Content-Length": "2"}))
    assert conn.answer().status == 100
    conn.send(b"{}")
    assert conn.answer().status == 200


def test_expect_continue_on_a_stream(conn):
    body = envelope({"process": {"cmd": "true"}})
    conn.send(request("POST", route("Process/Start"),
                      {**STREAM, "Expect": "100-continue", "Content-Length": str(len(body))}))
    assert conn.answer().status == 100
    conn.send(body)
    assert outcome(conn.answer())[1] == {}


def test_expect_continue_with_the_body_already_there(conn):
    conn.send(request("POST", route("Process/List"), {**JSON, "Expect": "100-continue"}, b"{}"))
    answer = conn.answer()
    if answer.status == 100:
        answer = conn.answer()
    assert answer.status == 200


@pytest.mark.ours
@pytest.mark.parametrize("path, headers, status", [
    (route("Process/List"), {"Content-Type": "text/plain"}, 415),
    ("/missing", {}, 404),
    ("/health", {}, 405),
])
def test_early_rejection_needs_no_body(conn, path, headers, status):
    conn.send(request("POST", path, {**headers, "Expect": "100-continue", "Content-Length": "5"}))
    answer = conn.answer()
    assert answer.status == status
    assert answer.get("connection") == "close"
    assert conn.at_end()


def test_unknown_expectation(conn):
    conn.send(request("GET", "/health", {"Expect": "the-unexpected"}))
    answer = conn.answer()
    assert (answer.status, answer.body) == (417, b"")
    assert conn.at_end()


def test_unread_body_is_drained(conn):
    conn.send(request("POST", "/missing", body=b"x" * 100_000) + HEALTH)
    assert conn.answer().status == 404
    assert conn.answer().status == 204


def test_large_unread_body_closes(conn):
    conn.send(request("POST", "/missing", {"Content-Length": "10000000"}))
    answer = conn.answer()
    assert answer.status == 404
    assert answer.get("connection") == "close"


def test_both_protocols_of_the_socket():
    for host in ("127.0.0.1", "::1"):
        with Connection(host=host) as conn:
            conn.send(HEALTH)
            assert conn.answer().status == 204


def test_absolute_form(conn):
    conn.send(request("GET", "http://elsewhere/health"))
    assert conn.answer().status == 204


def test_offer_of_http_2_is_ignored(conn):
    conn.send(request("GET", "/health", {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                                         "HTTP2-Settings": "AAMAAABkAAQAAP__"}))
    answer = conn.answer()
    assert (answer.version, answer.status) == ("HTTP/1.1", 204)


def test_date():
    pattern = r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    for path in ("/health", "/envs", "/missing"):
        assert re.fullmatch(pattern, exchange("GET", path).get("date"))


def test_head_of_two_megabytes_is_refused(conn):
    refuse_head(conn, 2_000_000)


@pytest.mark.ours
def test_head_beyond_64_kib_is_refused(conn):
    refuse_head(conn, 70_000)


def refuse_head(conn, size):
    try:
        conn.send(request("GET", "/health", {"X-Long": "x" * size}))
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert conn.answer().status == 431


def test_head_of_30_kb_is_accepted(conn):
    conn.send(request("GET", "/health", {f"X-{n}": "x" * 1000 for n in range(30)}))
    assert conn.answer().status == 204


def test_many_connections_at_once():
    connections = [wire.Connection() for _ in range(200)]
    try:
        for conn in connections:
            conn.send(HEALTH)
        for conn in connections:
            assert conn.answer().status == 204
    finally:
        for conn in connections:
            conn.close()
