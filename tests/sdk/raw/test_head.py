"""HEAD: what GET would say, without a body, and with the same rights."""

import base64
import hashlib
import json
import os
import socket

import pytest

from rpc import JSON
from wire import exchange, request

pytestmark = pytest.mark.ours
TOKEN = "a-token-of-the-test"


@pytest.mark.parametrize("path, status", [
    ("/health", 204), ("/metrics", 200), ("/envs", 200), ("/init", 405), ("/missing", 404),
    ("/files?path=/etc/passwd", 200), ("/files?path=/missing", 404), ("/files?path=/etc", 400),
    ("/files?path=/a&path=/b", 400), ("/files?path=/dev/null", 200), ("/files?path=/proc/version", 200)])
def test_as_get_without_a_body(conn, path, status):
    conn.send(request("HEAD", path) + request("GET", "/health"))
    head = conn.answer("HEAD")
    assert head.status == status
    assert conn.answer().status == 204
    got = exchange("GET", path)
    if status != 405:
        names = {name for name, _ in got.headers} - {"transfer-encoding"}
        assert {name for name, _ in head.headers} == names
        assert head.get("content-type") == got.get("content-type")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/envs", "/files"])
def test_is_named_as_allowed(path):
    answer = exchange("PUT", path)
    assert answer.status == 405 and {"GET", "HEAD"} <= set(answer.all("allow"))


@pytest.mark.parametrize("size", [0, 20, 65536, 65537, 5 << 20])
def test_sizes(conn, scratch, size):
    path = f"{scratch}/file"
    with open(path, "wb") as made:
        made.truncate(size)
    for _ in range(3):
        conn.send(request("HEAD", f"/files?path={path}"))
        answer = conn.answer("HEAD")
        assert (answer.status, answer.get("content-length")) == (200, str(size))
        assert answer.get("accept-ranges") == "bytes" and answer.get("etag")


@pytest.mark.parametrize("value, status, length", [
    ("bytes=0-4", 206, "5"), ("bytes=99-", 416, "33"), ("bytes=x", 416, "14")])
def test_ranges(conn, scratch, value, status, length):
    with open(f"{scratch}/file", "wb") as made:
        made.write(b"0123456789")
    for _ in range(2):
        conn.send(request("HEAD", f"/files?path={scratch}/file", {"Range": value}))
        answer = conn.answer("HEAD")
        assert (answer.status, answer.get("content-length")) == (status, length)


def test_several_ranges_have_a_length(conn, scratch):
    with open(f"{scratch}/file", "wb") as made:
        made.write(b"0123456789")
    got = exchange("GET", f"/files?path={scratch}/file", {"Range": "bytes=0-1,5-6"})
    conn.send(request("HEAD", f"/files?path={scratch}/file", {"Range": "bytes=0-1,5-6"}))
    assert conn.answer("HEAD").get("content-length") == str(len(got.body))


def signature(path):
    text = f"{path}:read::{TOKEN}"
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return "v1_" + digest.rstrip("=").replace("+", "%2B")


def test_rights(own_agent, scratch):
    port = own_agent.port
    body = json.dumps({"accessToken": TOKEN}).encode()
    assert exchange("POST", "/init", JSON, body, port).status == 204
    path = f"{scratch}/file"
    with open(path, "wb") as made:
        made.write(b"x")
    given = {"X-Access-Token": TOKEN}
    for target, headers, status in [
            ("/health", {}, 204), ("/metrics", {}, 401), ("/metrics", given, 200), ("/envs", {}, 401),
            ("/envs", given, 200), ("/missing", {}, 401), (f"/files?path={path}", {}, 401),
            (f"/files?path={path}", {"X-Access-Token": "x"}, 401), (f"/files?path={path}", given, 200),
            (f"/files?path={path}&signature=v1_x", {}, 401),
            (f"/files?path={path}&signature={signature(path)}", {}, 200)]:
        assert exchange("HEAD", target, headers, port=port).status == status, target


def test_sockets_and_pipes_are_refused(scratch):
    os.mkfifo(f"{scratch}/fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{scratch}/socket")
        for name in ("fifo", "socket"):
            for method in ("HEAD", "GET"):
                answer = exchange(method, f"/files?path={scratch}/{name}")
                assert answer.status == 400
            text = f"path '{scratch}/{name}' is not a regular file"
            assert json.loads(answer.body) == {"code": 400, "message": text}
