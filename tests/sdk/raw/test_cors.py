"""Cross-origin headers and preflight requests."""

import pytest

from rpc import JSON, route
from wire import exchange

EXPOSED = ("Grpc-Status, Grpc-Message, Grpc-Status-Details-Bin, Location, Cache-Control, "
           "X-Content-Type-Options")
PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
ORIGIN = {"Origin": "https://example.com"}
PATHS = ["/health", route("Process/Start"), "/missing", "/files"]


def cors(answer):
    return {name: value for name, value in answer.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("method, path, status", [
    ("GET", "/health", 204), ("GET", "/missing", 404), ("DELETE", "/health", 405),
    ("GET", route("Process/List"), 405), ("POST", route("Process/List"), 200)])
def test_simple_request(method, path, status):
    answer = exchange(method, path, {**ORIGIN, **JSON}, b"{}" if method == "POST" else None)
    assert answer.status == status
    assert cors(answer) == {"access-control-allow-origin": "*",
                            "access-control-expose-headers": EXPOSED}
    assert answer.all("vary") == ["Origin"]


def test_request_without_origin():
    answer = exchange("GET", "/health")
    assert cors(answer) == {}
    assert answer.all("vary") == ["Origin"]


def test_method_outside_the_list():
    answer = exchange("TRACE", "/health", ORIGIN)
    assert answer.status == 405
    assert cors(answer) == {}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("asked", ["POST", "GET", "DELETE", "PATCH"])
def test_preflight(path, asked):
    answer = exchange("OPTIONS", path, {
        **ORIGIN, "Access-Control-Request-Method": asked,
        "Access-Control-Request-Headers": "content-type,connect-protocol-version"})
    assert (answer.status, answer.get("vary")) == (204, PREFLIGHT_VARY)
    assert cors(answer) == {
        "access-control-allow-origin": "*", "access-control-allow-methods": asked,
        "access-control-allow-headers": "content-type,connect-protocol-version",
        "access-control-max-age": "7200"}


def test_preflight_without_asked_headers():
    answer = exchange("OPTIONS", "/health", {**ORIGIN, "Access-Control-Request-Method": "GET"})
    assert cors(answer) == {"access-control-allow-origin": "*", "access-control-allow-methods": "GET",
                            "access-control-max-age": "7200"}


@pytest.mark.parametrize("headers", [
    {**ORIGIN, "Access-Control-Request-Method": "TRACE"},
    {**ORIGIN, "Access-Control-Request-Method": "post"},
    {"Access-Control-Request-Method": "POST"},
])
def test_preflight_that_allows_nothing(headers):
    answer = exchange("OPTIONS", "/health", headers)
    assert (answer.status, answer.get("vary")) == (204, PREFLIGHT_VARY)
    assert cors(answer) == {}


def test_plain_options_is_an_ordinary_request():
    answer = exchange("OPTIONS", "/health", ORIGIN)
    assert answer.status == 405
    assert cors(answer)["access-control-allow-origin"] == "*"
