"""What SIGKILL and the deadline reach, and whom they leave alone.

A daemon that has left its command's session, has lost its parents and has
closed the command's output cannot be told from others without cgroups: that
case belongs to the tests of cgroups.
"""

import os
import signal
import sys

import pytest

import proc
import rpc
from conftest import SANITIZED, SUITE_AGENT, eventually

# Name: script, and how many processes it comes to.
TREES = {
    "one": ("exec sleep 300", 1),
    "child": ("sleep 300; :", 2),
    "background": ("sleep 300 & sleep 300 & wait", 3),
    "nested": ("(sleep 300 & (sleep 300 & (sleep 300 & wait) & wait) & wait) & wait", 7),
    "pipeline": ("sleep 300 | cat | cat | cat; :", 5),
    "nohup": ("nohup sleep 300 & wait", 2),
    "ignores signals": ("trap '' TERM HUP INT QUIT USR1; sleep 300 & while :; do sleep 300; done", 3),
    "traps signals": ("trap 'sleep 300 & wait' TERM HUP INT EXIT; sleep 300 & wait; wait", 2),
    "child stops itself": ("sh -c 'kill -STOP $$; :' & wait", 2),
    "stops itself": ("sleep 300 & kill -STOP $$; :", 2),
    "session": ("setsid sleep 300 & wait", 2),
    "session of sessions": ("setsid sh -c 'setsid sh -c \"setsid sleep 300 & wait\" & wait' & wait", 4),
    "daemon": ("(setsid sleep 300 &); exec sleep 300", 2),
    "daemon with errors only": ("(setsid sleep 300 >/dev/null &); exec sleep 300", 2),
    "daemon with children": ("(setsid sh -c 'sleep 300 >/dev/null 2>&1 & wait' &); exec sleep 300", 3),
    "daemon that stops": ("(setsid sh -c 'kill -STOP $$; :' &); exec sleep 300", 2),
    "orphan, output closed": ("(sleep 300 </dev/null >/dev/null 2>&1 &); exec sleep 300", 2),
    "orphan of orphans": ("((sleep 300 & sleep 300) & (sleep 300 &)); exec sleep 300", 4),
}
PTY = {"pty": {"size": {"cols": 80, "rows": 24}}}
RANDOM_TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tree.py")


def message(words, mark, pty=False):
    config = {"cmd": words[0], "args": words[1:], "envs": {"CHAOS_MARK": mark}}
    return {"process": config, **(PTY if pty else {})}


class Tree:
    """A started command and how many processes it is to become."""

    def __init__(self, words, count, mark, pty=False, headers=()):
        self.count, self.mark = count, mark
        self.run = rpc.start(message(words, mark, pty), headers)

    def grown(self):
        return len(proc.marked(self.mark)) == self.count

    def gone(self):
        return proc.marked(self.mark) == []


@pytest.fixture
def mark(chance):
    return f"{os.getpid()}-{chance.getrandbits(48)}"


@pytest.fixture
def bystander(mark):
    """Commands of others, which have to be untouched at the end."""
    trees = [Tree(["/bin/sh", "-c", script], count, f"{mark}-other-{n}", pty)
             for n, (script, count, pty) in enumerate([
                 ("(setsid sleep 300 &); sleep 300 & exec cat", 3, False),
                 ("(setsid sleep 300 &); sleep 300 & exec cat", 3, True)])]
    for tree in trees:
        eventually(tree.grown)
    before = [proc.marked(tree.mark) for tree in trees]
    yield
    assert [proc.marked(tree.mark) for tree in trees] == before
    for tree, kind, source in zip(trees, ("stdin", "pty"), ("stdout", "pty")):
        rpc.must("Process/SendInput", rpc.by_pid(tree.run.pid, input={kind: rpc.data("here\n")}))
        tree.run.until(b"here", source)
        rpc.must("Process/SendSignal", rpc.by_pid(tree.run.pid, signal=9))
        eventually(tree.gone)


def plant(chance, mark, terminals=(False, True), headers=()):
    """All of TREES, and one random one for three of them."""
    made = [Tree(["/bin/sh", "-c", script], count, f"{mark}-{n}-{pty}", pty, headers)
            for n, (script, count) in enumerate(TREES.values()) for pty in terminals]
    for n in range(len(made) // 3):
        count = chance.randint(2, 20)
        words = [sys.executable, "-BSE", RANDOM_TREE, str(chance.getrandbits(32)), str(count)]
        made.append(Tree(words, count, f"{mark}-random-{n}", chance.random() < 0.5, headers))
    return made


def reaped():
    return proc.dead_children(SUITE_AGENT) == []


def test_kill_leaves_no_survivors(bystander, mark, chance):
    del bystander
    trees = plant(chance, mark)
    for tree in trees:
        eventually(tree.grown)
    chance.shuffle(trees)
    for tree in trees:
        rpc.must("Process/SendSignal", rpc.by_pid(tree.run.pid, signal=9))
        assert tree.run.finish()["status"] == "signal: killed"
        eventually(tree.gone)
        tree.run.conn.close()
    eventually(reaped)


def test_kill_in_the_middle_of_growth(bystander, mark, chance):
    """Here the kernel hangs up on some parents: all keep the output or the session."""
    del bystander
    for n in range(20):
        words = [sys.executable, "-BSE", RANDOM_TREE, str(chance.getrandbits(32)), "40", "keep"]
        tree, wanted = Tree(words, 40, f"{mark}-{n}", n % 2 > 0), chance.randint(2, 30)
        eventually(lambda: len(proc.marked(tree.mark)) >= wanted)  # noqa: B023
        rpc.must("Process/SendSignal", rpc.by_pid(tree.run.pid, signal=9))
        tree.run.finish()
        eventually(tree.gone)
        tree.run.conn.close()
    eventually(reaped)


def test_deadline_leaves_no_survivors(bystander, mark, chance):
    """It may strike while a tree still grows, but hardly all of them do."""
    del bystander
    deadline = {"Connect-Timeout-Ms": "10000" if SANITIZED else "4000"}
    trees = plant(chance, mark, [chance.random() < 0.5], deadline)
    grown = 0
    for tree in trees:
        eventually(lambda: tree.grown() or tree.run.pid not in rpc.pids())  # noqa: B023
        grown += tree.grown()
    assert grown > len(trees) // 2
    for tree in trees:
        tree.run.finish()
        assert tree.run.final["error"]["code"] == "deadline_exceeded"
        eventually(tree.gone)
        tree.run.conn.close()
    eventually(reaped)


def test_tree_that_ignores_sigterm(bystander, mark):
    """SIGTERM does not end it, SIGKILL does."""
    del bystander
    script = "trap '' TERM; (trap 'echo asked' TERM; echo set; while :; do sleep 300 & wait; done); :"
    tree = Tree(["/bin/sh", "-c", script], 3, mark)
    tree.run.until(b"set\n")
    rpc.must("Process/SendSignal", rpc.by_pid(tree.run.pid, signal=signal.SIGTERM))
    tree.run.until(b"asked\n")
    assert len(proc.marked(mark)) >= 2
    rpc.must("Process/SendSignal", rpc.by_pid(tree.run.pid, signal=signal.SIGKILL))
    tree.run.finish()
    eventually(tree.gone)


def test_leader_that_exits_leaves_its_background_running(mark):
    scripts = ("sleep 300 & exit 3", "(sleep 300 &); exit 3", "(setsid sleep 300 &); exit 3",
               "nohup sleep 300 >/dev/null 2>&1 & exit 3")
    for number, script in enumerate(scripts):
        tree = Tree(["/bin/sh", "-c", script], 1, f"{mark}-{number}")
        assert tree.run.finish()["exitCode"] == 3
        left = eventually(lambda: proc.marked(tree.mark))  # noqa: B023
        rpc.run("true")
        assert proc.marked(tree.mark) == left and len(left) == 1
        os.kill(left[0], signal.SIGKILL)
        eventually(tree.gone)
        tree.run.conn.close()
    eventually(reaped)
