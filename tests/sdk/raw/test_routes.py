"""Routes, methods and content types: 404, 405, 415."""

import pytest

from rpc import call, envelope, route
from wire import exchange

UNARY = "Process/List"
UNARY_TYPES = (
    "application/grpc, application/grpc+json, application/grpc+json; charset=utf-8, "
    "application/grpc+proto, application/grpc-web, application/grpc-web+json, "
    "application/grpc-web+json; charset=utf-8, application/grpc-web+proto, "
    "application/json, application/json; charset=utf-8, application/proto")
STREAM_TYPES = (
    "application/connect+json, application/connect+json; charset=utf-8, application/connect+proto, "
    "application/grpc, application/grpc+json, application/grpc+json; charset=utf-8, "
    "application/grpc+proto, application/grpc-web, application/grpc-web+json, "
    "application/grpc-web+json; charset=utf-8, application/grpc-web+proto")
ALL = ["Process/" + name for name in (
    "List", "Connect", "Start", "Update", "StreamInput", "SendInput", "SendSignal", "CloseStdin",
)] + ["Filesystem/" + name for name in (
    "Stat", "MakeDir", "Move", "ListDir", "Remove", "WatchDir", "CreateWatcher",
    "GetWatcherEvents", "RemoveWatcher")]
STREAMS = {"Process/Connect", "Process/Start", "Process/StreamInput", "Filesystem/WatchDir"}


@pytest.mark.parametrize("path", [
    "/", "/missing", "/health/", "//health", "/Health", "/files/", "/process.Process",
    "/process.Process/", "/process.Process/List/", "/process.Process/Nothing",
    "/process.process/List", "/Process/List", "/prefix/process.Process/List", "/fil%65s"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_path(method, path):
    answer = exchange(method, path, {"Content-Type": "application/json"}, b"{}")
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert answer.get("x-content-type-options") == "nosniff"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_rpc_takes_only_post(method, name):
    answer = exchange(method, route(name))
    assert (answer.status, answer.body) == (405, b"")
    assert answer.get("allow") == "POST"


@pytest.mark.parametrize("path, allowed", [
    ("/health", {"GET"}), ("/metrics", {"GET"}), ("/envs", {"GET"}), ("/init", {"POST"}), ("/upgrade", {"POST"}),
    ("/files", {"GET", "POST"}), ("/files/compose", {"POST"}), ("/freeze", {"POST"}), ("/unfreeze", {"POST"})])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_rest_methods(method, path, allowed):
    answer = exchange(method, path)
    assert (answer.status, answer.body, answer.get("content-length")) == (405, b"", "0")
    named = {word.strip() for line in answer.all("allow") for word in line.split(",")}
    assert named - {"HEAD"} == allowed


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("kind", [
    None, "text/plain", "application/xml", "application/grpc-web-text", "application/json-patch",
    "application/json; charset=latin-1", "application/json; x=y", "application/connect+xml"])
def test_content_type_that_is_not_served(name, kind):
    answer = exchange("POST", route(name), {"Content-Type": kind}, b"{}")
    assert (answer.status, answer.body) == (415, b"")
    expected = STREAM_TYPES if name in STREAMS else UNARY_TYPES
    assert answer.get("accept-post") == expected


def test_content_type_of_the_other_kind():
    for name, kind in (("Process/List", "application/connect+json"), ("Process/Start", "application/json"),
                       ("Process/List", "application/connect+proto"), ("Process/Start", "application/proto")):
        assert exchange("POST", route(name), {"Content-Type": kind}, b"{}").status == 415


@pytest.mark.parametrize("given, answered", [
    ("application/json", "application/json"),
    ("Application/JSON", "application/json"),
    ("application/json; charset=utf-8", "application/json; charset=utf-8"),
    ("application/json;charset=UTF-8", "application/json; charset=utf-8"),
    ("application/json ; Charset=\"utf-8\"", "application/json; charset=utf-8"),
])
def test_unary_content_type_is_normalised(given, answered):
    answer = exchange("POST", route(UNARY), {"Content-Type": given}, b"{}")
    assert (answer.status, answer.get("content-type")) == (200, answered)


@pytest.mark.parametrize("given, answered", [
    ("application/connect+json", "application/connect+json"),
    ("APPLICATION/connect+JSON", "application/connect+json"),
    ("application/connect+json; charset=utf-8", "application/connect+json; charset=utf-8"),
    ("application/connect+proto", "application/connect+proto"),
])
def test_stream_content_type_is_normalised(given, answered):
    answer = exchange("POST", route("Process/Connect"), {"Content-Type": given}, envelope(b""))
    assert (answer.status, answer.get("content-type")) == (200, answered)


def test_errors_are_json_whatever_the_codec():
    answer = exchange("POST", route("Process/SendSignal"), {"Content-Type": "application/proto"}, b"")
    assert (answer.status, answer.get("content-type")) == (501, "application/json")
    answer = exchange("POST", route("Process/SendSignal"),
                      {"Content-Type": "application/json; charset=utf-8"}, b"{}")
    assert (answer.status, answer.get("content-type")) == (501, "application/json")


def test_query_on_an_rpc_route_is_ignored():
    answer = exchange("POST", route(UNARY) + "?x=1&y", {"Content-Type": "application/json"}, b"{}")
    assert (answer.status, answer.body) == (200, b"{}")


def test_headers_of_a_unary_answer():
    answer = exchange("POST", route(UNARY), {"Content-Type": "application/json"}, b"{}")
    assert answer.get("vary") == "Origin"
    assert answer.get("accept-encoding") == "gzip"


@pytest.mark.parametrize("version, status", [("1", 200), ("2", 400), ("x", 400)])
def test_protocol_version(version, status):
    got, body = call(UNARY, {}, {"Connect-Protocol-Version": version})
    assert got == status
    if status != 200:
        text = f'Connect-Protocol-Version must be "1": got "{version}"'
        assert body == {"code": "invalid_argument", "message": text}
