"""GET /files in parts and under conditions: exact heads, multipart bodies, entity tags."""

import os
import time

import pytest

from wire import Connection, exchange, request

TEXT = b"0123456789abcdefghij"
DATE = "Sun, 13 Sep 2020 12:26:40 GMT"
BEFORE = "Sun, 13 Sep 2020 12:26:39 GMT"
MIB = 1 << 20
PART = b"\r\nContent-Range: bytes %d-%d/%d\r\nContent-Type: %s\r\n\r\n"


def make(path, content, modified=1_600_000_000):
    with open(path, "wb") as made:
        made.write(content)
    os.utime(path, (modified, modified))
    return path


@pytest.fixture
def file(scratch):
    return make(f"{scratch}/file", TEXT)


def get(path, headers=(), method="GET"):
    return exchange(method, f"/files?path={path}", headers)


def heads(answer):
    """All headers but Date and the id of the request, each once."""
    fields = {name: value for name, value in answer.headers
              if name not in ("date", "x-request-id")}
    assert len(fields) == len(answer.headers) - 2
    return fields


def framed(answer, size, kind, ranges, data):
    """The body that several ranges must have."""
    boundary = answer.get("content-type").removeprefix("multipart/byteranges; boundary=").encode()
    assert boundary and boundary not in data
    body = b""
    for first, last in ranges:
        body += b"--" + boundary + PART % (first, last, size, kind) + data[first:last + 1] + b"\r\n"
    return body + b"--" + boundary + b"--\r\n"


COMMON = {"content-disposition": "inline; filename=file", "vary": "Origin, Accept-Encoding"}


@pytest.mark.ours
def test_heads_of_each_answer(file):
    tag = get(file).get("etag")
    assert tag.startswith('"') and tag.endswith('"')
    known = {**COMMON, "etag": tag, "last-modified": DATE}
    text = {"content-type": "text/plain; charset=utf-8"}
    assert heads(get(file)) == {**known, **text, "accept-ranges": "bytes", "content-length": "20"}
    assert heads(get(file, {"Range": "bytes=1-2"})) == {
        **known, **text, "accept-ranges": "bytes", "content-length": "2", "content-range": "bytes 1-2/20"}
    assert heads(get(file, {"If-None-Match": "*"})) == known
    assert heads(get(file, {"If-Match": '"x"'})) == {**known, "content-length": "0"}
    refused = {**COMMON, **text, "x-content-type-options": "nosniff"}
    assert heads(get(file, {"Range": "bytes=20-"})) == {
        **refused, "content-range": "bytes */20", "content-length": "33"}
    assert heads(get(file, {"Range": "bytes=x"})) == {**refused, "content-length": "14"}


@pytest.mark.ours
def test_vary_has_both_after_cors(file):
    answer = get(file, {"Origin": "https://example.com"})
    assert answer.all("vary") == ["Origin, Accept-Encoding"]
    assert answer.get("access-control-allow-origin") == "*"


@pytest.mark.parametrize("value, ranges", [
    ("bytes=0-1,5-6", [(0, 1), (5, 6)]), ("bytes=15-,-2", [(15, 19), (18, 19)]),
    ("bytes=5-6,0-1,5-6", [(5, 6), (0, 1), (5, 6)]), ("bytes=-0,1-1", [(20, 19), (1, 1)]),
    ("bytes=0-0,99-100,19-30", [(0, 0), (19, 19)])])
def test_several_ranges_exactly(file, value, ranges):
    answer = get(file, {"Range": value})
    assert answer.status == 206 and answer.get("content-range") is None
    assert answer.body == framed(answer, 20, b"text/plain; charset=utf-8", ranges, TEXT)


@pytest.mark.parametrize("value", ["bytes=0-9,5-19,3-4", "bytes=0-,0-", "bytes=", "bytes=,"])
def test_more_than_the_whole_is_the_whole(file, value):
    answer = get(file, {"Range": value})
    assert (answer.status, answer.body) == (200, TEXT)


def test_last_nothing(file):
    answer = get(file, {"Range": "bytes=-0"})
    assert (answer.status, answer.body) == (206, b"")
    assert (answer.get("content-range"), answer.get("content-length")) == ("bytes 20-19/20", "0")


def test_range_of_an_empty_file(scratch):
    path = make(f"{scratch}/empty", b"")
    for value in ("bytes=0-1", "bytes=5-"):
        answer = get(path, {"Range": value})
        assert (answer.status, answer.get("content-length"), answer.body) == (200, "0", b"")
    assert get(path, {"Range": "bytes=x"}).status == 416


@pytest.mark.ours
def test_numbers_beyond_64_bits_lie_behind_the_end(file):
    answer = get(file, {"Range": "bytes=18-99999999999999999999"})
    assert (answer.status, answer.body) == (206, b"ij")


@pytest.mark.ours
def test_a_thousand_ranges_and_one_too_many(file):
    answer = get(file, {"Range": "bytes=" + ",".join(["-0"] * 1024)})
    assert answer.status == 206
    assert answer.body == framed(answer, 20, b"text/plain; charset=utf-8", [(20, 19)] * 1024, TEXT)
    assert get(file, {"Range": "bytes=" + ",".join(["-0"] * 1025)}).status == 200


def test_ranges_of_a_large_file(scratch):
    data = os.urandom(MIB) * 24
    path = make(f"{scratch}/large.bin", data)
    for first, last in ((0, 24 * MIB - 1), (MIB + 1, 20 * MIB), (24 * MIB - 1, 24 * MIB - 1)):
        answer = get(path, {"Range": f"bytes={first}-{last}"})
        assert answer.status == 206 and answer.body == data[first:last + 1]
    ranges = [(5, 9 * MIB), (10 * MIB, 10 * MIB), (11 * MIB + 3, 23 * MIB)]
    answer = get(path, {"Range": "bytes=" + ",".join(f"{a}-{b}" for a, b in ranges)})
    assert answer.status == 206
    assert answer.body == framed(answer, 24 * MIB, b"application/octet-stream", ranges, data)


def test_connection_goes_on_behind_parts(conn, file):
    for _ in range(3):
        for value in ("bytes=0-1,5-6", "bytes=3-4", "bytes=20-"):
            conn.send(request("GET", f"/files?path={file}", {"Range": value}))
    answers = [conn.answer() for _ in range(9)]
    assert [answer.status for answer in answers] == [206, 206, 416] * 3
    assert answers[-2].body == b"34"


def test_file_that_shrinks_between_its_parts_is_cut(scratch):
    path = f"{scratch}/file"
    with open(path, "wb") as made:
        made.truncate(256 * MIB)
    with Connection(receive_buffer=4096) as conn:
        conn.send(request("GET", f"/files?path={path}", {"Range": f"bytes=0-{100 * MIB},-{100 * MIB}"}))
        assert conn.head().status == 206
        os.truncate(path, MIB)
        length = 0
        try:
            while data := conn.socket.recv(MIB):
                length += len(data)
        except ConnectionResetError:
            pass
        assert length < 200 * MIB


@pytest.mark.parametrize("value", [DATE, "Sunday, 13-Sep-20 12:26:40 GMT", "Sun Sep 13 12:26:40 2020"])
def test_three_forms_of_dates(file, value):
    assert get(file, {"If-Modified-Since": value}).status == 304


@pytest.mark.parametrize("headers, status", [
    ({"If-Match": "*", "If-Unmodified-Since": BEFORE}, 200),
    ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200),
    ({"If-Match": '"x"', "If-None-Match": "*"}, 412), ({"If-Modified-Since": "soon"}, 200),
    ({"If-Unmodified-Since": "soon"}, 200), ({"If-None-Match": "*", "Range": "bytes=0-1"}, 304),
    ({"If-Match": '"x"', "Range": "bytes=99-"}, 412)])
def test_order_of_conditions(file, headers, status):
    assert get(file, headers).status == status


def test_file_from_the_epoch_has_no_date(scratch):
    path = make(f"{scratch}/file", TEXT, 0)
    answer = get(path, {"If-Modified-Since": DATE, "If-Unmodified-Since": BEFORE})
    assert (answer.status, answer.get("last-modified")) == (200, None)


@pytest.mark.ours
def test_entity_tag_under_conditions(file):
    tag = get(file).get("etag")
    for headers, status in [
            ({"If-Match": tag}, 200), ({"If-Match": f'"x", {tag}'}, 200), ({"If-Match": "W/" + tag}, 412),
            ({"If-None-Match": tag}, 304), ({"If-None-Match": f'"x", W/{tag}'}, 304),
            ({"If-None-Match": '"x"'}, 200), ({"If-Match": tag, "If-Unmodified-Since": BEFORE}, 200),
            ({"If-None-Match": tag, "If-Modified-Since": BEFORE}, 304),
            ({"Range": "bytes=0-1", "If-Range": tag}, 206),
            ({"Range": "bytes=0-1", "If-Range": "W/" + tag}, 200),
            ({"Range": "bytes=99-", "If-Range": '"x"'}, 200)]:
        assert get(file, headers).status == status, headers
        assert get(file, headers, "HEAD").status == status, headers


@pytest.mark.ours
def test_entity_tag_tells_states_of_a_file_apart(scratch):
    path = make(f"{scratch}/file", TEXT)
    tags = {get(path).get("etag")}
    os.utime(path, ns=(0, 1_600_000_000 * 10**9 + 1))
    tags.add(get(path).get("etag"))
    make(path, TEXT + b"k")
    tags.add(get(path).get("etag"))
    make(f"{scratch}/other", TEXT)
    os.rename(f"{scratch}/other", path)
    tags.add(get(path).get("etag"))
    assert len(tags) == 4 and all(tag[0] == '"' for tag in tags)


@pytest.mark.ours
def test_young_files_have_a_weak_tag(scratch):
    path = make(f"{scratch}/file", TEXT, time.time() + 3600)
    tag = get(path).get("etag")
    assert tag.startswith('W/"')
    assert get(path, {"If-None-Match": tag}).status == 304
    assert get(path, {"If-Match": tag}).status == 412
    for value in (tag, get(path).get("last-modified")):
        assert get(path, {"Range": "bytes=0-1", "If-Range": value}).status == 200


@pytest.mark.ours
@pytest.mark.parametrize("path", ["/proc/version", "/dev/null"])
def test_what_has_no_state_has_no_validators(path):
    answer = get(path, {"Range": "bytes=0-1", "If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"})
    assert answer.status == 200
    for name in ("etag", "last-modified", "accept-ranges"):
        assert answer.get(name) is None
