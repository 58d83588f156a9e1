"""GET /files compressed: which files, how, and how many at once."""

import gzip
import os

import pytest

from conftest import eventually
from wire import Connection, exchange, request

MIB = 1 << 20
WORDS = b"".join(b"%d words of a line that can be packed\n" % i for i in range(60000))
GZIP = {"Accept-Encoding": "gzip"}
ONLY = {"Accept-Encoding": "gzip, identity;q=0"}


def make(path, content):
    with open(path, "wb") as made:
        made.write(content)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def get(path, headers, method="GET"):
    return exchange(method, f"/files?path={path}", headers)


@pytest.mark.parametrize("size", [1, 100, 65536, 65537, 262144, 262145, 2_000_000])
def test_sizes(scratch, size):
    path = make(f"{scratch}/words.txt", WORDS[:size])
    answer = get(path, GZIP)
    assert (answer.status, answer.get("content-encoding")) == (200, "gzip")
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert gzip.decompress(answer.body) == WORDS[:size]
    for name in ("last-modified", "accept-ranges", "etag"):
        assert answer.get(name) is None


def test_what_cannot_be_packed(scratch):
    data = os.urandom(3 * MIB)
    answer = get(make(f"{scratch}/noise", data), GZIP)
    assert gzip.decompress(answer.body) == data


@pytest.mark.ours
@pytest.mark.parametrize("size, known", [(20, True), (262144, True), (262145, False)])
def test_length_is_known_of_small_files(scratch, size, known):
    path = make(f"{scratch}/words", WORDS[:size])
    answer = get(path, GZIP)
    assert (answer.get("content-length") is not None) == known
    assert (answer.get("transfer-encoding") == "chunked") != known
    head = get(path, GZIP, "HEAD")
    assert (head.status, head.get("content-encoding")) == (200, "gzip")
    assert head.get("content-length") == answer.get("content-length")


@pytest.mark.ours
@pytest.mark.parametrize("name, content", [
    ("a.png", WORDS[:99]), ("a.zip", WORDS[:99]), ("a.mp4", WORDS), ("packed", b"\x1f\x8b\x08" + WORDS),
    ("empty", b"")])
def test_what_is_packed_or_empty_is_sent_as_it_is(scratch, name, content):
    path = make(f"{scratch}/{name}", content)
    answer = get(path, GZIP)
    assert (answer.status, answer.get("content-encoding"), answer.body) == (200, None, content)
    assert (answer.get("content-length"), answer.get("accept-ranges")) == (str(len(content)), "bytes")
    answer = get(path, ONLY)
    assert answer.get("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == content


@pytest.mark.ours
@pytest.mark.parametrize("name, content", [
    ("text", b"words"), ("page", b"<html>"), ("noise", b"\0\1\2"), ("a.json", b"{}"), ("large", WORDS)])
def test_one_type_in_both_codings(scratch, name, content):
    path = make(f"{scratch}/{name}", content)
    assert get(path, ONLY).get("content-type") == get(path, {}).get("content-type")


@pytest.mark.ours
def test_conditions_count(scratch):
    path = make(f"{scratch}/file", b"content")
    tag = get(path, {}).get("etag")
    answer = get(path, {**GZIP, "If-Match": tag})
    assert (answer.status, answer.get("content-encoding")) == (200, "gzip")
    assert get(path, {**GZIP, "If-Unmodified-Since": "Sun, 13 Sep 2020 12:26:40 GMT"}).status == 200
    for headers in ({"If-Match": '"x"'}, {"If-Unmodified-Since": "Sun, 13 Sep 2020 12:26:39 GMT"}):
        answer = get(path, {**GZIP, **headers})
        assert (answer.status, answer.body, answer.get("content-encoding")) == (412, b"", None)
        assert answer.get("vary") == "Origin, Accept-Encoding"


@pytest.mark.parametrize("name, value", [
    ("If-None-Match", '"x"'), ("If-Modified-Since", "Sun, 13 Sep 2020 12:26:39 GMT"),
    ("If-Range", '"x"')])
def test_other_conditions_ask_for_the_file_as_it_is(scratch, name, value):
    path = make(f"{scratch}/file", b"content")
    answer = get(path, {**GZIP, name: value})
    assert (answer.status, answer.get("content-encoding"), answer.body) == (200, None, b"content")
    assert get(path, {**ONLY, name: value}).status == 406


@pytest.mark.ours
def test_virtual_file():
    answer = get("/proc/kallsyms", GZIP)
    assert (answer.status, answer.get("content-encoding")) == (200, "gzip")
    assert gzip.decompress(answer.body).count(b"\n") > 1000


def test_first_header_counts(conn, scratch):
    path = make(f"{scratch}/file", b"content")
    conn.send(f"GET /files?path={path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n"
              "Accept-Encoding: gzip\r\n\r\n".encode())
    assert conn.answer().get("content-encoding") is None


@pytest.mark.ours
def test_file_that_shrinks_is_cut(scratch):
    path = make(f"{scratch}/noise", os.urandom(32 * MIB))
    with Connection(receive_buffer=4096) as conn:
        conn.send(request("GET", f"/files?path={path}", GZIP))
        assert conn.head().get("content-encoding") == "gzip"
        os.truncate(path, MIB)
        with pytest.raises((EOFError, ConnectionResetError)):
            while conn.chunk():
                pass


AT_ONCE = 128


@pytest.mark.ours
def test_so_many_at_once(scratch):
    path = make(f"{scratch}/noise", os.urandom(16 * MIB))
    small = make(f"{scratch}/small", b"content")
    busy = [Connection(receive_buffer=4096) for _ in range(AT_ONCE)]
    try:
        for conn in busy:
            conn.send(request("GET", f"/files?path={path}", GZIP))
        for conn in busy:
            assert conn.head().get("content-encoding") == "gzip"
        answer = get(small, GZIP)
        assert (answer.status, answer.get("content-encoding"), answer.body) == (200, None, b"content")
        assert get(small, ONLY).status == 503
    finally:
        for conn in busy:
            conn.close()
    eventually(lambda: get(small, ONLY).status == 200)
    assert get(small, GZIP).get("content-encoding") == "gzip"
