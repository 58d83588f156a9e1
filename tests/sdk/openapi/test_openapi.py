"""docs/openapi.yaml says what the agent does: all routes, and how they answer.

Whoever adds a route adds it there.  Nothing is to be changed here.
"""

import http.client
import io
import os
import re
import shutil
import tarfile
import tempfile

# Nothing is to be left beside the tests.
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.environ["SDK_SCRATCH"]

import pytest  # noqa: E402
import schemathesis  # noqa: E402
import yaml  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance, response_headers_conformance, response_schema_conformance,
    status_code_conformance)

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PORT = 49983
METHODS = ("get", "head", "post", "put", "patch", "delete", "options")

pytestmark = pytest.mark.ours

with open(os.path.join(TOP, "docs", "openapi.yaml"), encoding="utf-8") as text:
    DOCUMENT = yaml.safe_load(text)


def operations(document):
    return {(method.upper(), path): operation for path, item in document["paths"].items()
            for method, operation in item.items() if method in METHODS}


SERVED = operations(DOCUMENT).keys()


def request(method, path):
    connection = http.client.HTTPConnection("localhost", PORT, timeout=30)
    try:
        connection.request(method, path)
        return connection.getresponse()
    finally:
        connection.close()


# ---- the routes


def test_every_route_of_the_agent_is_described():
    """The agent's table, as it stands in the source."""
    with open(os.path.join(TOP, "envd", "api", "dispatch.c"), encoding="utf-8") as source:
        table = re.search(r"rest_routes\[\] = \{(.*?)\n\};", source.read(), re.DOTALL).group(1)
    rows = re.findall(r'\{\s*"(/[^"]*)",\s*"([A-Z]+)"', table)
    assert len(rows) == table.count("{") >= 6
    assert {(method, path) for path, method in rows} - SERVED == set()


@pytest.mark.parametrize("path", sorted({path for _, path in operations(DOCUMENT)}))
def test_every_described_route_is_served(path):
    """By its refusal of another method the agent tells which it has for a path."""
    described = {method for method, of in SERVED if of == path}
    answer = request("TRACE", path)
    assert answer.status == 405
    assert set(answer.headers.get_all("Allow")) == described


# ---- how they answer


def archive():
    """A small archive, for bodies that are to be one."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a/b"))
    return out.getvalue()


@schemathesis.serializer("application/x-tar", "application/gzip")
def serialize_archive(_, value):
    text = value if isinstance(value, bytes) else str(value).encode(errors="replace")
    return archive() if len(text) % 2 == 0 else text


schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def folder():
    """Where everything happens; `file`, `tree` and `empty` are there."""
    path = tempfile.mkdtemp(dir=os.environ["SDK_SCRATCH"])
    os.makedirs(f"{path}/tree/sub")
    os.mkdir(f"{path}/empty")
    for name in ("file", "tree/a", "tree/sub/b"):
        with open(f"{path}/{name}", "w", encoding="utf-8") as made:
            made.write("content of a file\n")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def place(folder, value, there=("file", "tree", "empty")):
    """A path below the folder for whatever was made up; some lead to what is there."""
    if isinstance(value, list):
        return [place(folder, each, there) for each in value]
    words = [w for w in str(value).split("/") if w not in ("", ".", "..")]
    if len(str(value)) % 2 == 0:
        return f"{folder}/{there[len(str(value)) // 2 % len(there)]}"
    return "/".join([f"{folder}/new", *words])


def known(values, *names):
    """Half of the made-up names become the user who is there."""
    return {k: "root" if k in names and len(str(v)) % 2 == 0 else v
            for k, v in values.items()}


def confine(case, folder):
    """Keep what is made up away from files and settings that matter."""
    if case.path.startswith("/files"):
        reads = case.method.upper() in ("GET", "HEAD")
        query = dict(case.query or {})
        query["path"] = place(folder, query.get("path", ""),
                              ("file", "tree", "empty") if reads else ("empty/a", "empty"))
        case.query = known(query, "username")
    if not isinstance(case.body, dict):
        return
    if case.path == "/init":
        # A token or another user would refuse all that follows; the rest changes the machine.
        case.body = {k: v for k, v in case.body.items() if k in ("timestamp", "envVars", "unknown")}
    case.body = known(case.body, "username", "owner", "group")
    for key in ("path", "source"):
        if key in case.body:
            case.body[key] = place(folder, case.body[key])
    if "destination" in case.body:
        case.body["destination"] = place(folder, case.body["destination"], ("empty/b",))
    if "source_paths" in case.body:
        case.body["source_paths"] = place(folder, case.body["source_paths"])


# What clients of the protocol know as the answer to a form that is broken.
BROKEN_FORM = ("error parsing multipart form: ", "error reading form: ", "error writing file: ")


def no_server_error(ctx, answer, case):
    """As `not_a_server_error`, but for broken forms, for what must not be frozen and
    what is not supported."""
    if answer.status_code == 500 and (case.method.upper(), case.path) == ("POST", "/fsfreeze") \
            and answer.json()["message"].startswith("FIFREEZE /proc: "):
        return None
    if (answer.status_code, case.path) == (500, "/upgrade"):
        return None
    if answer.status_code == 500 and (case.method.upper(), case.path) == ("POST", "/files") \
            and answer.json()["message"].startswith(BROKEN_FORM):
        return None
    return not_a_server_error(ctx, answer, case)


@schema.parametrize()
@settings(max_examples=20, deadline=None, derandomize=True, database=None,
          suppress_health_check=list(HealthCheck))
def test_answers(case, folder):
    confine(case, folder)
    answer = case.call(base_url=f"http://localhost:{PORT}", timeout=30)
    case.validate_response(answer, checks=[
        no_server_error, status_code_conformance, content_type_conformance,
        response_headers_conformance, response_schema_conformance])
