"""Peers that are gone without a word: no FIN, no RST, no ACK any more.

Their address is taken off the machine, and what is sent there gets lost.  As a
dead connection may live for a while, the first test here runs before all
others of the suite and the second after them.
"""

import os
import random
import shutil
import subprocess
import time

import pytest

import follow
import proc
import rpc
from conftest import Task, eventually, launch
from crowd import MIB, Source, check
from follow import CODECS

PORT = 29985  # of its own: the test beside uses the other
STALL_MS = 1000
GONE_S = 45  # half a minute without an answer, and what it takes to see it
SLACK_S = 5
HERE, AWAY = "10.231.0.1", "10.231.0.2"
AWAY_LINK = {"host": HERE, "source": AWAY, "receive_buffer": 65536}
TALK = ["/bin/sh", "-c", "sleep 2; echo early; read gate; echo late; exec sleep 300"]
SIZES = {"stdout": 5 * MIB, "stderr": 3 * MIB}

pytestmark = pytest.mark.skipif(not os.environ["SDK_PRIVATE"] or not shutil.which("ip"),
                                reason="needs a network of its own and ip")


def ip(*words):
    return subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False).returncode == 0


def address_up():
    for address in (HERE, AWAY):
        assert ip("address", "add", f"{address}/32", "dev", "lo")


def vanish():
    """From now on nothing gets to AWAY, and no error tells so where it can be had."""
    assert ip("address", "del", f"{AWAY}/32", "dev", "lo")
    if ip("link", "add", "chaos0", "type", "veth", "peer", "name", "chaos1"):
        for name in ("chaos0", "chaos1"):
            assert ip("link", "set", name, "up")
        assert ip("neighbour", "add", AWAY, "lladdr", "02:00:00:00:00:02", "dev", "chaos0")
        assert ip("route", "add", f"{AWAY}/32", "dev", "chaos0")


class Vanished:
    """Three processes: one has readers that vanish beside healthy ones, two have
    such a reader alone; that of the last has been there for a while."""

    def __init__(self, chance, scratch):
        self.agent = launch(f"{scratch}/vanished", "-stall-ms", str(STALL_MS), port=PORT)
        address_up()
        self.shared, self.lone = (Source(chance, scratch, PORT, SIZES) for _ in range(2))
        self.healthy = [self.shared.start(CODECS[0]), self.shared.connect(CODECS[1])]
        self.others = proc.sockets(self.agent.pid) - len(self.healthy)
        self.late = follow.start(TALK, CODECS[0], lambda *_: None, port=PORT, **AWAY_LINK)
        self.gone = [self.shared.connect(codec, **AWAY_LINK) for codec in CODECS]
        self.gone.append(self.lone.start(CODECS[0], **AWAY_LINK))
        assert self.late.next()[0] == "data"
        vanish()
        self.waiting = Task(self.await_gone)

    def await_gone(self):
        """Gives how long the dead connections lived, in seconds."""
        began = time.monotonic()
        eventually(lambda: proc.sockets(self.agent.pid) <= self.others, patience=120)
        return time.monotonic() - began


def longest_silence(follower):
    """Read to the end; gives the longest time between two messages."""
    longest, last = 0.0, time.monotonic()
    while follower.reader.final is None:
        follower.reader.next()
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    follower.finish()
    return longest


@pytest.fixture(scope="session")
def vanished(request, tmp_path_factory):
    chance = random.Random(f"{request.config.getoption('--seed')} vanished")
    made = Vanished(chance, tmp_path_factory.mktemp("vanished"))
    yield made
    assert made.agent.stop() == []


@pytest.mark.first
def test_others_go_on(vanished):
    """They wait for the stall time, and once more if those are cut in turn."""
    for source in (vanished.shared, vanished.lone):
        source.open_gate()
    rpc.must("Process/SendInput",
             rpc.by_pid(vanished.late.pid, input={"stdin": rpc.data("\n")}), port=PORT)
    tasks = [Task(longest_silence, each) for each in vanished.healthy]
    silence = max(task.result() for task in tasks)
    print(f"{silence:.2f} s of silence")
    assert silence < 2 * STALL_MS / 1000 + SLACK_S
    check(vanished.shared, vanished.healthy)
    assert set(rpc.pids(PORT)) == {vanished.lone.pid, vanished.late.pid}


@pytest.mark.last
def test_dead_connections_end(vanished):
    """And then the process goes on that was held for one of them."""
    seconds = vanished.waiting.result()
    print(f"gone after {seconds:.1f} s")
    assert seconds < GONE_S
    vanished.lone.await_end()
    late = vanished.lone.connect(CODECS[1], "all")
    late.finish()
    check(vanished.lone, [late])
