"""Requests cut at every byte, and responses taken apart again."""

import pytest

import rpc
import wire
from rpc import STREAM, by_pid, data, envelope, outcome, route, start
from wire import barrier, chunked, request

START = request("POST", route("Process/Start"), STREAM,
                envelope({"process": {"cmd": "echo", "args": ["hi"]}, "stdin": False}))


def deliver(conn, pieces):
    """Send the pieces one after another, each read before the next leaves."""
    for piece in pieces[:-1]:
        conn.send(piece)
        barrier()
    conn.send(pieces[-1])


def check_start(answer):
    messages, final = outcome(answer)
    assert final == {}
    kinds = [next(iter(message["event"])) for message in messages]
    assert kinds == ["start", "data", "end"]
    assert messages[1]["event"]["data"] == {"stdout": data("hi\n")}
    end = messages[2]["event"]["end"]
    assert (end["exited"], end["status"]) == (True, "exit status 0")


@pytest.mark.parametrize("offset", range(1, len(START)))
def test_start_split_in_two(conn, offset):
    deliver(conn, [START[:offset], START[offset:]])
    check_start(conn.answer())


def test_start_byte_by_byte(conn):
    deliver(conn, [START[i:i + 1] for i in range(len(START))])
    check_start(conn.answer())


def input_request(pid, text):
    events = [{"start": by_pid(pid)}, {"keepalive": {}},
              {"data": {"input": {"stdin": data(text[:2])}}},
              {"data": {"input": {"stdin": data(text[2:])}}}]
    body = b"".join(map(envelope, events))
    head = request("POST", route("Process/StreamInput"), {**STREAM, "Transfer-Encoding": "chunked"})
    return head, body


def check_input(conn, cat, text):
    assert outcome(conn.answer()) == ([{}], {})
    cat.until(text.encode())


def test_stream_input_split_in_two_anywhere():
    with start({"process": {"cmd": "cat"}}) as cat:
        head, body = input_request(cat.pid, "0000;")
        whole = head + chunked([body[:7], body[7:100], body[100:]])
        for offset in range(1, len(whole)):
            text = f"{offset:04};"
            head, body = input_request(cat.pid, text)
            whole = head + chunked([body[:7], body[7:100], body[100:]])
            with wire.Connection() as conn:
                deliver(conn, [whole[:offset], whole[offset:]])
                check_input(conn, cat, text)
        assert cat.output["stdout"] == b"".join(b"%04d;" % n for n in range(1, len(whole)))


def test_stream_input_with_chunks_cut_anywhere():
    with start({"process": {"cmd": "cat"}}) as cat:
        for offset in range(1, len(input_request(cat.pid, "0000;")[1])):
            text = f"{offset:04};"
            head, body = input_request(cat.pid, text)
            with wire.Connection() as conn:
                deliver(conn, [head + b"%x\r\n%s\r\n" % (offset, body[:offset]),
                               chunked([body[offset:]])])
                check_input(conn, cat, text)


def test_stream_input_byte_by_byte(conn):
    with start({"process": {"cmd": "cat"}}) as cat:
        head, body = input_request(cat.pid, "slowly")
        whole = head + chunked([body[i:i + 1] for i in range(len(body))])
        deliver(conn, [whole[i:i + 1] for i in range(len(whole))])
        check_input(conn, cat, "slowly")


def test_stream_input_is_written_as_it_arrives(conn):
    with start({"process": {"cmd": "cat"}}) as cat:
        conn.send(request("POST", route("Process/StreamInput"),
                          {**STREAM, "Transfer-Encoding": "chunked"}))
        for event in ({"start": by_pid(cat.pid)}, {"data": {"input": {"stdin": data("one ")}}}):
            conn.send(chunked([envelope(event)])[:-5])
        cat.until(b"one ")
        conn.send(chunked([envelope({"data": {"input": {"stdin": data("two")}}})])[:-5])
        cat.until(b"one two")
        conn.send(b"0\r\n\r\n")
        assert outcome(conn.answer()) == ([{}], {})


@pytest.mark.parametrize("body", [
    b"3;ext=1\r\n{} \r\n0\r\n\r\n",
    b"3;ext=\"quoted\"\r\n{} \r\n0\r\n\r\n",
    b"0003\r\n{} \r\n0000\r\n\r\n",
    b"1\r\n{\r\n1\r\n}\r\n0\r\nTrailer-Field: x\r\n\r\n",
], ids=["extension", "quoted extension", "leading zeros", "trailer"])
def test_spellings_of_chunks(conn, body):
    conn.send(request("POST", route("Process/List"),
                      {**rpc.JSON, "Transfer-Encoding": "chunked"}) + body)
    assert conn.answer().body == b"{}"


def test_upper_case_chunk_size(conn):
    conn.send(request("POST", route("Process/List"), {**rpc.JSON, "Transfer-Encoding": "chunked"}))
    conn.send(b"1A\r\n{" + b" " * 24 + b"}\r\n0\r\n\r\n")
    assert conn.answer().body == b"{}"


def test_one_envelope_per_flush():
    """Output reaches the client while the command still runs."""
    with start(rpc.shell("echo one; read line; echo two")) as run:
        run.until(b"one\n")
        assert b"two" not in run.output["stdout"]
        rpc.must("Process/SendInput", by_pid(run.pid, input={"stdin": data("\n")}))
        run.finish()
        assert run.output["stdout"] == b"one\ntwo\n"
