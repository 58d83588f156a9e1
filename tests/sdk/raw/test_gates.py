"""The Basic user and the access token, in front of everything else."""

import base64
import json

import pytest

from rpc import JSON, STREAM, call, envelope, must, outcome, route, run, stream
from wire import exchange

TOKEN = "a-token-of-the-test"
TOKEN_TEXT = ("unauthorized access, please provide a valid access token or method signing "
              "if supported")


def basic(user, password="", scheme="Basic"):
    return {"Authorization": f"{scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("user", ["no-such-user", "", "0", "65534"])
def test_unknown_user_on_a_unary_route(user):
    answer = exchange("POST", route("Process/List"), {**JSON, **basic(user)}, b"{}")
    assert (answer.status, answer.get("content-type")) == (401, "application/json")
    assert json.loads(answer.body) == {"code": "unauthenticated",
                                       "message": f"invalid username: '{user}'"}
    assert not answer.body.endswith(b"\n")


@pytest.mark.parametrize("kind", ["application/connect+json", "application/connect+proto"])
def test_unknown_user_on_a_stream(kind):
    answer = exchange("POST", route("Process/Start"),
                      {"Content-Type": kind, **basic("no-such-user")}, envelope({}))
    assert answer.get("content-type") == kind
    messages, final = outcome(answer)
    assert messages == []
    assert final["error"] == {"code": "unauthenticated",
                              "message": "invalid username: 'no-such-user'"}


def test_unknown_user_in_grpc():
    answer = exchange("POST", route("Process/Start"),
                      {"Content-Type": "application/grpc", **basic("no-such-user")}, b"")
    assert (answer.status, answer.body) == (200, b"")
    fields = dict(answer.headers) | dict(answer.trailers)
    assert fields["grpc-status"] == "16"
    assert fields["grpc-message"] == "invalid username: 'no-such-user'"


def test_unknown_user_in_grpc_web():
    answer = exchange("POST", route("Process/Start"),
                      {"Content-Type": "application/grpc-web", **basic("no-such-user")}, b"")
    assert (answer.status, answer.body, answer.get("grpc-status")) == (200, b"", "16")


def test_unknown_user_comes_before_route_and_content_type():
    for path in (route("Process/Nothing"), route("Process/List")):
        answer = exchange("POST", path, {"Content-Type": "text/plain", **basic("no-such-user")}, b"")
        assert answer.status == 401
    assert exchange("GET", route("Process/List"), basic("no-such-user")).status == 401


@pytest.mark.ours
@pytest.mark.parametrize("method, path, status", [
    ("GET", "/health", 204), ("GET", "/envs", 200), ("GET", "/missing", 404), ("PUT", "/files", 405)])
def test_unknown_user_does_not_matter_to_rest(method, path, status):
    assert exchange(method, path, basic("no-such-user")).status == status


@pytest.mark.parametrize("value", [
    "Basic", "Basic !!!", "Basic " + base64.b64encode(b"no-colon").decode(), "Bearer abc",
    "Digest x=y", "nothing at all"])
def test_malformed_credentials_are_ignored(value):
    assert call("Process/List", {}, {"Authorization": value}) == (200, {})


@pytest.mark.parametrize("headers", [
    basic("nobody"), basic("nobody", "any password"), basic("nobody", scheme="bAsIc"),
    basic("nobody", "with:colon")])
def test_user_of_a_command(headers):
    assert run("id -un", headers).output["stdout"] == b"nobody\n"


def test_default_user():
    assert run("id -un").output["stdout"] == b"root\n"


@pytest.fixture
def secured(own_agent):
    """An agent that was given a token; the value is its port."""
    answer = exchange("POST", "/init", JSON, json.dumps({"accessToken": TOKEN}).encode(), own_agent.port)
    assert answer.status == 204
    return own_agent.port


GATED = [("POST", route("Process/List")), ("POST", route("Process/Start")), ("GET", "/metrics"),
         ("GET", "/envs"), ("GET", "/missing"), ("PUT", "/health"), ("OPTIONS", "/health"),
         ("POST", "/freeze"), ("POST", "/files/compose"), ("GET", "/files/"), ("GET", "//files")]


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "x", TOKEN[:-1]])
def test_token_is_demanded(secured, token):
    for method, path in GATED:
        headers = {**JSON, **({} if token is None else {"X-Access-Token": token})}
        answer = exchange(method, path, headers, b"{}" if method == "POST" else None, secured)
        assert answer.status == 401, (method, path)
        assert answer.get("content-type") == "application/json; charset=utf-8"
        assert answer.get("x-content-type-options") == "nosniff"
        assert json.loads(answer.body) == {"code": 401, "message": TOKEN_TEXT}


def test_token_opens_every_gate(secured):
    headers = {"X-Access-Token": TOKEN}
    assert must("Process/List", {}, headers, secured) == {}
    messages, final = stream("Process/Start", {"process": {"cmd": "true"}}, headers, secured)
    assert len(messages) == 2 and final == {}
    for path, status in (("/envs", 200), ("/metrics", 200), ("/missing", 404)):
        assert exchange("GET", path, headers, port=secured).status == status


def test_exempt_routes(secured):
    for token in ({}, {"X-Access-Token": "wrong"}):
        assert exchange("GET", "/health", token, port=secured).status == 204
    assert exchange("POST", "/init", {**JSON}, b"{}", secured).status == 401
    answer = exchange("GET", "/files?path=/etc/hostname", port=secured)
    assert json.loads(answer.body) == {"code": 401, "message": "missing signature query parameter"}


def test_preflight_passes_without_token(secured):
    answer = exchange("OPTIONS", route("Process/List"), {
        "Origin": "https://example.com", "Access-Control-Request-Method": "POST"}, port=secured)
    assert answer.status == 204


def test_refusal_has_cors_headers(secured):
    answer = exchange("GET", "/envs", {"Origin": "https://example.com"}, port=secured)
    assert (answer.status, answer.get("access-control-allow-origin")) == (401, "*")


def test_token_comes_before_the_user(secured):
    answer = exchange("POST", route("Process/List"), {**JSON, **basic("no-such-user")}, b"{}", secured)
    assert json.loads(answer.body)["code"] == 401
