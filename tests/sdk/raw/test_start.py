"""What the agent was started with, and does not let itself be misled by."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import sys

import pytest
import wire
from conftest import OWN_PORT, eventually, signal_pending

pytestmark = pytest.mark.ours

# Becomes the agent, with signals blocked and descriptors closed.
BECOME = """
import os, signal, sys
if sys.argv[1]:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
for number in range(int(sys.argv[2])):
    os.close(number)
os.execv(sys.argv[3], sys.argv[3:])
"""


@contextlib.contextmanager
def started(blocked="", closed=0, **streams):
    arguments = [each for each in shlex.split(os.environ["ENVD_ARGS"]) if each != "-verbose"]
    words = [os.environ["ENVD_BIN"], *arguments, "-port", str(OWN_PORT)]
    env = {"PATH": os.environ["PATH"]}
    env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    child = subprocess.Popen([sys.executable, "-c", BECOME, blocked, str(closed), *words],
                             env=env, **streams)
    try:
        eventually(healthy)
        yield child
    finally:
        child.kill()
        child.wait()


def healthy():
    with contextlib.suppress(OSError):
        return wire.exchange("GET", "/health", port=OWN_PORT).status == 204
    return False


def test_closed_standard_descriptors():
    """Texts for standard error do not go to what the agent has opened."""
    with started(closed=3) as child:
        for number in range(3):
            assert os.readlink(f"/proc/{child.pid}/fd/{number}") == "/dev/null"
        os.kill(child.pid, signal.SIGUSR1)
        assert healthy()
        child.terminate()
        assert child.wait(30) == 0


def test_blocked_signals():
    """The agent ends when it is told to."""
    with started(blocked="all") as child:
        child.terminate()
        assert child.wait(30) == 0


def test_state_that_nobody_reads():
    """Standard error is full: the agent serves all the same."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65536)
    os.set_blocking(writer, True)
    with started(stderr=writer) as child:
        os.kill(child.pid, signal.SIGUSR1)
        eventually(lambda: not signal_pending(child.pid, signal.SIGUSR1))
        assert healthy()
        assert not select.select([], [writer], [], 0)[1]
        child.terminate()
        assert child.wait(30) == 0
    os.close(reader)
    os.close(writer)
