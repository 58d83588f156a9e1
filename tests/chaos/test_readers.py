"""Readers that come, go, break and stall; what each gets stands where it should."""

import threading
import time

import pytest

from conftest import PORT, SANITIZED, Task
from crowd import MIB, Source, check
from follow import CODECS

SCALE = 2 if SANITIZED else 1
SIZES = {"pipes": {"stdout": 6 * MIB // SCALE, "stderr": 3 * MIB // SCALE},
         "pty": {"pty": 5 * MIB // SCALE}}
# More than the buffers between the agent and a client that does not read.
LARGE = {"pipes": {"stdout": 7 * MIB, "stderr": 3 * MIB}, "pty": {"pty": 10 * MIB}}
LEAVE = ("close", "reset", "half-close")
STALL_MS = 1000

both_kinds = pytest.mark.parametrize("kind", SIZES)
rounds = pytest.mark.parametrize("round_", range(2))


@pytest.fixture
def agent(launched):
    return launched("-stall-ms", str(STALL_MS), "-ring-bytes", "262144")


def replay(chance, position):
    """Where to begin again; None is the agent's default."""
    return chance.choice((None, "none", "all", f"from={position}",
                          f"from={chance.randint(0, position)}"))


def wander(follower, chance, visits, source):
    """Read a little and leave, again and again, and at last read to the end."""
    for _ in range(visits):
        follower.read(chance.randint(1, source.total // 3))
        if follower.reader.final is not None:
            break
        follower.leave(chance.choice(LEAVE))
        follower.connect(replay(chance, follower.position),
                         receive_buffer=chance.choice((None, 4096, 65536)))
    follower.finish()


def stall(follower, chance, over, source):
    """Stop reading for as long as the process lives, then look what came of it."""
    follower.read(chance.randint(1, source.total // 4))
    if follower.reader.final is None:
        assert over.wait(120)
        follower.reader.finish()
    if follower.reader.error:
        follower.finish_cut()
        follower.connect(f"from={follower.position}")
    follower.finish()


@both_kinds
@rounds
def test_crowd(agent, chance, scratch, kind, round_):
    """One reader is always there, ten wander, two stall."""
    del agent, round_
    source, over = Source(chance, scratch, PORT, SIZES[kind]), threading.Event()
    steady = source.start(chance.choice(CODECS))
    wanderers = [source.connect(chance.choice(CODECS)) for _ in range(10)]
    stallers = [source.connect(chance.choice(CODECS), receive_buffer=4096) for _ in range(2)]
    tasks = [Task(steady.finish)]
    tasks += [Task(wander, each, type(chance)(chance.random()), chance.randint(0, 4), source)
              for each in wanderers]
    tasks += [Task(stall, each, type(chance)(chance.random()), over, source) for each in stallers]
    source.open_gate()
    source.await_end()
    over.set()
    for task in tasks:
        task.result()
    check(source, [steady, *wanderers, *stallers])


@both_kinds
@rounds
def test_nobody_stays(agent, chance, scratch, kind, round_):
    """All wander, so that there are times without a reader."""
    del agent, round_
    source = Source(chance, scratch, PORT, SIZES[kind])
    followers = [source.start(chance.choice(CODECS)), source.connect(chance.choice(CODECS))]
    tasks = [Task(wander, each, type(chance)(chance.random()), 6, source) for each in followers]
    source.open_gate()
    for task in tasks:
        task.result()
    check(source, followers)


@both_kinds
@pytest.mark.parametrize("codec", CODECS)
def test_one_reader_that_resumes(agent, chance, scratch, kind, codec):
    """By default it never gets a byte twice, and the rest is told or was sent."""
    del agent
    source = Source(chance, scratch, PORT, SIZES[kind])
    one = source.start(codec)
    source.open_gate()
    for _ in range(8):
        one.read(chance.randint(1, source.total // 16))
        one.leave(chance.choice(LEAVE))
        before = one.position
        one.connect()
        assert one.reader.offset - one.reader.lost >= before
    one.finish()
    check(source, [one])


@both_kinds
@pytest.mark.parametrize("codec", CODECS)
def test_one_reader_that_asks_for_what_it_lacks(agent, chance, scratch, kind, codec):
    """What it got and what it was told to be lost are all there was."""
    del agent
    source = Source(chance, scratch, PORT, SIZES[kind])
    one, told, got = source.start(codec), 0, 0
    source.open_gate()
    for _ in range(8):
        one.read(chance.randint(1, source.total // 16))
        one.leave(chance.choice(LEAVE))
        got += one.got
        one.connect(f"from={one.position}")
        told += one.reader.lost
    one.finish()
    assert got + one.got + told == source.total
    check(source, [one])


@both_kinds
def test_reader_that_stalls_is_cut(agent, chance, scratch, kind):
    del agent
    source = Source(chance, scratch, PORT, LARGE[kind])
    healthy = [source.start(CODECS[0]), *(source.connect(codec) for codec in CODECS)]
    stalled = [source.connect(codec, receive_buffer=4096) for codec in CODECS]
    source.open_gate()
    for task in [Task(each.finish) for each in healthy]:
        task.result()
    for each in stalled:
        each.finish_cut()
        each.connect(f"from={each.position}")
        each.finish()
    check(source, [*healthy, *stalled])


def test_lone_reader_may_stall(agent, chance, scratch):
    """While it does, another process has its reader cut twice."""
    del agent
    source = Source(chance, scratch, PORT, LARGE["pipes"])
    lone = source.start(CODECS[0], receive_buffer=4096)
    source.open_gate()
    for _ in range(2):
        other = Source(chance, scratch, PORT, LARGE["pipes"])
        healthy, stalled = other.start(CODECS[1]), other.connect(CODECS[1], receive_buffer=4096)
        other.open_gate()
        healthy.finish()
        stalled.finish_cut()
    lone.finish()
    check(source, [lone])


def test_readers_that_stall_together_are_cut_together(launched, chance, scratch):
    """However many there are, the others wait for one stall time, not for each."""
    launched("-stall-ms", str(STALL_MS))
    source = Source(chance, scratch, PORT, LARGE["pipes"])
    healthy = source.start(CODECS[1])
    stalled = [source.connect(CODECS[1], receive_buffer=4096) for _ in range(8)]
    source.open_gate()
    for number, each in enumerate(stalled):
        each.read(number * 96 * 1024)
    waits, last = 0, time.monotonic()
    while healthy.reader.final is None:
        healthy.reader.next()
        waits += time.monotonic() - last > STALL_MS / 2000
        last = time.monotonic()
    print("times waited:", waits)
    assert waits <= 2
    healthy.finish()
    for each in stalled:
        each.finish_cut()
    check(source, [healthy, *stalled])
