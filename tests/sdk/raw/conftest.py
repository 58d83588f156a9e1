"""Fixtures: tidy processes, scratch folders, agents of a test's own."""

import os
import shlex
import shutil
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), "lib"))

import rpc  # noqa: E402
import watching  # noqa: E402
import wire  # noqa: E402
from agent import Agent  # noqa: E402


@pytest.fixture(autouse=True)
def tidy():
    """Kill what a test leaves behind, so that the next one starts clean."""
    yield
    for pid in rpc.pids():
        rpc.call("Process/SendSignal", rpc.by_pid(pid, signal=9))
    eventually(lambda: rpc.pids() == [])


@pytest.fixture
def scratch():
    path = tempfile.mkdtemp(dir=os.environ["SDK_SCRATCH"])
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def home_folder():
    """The name of a fresh folder in the home of root, relative to that home."""
    path = tempfile.mkdtemp(prefix="envd-sdk-", dir=os.path.expanduser("~root"))
    yield os.path.basename(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def conn():
    with wire.Connection() as made:
        yield made


OWN_PORT = 29984  # outside the range of ports that clients get


@pytest.fixture
def own_agent(scratch):
    """An agent for tests that change its settings; it is judged at the end."""
    made = Agent(os.environ["ENVD_BIN"], shlex.split(os.environ["ENVD_ARGS"]), OWN_PORT,
                 f"{scratch}/stderr", bool(os.environ["ENVD_REFERENCE"]))
    yield made
    assert made.stop() == []


def eventually(check, patience=30):
    """Poll until the check holds; for what has no event to wait for."""
    deadline = time.monotonic() + patience
    while not check():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def signal_pending(pid, number):
    """Whether a process has not taken a signal yet."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        masks = [int(line.split()[1], 16) for line in status
                 if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask >> (number - 1) & 1 for mask in masks)


@pytest.fixture
def agent_with(scratch):
    """A function that starts such an agent with more arguments."""
    agents = []

    def make(*more):
        agents.append(Agent(os.environ["ENVD_BIN"],
                            [*shlex.split(os.environ["ENVD_ARGS"]), *more], OWN_PORT,
                            f"{scratch}/stderr"))

    yield make
    assert [agent.stop() for agent in agents] == [[]] * len(agents)


@pytest.fixture(params=list(watching.FORMS))
def watch(request):
    """A function that begins to watch a folder, in each of the two forms."""
    begun = []

    def begin(path, **members):
        begun.append(watching.FORMS[request.param](path, **members))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()
