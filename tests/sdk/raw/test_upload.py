"""POST /files: both body kinds, parents, metadata, refusals, signatures."""

import base64
import gzip
import hashlib
import json
import os
import time

import pytest

from test_download import refused
from wire import exchange

RAW = {"Content-Type": "application/octet-stream"}
FORM = {"Content-Type": "multipart/form-data; boundary=BOUNDARY"}


def post(path, body, headers=RAW, query="", port=49983):
    return exchange("POST", f"/files?path={path}{query}", headers, body, port)


def form(*parts):
    """A multipart body of (disposition, content) pairs."""
    text = b"".join(b"--BOUNDARY\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n"
                    + content + b"\r\n" for disposition, content in parts)
    return text + b"--BOUNDARY--\r\n"


def file(name):
    return f'form-data; name="file"; filename="{name}"'


def send_form(*parts, query=""):
    return exchange("POST", f"/files{query}", FORM, form(*parts))


def content(path):
    with open(path, "rb") as made:
        return made.read()


def test_raw(scratch):
    answer = post(f"{scratch}/file", b"words")
    assert (answer.status, json.loads(answer.body)) == (
        200, [{"name": "file", "path": f"{scratch}/file", "type": "file"}])
    assert content(f"{scratch}/file") == b"words"
    assert os.stat(f"{scratch}/file").st_mode & 0o7777 == 0o644


def test_raw_chunked(scratch):
    headers = {**RAW, "Transfer-Encoding": "chunked"}
    answer = post(f"{scratch}/file", b"5\r\nwords\r\n0\r\n\r\n", headers)
    assert answer.status == 200 and content(f"{scratch}/file") == b"words"


def test_raw_compressed(scratch):
    for body in (gzip.compress(b"words"), gzip.compress(b"wo") + gzip.compress(b"rds")):
        answer = post(f"{scratch}/file", body, {**RAW, "Content-Encoding": "GZip"})
        assert answer.status == 200 and content(f"{scratch}/file") == b"words"


def test_overwriting_keeps_the_inode(scratch):
    post(f"{scratch}/file", b"a long first content")
    os.link(f"{scratch}/file", f"{scratch}/other")
    before = os.stat(f"{scratch}/file").st_ino
    post(f"{scratch}/file", b"short")
    assert os.stat(f"{scratch}/file").st_ino == before
    assert content(f"{scratch}/other") == b"short"


def test_links_are_followed(scratch):
    os.symlink("target", f"{scratch}/link")
    assert post(f"{scratch}/link", b"words").status == 200
    assert content(f"{scratch}/target") == b"words"


def test_form_of_several_files(scratch):
    answer = send_form((file(f"{scratch}/a"), b"one"), ('form-data; name="other"', b"skipped"),
                       (file(f"{scratch}/sub/b"), b"two\r\n--BOUND"))
    assert [entry["path"] for entry in json.loads(answer.body)] == [f"{scratch}/a", f"{scratch}/sub/b"]
    assert content(f"{scratch}/a") == b"one" and content(f"{scratch}/sub/b") == b"two\r\n--BOUND"


def test_form_with_the_path_in_the_query(scratch):
    answer = send_form(('form-data; name="file"', b"words"), query=f"?path={scratch}/named")
    assert answer.status == 200 and content(f"{scratch}/named") == b"words"


@pytest.mark.parametrize("disposition", [
    'form-data; name="file"; filename="{path}"', 'form-data; name=file; filename="{path}"',
    'FORM-DATA; NAME="file"; FILENAME="{path}"', "form-data; name=\"file\"; filename*=utf-8''{escaped}",
    'form-data; filename="{path}"; name="file"', 'form-data; name="file"; filename="x"; filename*=utf-8\'\'{escaped}'])
def test_spellings_of_a_disposition(scratch, disposition):
    path = f"{scratch}/file"
    answer = send_form((disposition.format(path=path, escaped=path.replace("/", "%2F")), b"words"))
    assert answer.status == 200 and content(f"{scratch}/file") == b"words"


def test_form_with_the_same_path_twice(scratch):
    answer = send_form((file(f"{scratch}/a"), b"one"), (file(f"{scratch}/a"), b"two"))
    refused(answer, 400, "you cannot upload multiple files to the same path "
            f"'{scratch}/a' in one upload request, only the first specified file was uploaded")
    assert content(f"{scratch}/a") == b"one"


def test_form_without_filename():
    refused(send_form(('form-data; name="file"', b"x")), 400,
            "error getting multipart custom part file name: filename not found in "
            "Content-Disposition header")


@pytest.mark.parametrize("kind", [None, "application/json", "text/plain"])
def test_unsupported_types(scratch, kind):
    refused(post(f"{scratch}/file", b"x", {"Content-Type": kind}), 400,
            f"unsupported content type: {kind or ''}, expected multipart/form-data or "
            "application/octet-stream")


def test_raw_needs_a_path():
    refused(exchange("POST", "/files", RAW, b"x"), 400,
            "path query parameter is required for raw body upload")


def test_errors(scratch):
    refused(post(scratch, b"x"), 400, f"path is a directory: {scratch}")
    refused(post("/etc/passwd/x", b"x"), 500, "error ensuring directories: path is a file: /etc/passwd")
    refused(post("/proc/invalid-filename", b"x"), 500,
            "error opening file: open /proc/invalid-filename: no such file or directory")
    refused(post("~nobody", b"x"), 400, "error resolving path: failed to expand path '' for user "
            "'root': cannot expand user-specific home dir")


def test_unknown_user(scratch):
    refused(post(f"{scratch}/file", b"x", query="&username=ghost"), 401,
            "error looking up user 'ghost': user: unknown user ghost")
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("coding, body, message", [
    ("br", b"x", "unsupported Content-Encoding: br, supported: [gzip]"),
    ("gzip, gzip", b"x", "unsupported Content-Encoding: gzip, gzip, supported: [gzip]"),
    ("gzip", b"", "failed to create gzip reader: EOF"),
    ("gzip", b"short", "failed to create gzip reader: unexpected EOF"),
    ("gzip", b"this is not gzip", "failed to create gzip reader: gzip: invalid header")])
def test_coding_errors(scratch, coding, body, message):
    refused(post(f"{scratch}/file", body, {**RAW, "Content-Encoding": coding}), 400,
            f"error decompressing request body: {message}")
    assert os.listdir(scratch) == []


def test_metadata(scratch):
    answer = post(f"{scratch}/file", b"x", {**RAW, "X-Metadata-Color": " blue ", "x-metadata-EMPTY": ""})
    assert json.loads(answer.body)[0]["metadata"] == {"color": "blue", "empty": ""}
    answer = post(f"{scratch}/file", b"x")
    assert "metadata" not in json.loads(answer.body)[0]


@pytest.mark.parametrize("headers, message", [
    ({"X-Metadata-" + "k" * 247: "v"}, f'metadata key "{"k" * 247}" exceeds 246 bytes'),
    ({"X-Metadata-k": "x" * 4096}, "total metadata size 4106 exceeds 4096 bytes"),
    ({"X-Metadata-k": "caf\xe9"},
     'metadata value for key "k" contains non-printable-ASCII byte 0xe9 at offset 3')])
def test_metadata_errors(scratch, headers, message):
    refused(post(f"{scratch}/file", b"x", {**RAW, **headers}), 400, f"invalid metadata: {message}")
    assert os.listdir(scratch) == []


TOKEN = "secret-access-token"


@pytest.fixture
def secured(own_agent):
    body = json.dumps({"accessToken": TOKEN}).encode()
    assert exchange("POST", "/init", {}, body, own_agent.port).status == 204
    return own_agent.port


def sign(path, operation, expires=None):
    """Query members that authorise one operation on a path."""
    text = ":".join([path, operation, "", TOKEN] + ([str(expires)] if expires else []))
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
    quoted = digest.replace("+", "%2B").replace("/", "%2F")
    return f"&signature=v1_{quoted}" + (f"&signature_expiration={expires}" if expires else "")


@pytest.mark.parametrize("lifetime", [None, 3600])
def test_signed_transfer(secured, scratch, lifetime):
    expires = int(time.time()) + lifetime if lifetime else None
    path = f"{scratch}/file"
    answer = post(path, b"words", query=sign(path, "write", expires), port=secured)
    assert answer.status == 200 and content(path) == b"words"
    answer = exchange("GET", f"/files?path={path}{sign(path, 'read', expires)}", port=secured)
    assert (answer.status, answer.body) == (200, b"words")


def test_transfer_with_the_token(secured, scratch):
    headers = {**RAW, "X-Access-Token": TOKEN}
    assert post(f"{scratch}/file", b"words", headers, port=secured).status == 200


@pytest.mark.parametrize("query, headers, message", [
    ("", {}, "missing signature query parameter"),
    ("&signature=v1_wrong", {}, "invalid signature"),
    (sign("/etc/hostname", "write"), {}, "invalid signature"),
    (sign("/etc/other", "read"), {}, "invalid signature"),
    (sign("/etc/hostname", "read", 1_600_000_000), {}, "signature is already expired"),
    (sign("/etc/hostname", "read") + "&signature_expiration=4000000000", {}, "invalid signature"),
    (sign("/etc/hostname", "read"), {"X-Access-Token": "wrong"},
     "access token present in header but does not match")])
def test_refused_signatures(secured, query, headers, message):
    answer = exchange("GET", f"/files?path=/etc/hostname{query}", headers, port=secured)
    refused(answer, 401, message)


@pytest.mark.ours
def test_failed_upload_keeps_the_old_content(scratch):
    post(f"{scratch}/file", b"old content")
    broken = gzip.compress(os.urandom(100_000))[:-20]
    answer = post(f"{scratch}/file", broken, {**RAW, "Content-Encoding": "gzip"})
    assert answer.status >= 400
    assert content(f"{scratch}/file") == b"old content"


@pytest.mark.ours
def test_failed_upload_of_a_new_file_leaves_nothing(scratch):
    broken = gzip.compress(os.urandom(100_000))[:-20]
    assert post(f"{scratch}/file", broken, {**RAW, "Content-Encoding": "gzip"}).status >= 400
    assert os.listdir(scratch) == []


@pytest.mark.ours
def test_success_is_labelled_as_json(scratch):
    assert post(f"{scratch}/file", b"x").get("content-type").startswith("application/json")
