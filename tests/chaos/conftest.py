"""Fixtures: chance from a seed, agents with settings of their own, tidy ends.

Every choice of a test comes from `chance`, whose seed is that of the session
(`--seed` or CHAOS_SEED, 1 when neither is given) and the test's name.  A
failing test prints the command that repeats it.
"""

import os
import random
import shlex
import shutil
import sys
import tempfile
import threading
import time

import pytest

_SDK = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sdk")
sys.path[1:1] = [os.path.join(_SDK, "raw"), os.path.join(_SDK, "lib")]

import rpc  # noqa: E402
from agent import Agent  # noqa: E402

PORT = 29984  # outside the range of ports that clients get
SANITIZED = bool(os.environ["ENVD_SANITIZED"])
SUITE_AGENT = int(os.environ["ENVD_PID"])


def pytest_addoption(parser):
    parser.addoption("--seed", default=os.environ.get("CHAOS_SEED") or "1",
                     help="where all choices come from (also CHAOS_SEED)")


def pytest_report_header(config):
    return f"seed: {config.getoption('--seed')}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        words = ["tests/sdk/run", "chaos", "--", "--seed", item.config.getoption("--seed"),
                 item.nodeid]
        report.sections.append(("to repeat it", shlex.join(words)))


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: bool(item.get_closest_marker("last"))
               - bool(item.get_closest_marker("first")))


@pytest.fixture
def chance(request):
    return random.Random(f"{request.config.getoption('--seed')} {request.node.name}")


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


def launch(stderr, *flags, port=PORT):
    words = shlex.split(os.environ["ENVD_ARGS"])
    return Agent(os.environ["ENVD_BIN"], [*words, *flags], port, stderr)


@pytest.fixture
def launched(scratch):
    """Start an agent on PORT with these flags more; it is judged at the end."""
    made = []

    def with_flags(*flags):
        made.append(launch(f"{scratch}/stderr", *flags))
        return made[-1]

    yield with_flags
    assert [agent.stop() for agent in made] == [[] for _ in made]


def eventually(check, patience=60):
    """Poll until the check holds; for what has no event to wait for."""
    deadline = time.monotonic() + patience
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


class Task(threading.Thread):
    """A thread whose failure is that of who joins it."""

    def __init__(self, run, *args):
        super().__init__(daemon=True)
        self._work, self._error = (run, args), None
        self.start()

    def run(self):
        run, args = self._work
        try:
            self.value = run(*args)
        except BaseException as error:
            self._error = error

    def result(self, patience=150):
        self.join(patience)
        assert not self.is_alive(), "it does not come to an end"
        if self._error:
            raise self._error
        return self.value
