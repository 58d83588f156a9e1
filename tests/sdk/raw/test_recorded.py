"""The answers of the reference to some hundred requests, recorded, and ours.

tests/sdk/recorded has the requests (asked.py), the answers (answers.json) and
what is meant to be different (differences.json): for each row of
docs/compatibility.md, named by its beginning, the answers that it changes.
Whoever changes an answer on purpose adds it there; a difference that is gone is
taken away: tests/sdk/recorded/tool prints both.
"""

import json
import os
import shlex
import sys

import pytest

from agent import Agent
from wire import exchange

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recorded")
sys.path.insert(0, HERE)

import asked  # noqa: E402
import replay  # noqa: E402

PORT, TOKEN_PORT = 29986, 29985  # outside the range of ports that clients get
TOP = os.path.join(HERE, "..", "..", "..")


ANSWERS = replay.load("answers.json")
DIFFERENCES = replay.load("differences.json")
DECLARED = {field for fields in DIFFERENCES.values() for field in fields}


def test_everything_is_recorded():
    assert set(asked.CASES) == set(ANSWERS)
    assert len(DECLARED) == sum(map(len, DIFFERENCES.values())), "declared twice"
    unknown = {field.rpartition("#")[0] for field in DECLARED} - set(ANSWERS)
    assert not unknown


@pytest.mark.parametrize("row", DIFFERENCES)
def test_differences_have_their_row(row):
    with open(os.path.join(TOP, "docs", "compatibility.md"), encoding="utf-8") as text:
        lines = [line.removeprefix("| ") for line in text.read().splitlines()]
    assert sum(line.startswith(row) for line in lines) == 1


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    """Two agents that nobody else has asked anything: one of them knows the token."""
    logs = tmp_path_factory.mktemp("recorded")
    made = [Agent(os.environ["ENVD_BIN"], shlex.split(os.environ["ENVD_ARGS"]), port,
                  logs / str(port), bool(os.environ["ENVD_REFERENCE"]))
            for port in (PORT, TOKEN_PORT)]
    body = json.dumps({"accessToken": asked.TOKEN}).encode()
    assert exchange("POST", "/init", {}, body, TOKEN_PORT).status == 204
    yield
    assert [agent.stop() for agent in made] == [[], []]


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.usefixtures("agents")
def test_answer(name, scratch):
    port = TOKEN_PORT if name.startswith("token-") else PORT
    found = replay.compare(name, replay.run(name, port, scratch), ANSWERS[name])
    declared = {field for field in DECLARED if field.rpartition("#")[0] == name}
    if os.environ["ENVD_REFERENCE"]:
        declared = set()
    undeclared = {field: found[field] for field in found.keys() - declared}
    assert not undeclared, json.dumps(undeclared, indent=1, ensure_ascii=False)
    assert not declared - found.keys(), "declared, and not different any more"
