"""GET /files: checks, headers, ranges, content coding."""

import gzip
import json
import os

import pytest

from wire import exchange

TEXT = b"0123456789abcdefghij"


@pytest.fixture
def file(scratch):
    """A file of twenty bytes without an extension."""
    path = f"{scratch}/file"
    with open(path, "wb") as made:
        made.write(TEXT)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def get(path, headers=(), query=""):
    return exchange("GET", f"/files?path={path}{query}", headers)


def refused(answer, status, message):
    assert answer.status == status, answer.body
    assert answer.get("content-type") == "application/json; charset=utf-8"
    assert answer.get("x-content-type-options") == "nosniff"
    assert json.loads(answer.body) == {"code": status, "message": message}
    assert answer.body.endswith(b"}\n")


def test_whole_file(file):
    answer = get(file)
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.get("content-length") == "20"
    assert answer.get("accept-ranges") == "bytes"
    assert answer.get("last-modified") == "Sun, 13 Sep 2020 12:26:40 GMT"
    assert answer.get("content-disposition") == "inline; filename=file"
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert "Accept-Encoding" in answer.get("vary")


def test_empty_file(scratch):
    with open(f"{scratch}/empty", "wb"):
        pass
    answer = get(f"{scratch}/empty")
    assert (answer.status, answer.get("content-length"), answer.body) == (200, "0", b"")


def test_large_file(scratch):
    data = os.urandom(1 << 20) * 20
    with open(f"{scratch}/large", "wb") as made:
        made.write(data)
    assert get(f"{scratch}/large").body == data


@pytest.mark.parametrize("name, header", [
    ("test.txt", "test.txt"), (".env", ".env"), ("archive.tar.gz", "archive.tar.gz"),
    ("my document.pdf", '"my document.pdf"'), ('file"name.txt', '"file\\"name.txt"'),
    ("file\\name.txt", '"file\\\\name.txt"'), ("文档.pdf", "utf-8''%E6%96%87%E6%A1%A3.pdf")])
def test_names_in_the_header(scratch, name, header):
    with open(f"{scratch}/{name}", "wb"):
        pass
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())
    answer = get(f"{scratch}/{quoted}")
    star = "*" if header.startswith("utf-8") else ""
    assert answer.get("content-disposition") == f"inline; filename{star}={header}"


@pytest.mark.parametrize("name, kind", [
    ("a.json", "application/json"), ("a.png", "image/png"), ("a.HTML", "text/html; charset=utf-8"),
    ("a.js", "text/javascript; charset=utf-8"), ("a.css", "text/css; charset=utf-8"),
    ("a.unknown-ending", "text/plain; charset=utf-8")])
def test_types_by_ending(scratch, name, kind):
    with open(f"{scratch}/{name}", "wb") as made:
        made.write(b"words\n")
    assert get(f"{scratch}/{name}").get("content-type") == kind


@pytest.mark.parametrize("content, kind", [
    (b"words", "text/plain; charset=utf-8"), (b"\x00\x01", "application/octet-stream"),
    (b"%PDF-1.7", "application/pdf"), (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"  <html>", "text/html; charset=utf-8"), (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"\xef\xbb\xbfx", "text/plain; charset=utf-8"), (b"\xfe\xff\0x", "text/plain; charset=utf-16be")])
def test_types_by_content(scratch, content, kind):
    with open(f"{scratch}/thing", "wb") as made:
        made.write(content)
    assert get(f"{scratch}/thing").get("content-type") == kind


def test_errors(scratch):
    refused(get(f"{scratch}/missing"), 404, f"path '{scratch}/missing' does not exist")
    os.symlink("nowhere", f"{scratch}/dangling")
    refused(get(f"{scratch}/dangling"), 404, f"path '{scratch}/dangling' does not exist")
    refused(get(scratch), 400, f"path '{scratch}' is a directory")
    refused(get("/etc/passwd/x"), 500,
            "error checking if path exists '/etc/passwd/x': stat /etc/passwd/x: not a directory")
    refused(get("/", query="&username=nobody2"), 401,
            "error looking up user 'nobody2': user: unknown user nobody2")
    refused(get("~nobody/x"), 400, "error expanding and resolving path '~nobody/x': failed to expand "
            "path '' for user 'root': cannot expand user-specific home dir")


@pytest.mark.parametrize("query, text", [
    ("path=/a&path=/b", "Invalid format for parameter path: multiple values for single value "
     "parameter 'path'\n"),
    ("path=/a&signature_expiration=x", "Invalid format for parameter signature_expiration: error "
     'binding string parameter: strconv.ParseInt: parsing "x": invalid syntax\n'),
    ("signature_expiration=", "Invalid format for parameter signature_expiration: error binding "
     'string parameter: strconv.ParseInt: parsing "": invalid syntax\n'),
    ("signature_expiration=99999999999999999999", "Invalid format for parameter signature_expiration: "
     'error binding string parameter: strconv.ParseInt: parsing "99999999999999999999": value out of '
     "range\n")])
def test_query_errors(query, text):
    answer = exchange("GET", f"/files?{query}")
    assert (answer.status, answer.body.decode()) == (400, text)
    assert answer.get("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("value, part", [
    ("bytes=0-4", (0, 4)), ("bytes=5-", (5, 19)), ("bytes=-3", (17, 19)), ("bytes=0-999", (0, 19)),
    ("bytes=19-19", (19, 19)), ("bytes=-999", (0, 19)), ("bytes= 2-3 ", (2, 3))])
def test_range(file, value, part):
    first, last = part
    answer = get(file, {"Range": value})
    assert (answer.status, answer.body) == (206, TEXT[first:last + 1])
    assert answer.get("content-range") == f"bytes {first}-{last}/20"
    assert answer.get("content-length") == str(last - first + 1)


@pytest.mark.parametrize("value, text", [
    ("bytes=20-", b"invalid range: failed to overlap\n"), ("bytes=99-100", b"invalid range: failed to overlap\n"),
    ("bytes=5-3", b"invalid range\n"), ("bytes=x-y", b"invalid range\n"), ("lines=0-1", b"invalid range\n")])
def test_range_that_cannot_be_served(file, value, text):
    answer = get(file, {"Range": value})
    assert (answer.status, answer.body) == (416, text)
    if b"overlap" in text:
        assert answer.get("content-range") == "bytes */20"


def test_several_ranges(file):
    answer = get(file, {"Range": "bytes=0-1,5-6"})
    assert answer.status == 206
    kind, _, boundary = answer.get("content-type").partition("; boundary=")
    assert kind == "multipart/byteranges"
    parts = answer.body.split(b"--" + boundary.encode())
    assert parts[1].endswith(b"\r\n\r\n01\r\n") and b"Content-Range: bytes 0-1/20" in parts[1]
    assert parts[2].endswith(b"\r\n\r\n56\r\n") and parts[3] == b"--\r\n"


@pytest.mark.parametrize("headers, status", [
    ({"If-Modified-Since": "Sun, 13 Sep 2020 12:26:40 GMT"}, 304),
    ({"If-Modified-Since": "Sun, 13 Sep 2020 12:26:39 GMT"}, 200),
    ({"If-Unmodified-Since": "Sun, 13 Sep 2020 12:26:39 GMT"}, 412),
    ({"If-Unmodified-Since": "Sun, 13 Sep 2020 12:26:40 GMT"}, 200),
    ({"If-None-Match": "*"}, 304), ({"If-None-Match": '"other"'}, 200), ({"If-Match": "*"}, 200),
    ({"If-Match": '"other"'}, 412),
    ({"Range": "bytes=0-1", "If-Range": "Sun, 13 Sep 2020 12:26:40 GMT"}, 206),
    ({"Range": "bytes=0-1", "If-Range": "Sun, 13 Sep 2020 12:26:39 GMT"}, 200),
    ({"Range": "bytes=0-1", "If-Range": '"tag"'}, 200)])
def test_conditions(file, headers, status):
    answer = get(file, headers)
    assert answer.status == status
    if status in (304, 412):
        assert answer.body == b""


@pytest.mark.parametrize("accept, coding", [
    ("", None), ("gzip", "gzip"), ("GZIP", "gzip"), ("deflate, gzip, br", "gzip"), ("identity", None),
    ("*", None), ("br", None), ("br;q=0.5, gzip;q=1.0, deflate;q=0.8", "gzip"), ("gzip;q=0, identity", None),
    ("gzip;q=0.5, identity;q=1.0", None), ("gzip;q=0, br", None), ("*, identity;q=0", "gzip"),
    ("*;q=0, identity", None), ("*;q=0, gzip", "gzip"), ("gzip, identity", "gzip"), ("identity, gzip", None)])
def test_coding(file, accept, coding):
    answer = get(file, {"Accept-Encoding": accept})
    assert (answer.status, answer.get("content-encoding")) == (200, coding)
    assert (gzip.decompress(answer.body) if coding else answer.body) == TEXT


@pytest.mark.parametrize("headers, message", [
    ({"Accept-Encoding": "br, identity;q=0"},
     "error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]"),
    ({"Accept-Encoding": "*;q=0"},
     "error parsing Accept-Encoding: no acceptable encoding found, supported: [gzip]"),
    ({"Accept-Encoding": "gzip; q=1,*; q=0", "Range": "bytes=0-1"},
     "identity encoding not acceptable for Range or conditional request")])
def test_coding_that_is_not_acceptable(file, headers, message):
    refused(get(file, headers), 406, message)


def test_range_forces_identity(file):
    answer = get(file, {"Accept-Encoding": "gzip", "Range": "bytes=0-1"})
    assert (answer.status, answer.get("content-encoding"), answer.body) == (206, None, b"01")


def test_device_is_empty():
    answer = get("/dev/null")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.ours
def test_virtual_file_is_read_to_its_end():
    answer = get("/proc/self/status")
    assert answer.status == 200 and answer.body.startswith(b"Name:")


@pytest.mark.ours
def test_fifo_is_refused_at_once(scratch):
    os.mkfifo(f"{scratch}/fifo")
    assert get(f"{scratch}/fifo").status == 400


@pytest.mark.ours
def test_head(file):
    answer = exchange("HEAD", f"/files?path={file}")
    assert (answer.status, answer.get("content-length")) == (200, "20")


@pytest.mark.ours
def test_entity_tag_makes_ranges_safe(file):
    tag = get(file).get("etag")
    assert tag
    assert get(file, {"If-None-Match": tag}).status == 304
    assert get(file, {"Range": "bytes=0-1", "If-Range": tag}).status == 206
    with open(file, "wb") as changed:
        changed.write(TEXT[::-1])
    assert get(file, {"Range": "bytes=0-1", "If-Range": tag}).status == 200
