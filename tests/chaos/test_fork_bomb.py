"""A fork bomb, held by its user's limit of processes."""

import os
import shutil

import pytest

import proc
import rpc
from conftest import eventually
from wire import barrier

LIMIT = 60
WANTED = "$SIG{CHLD} = 'IGNORE'; sub rest { select(undef, undef, undef, 0.005) } "
BOMBS = {
    "grows": WANTED + "while (1) { fork // rest() }",
    "grows in sessions": "use POSIX; " + WANTED +
                         "while (1) { my $p = fork; POSIX::setsid() if defined $p && !$p; "
                         "rest() if !defined $p }",
    "moves on": WANTED + "fork; while (1) { my $p = fork; if (!defined $p) { rest() } "
                         "elsif ($p && $$ != $ENV{LEADER}) { exit } }",
}


@pytest.mark.skipif(os.geteuid() != 0 or not (shutil.which("perl") and shutil.which("prlimit")),
                    reason="needs root, perl and prlimit")
@pytest.mark.parametrize("bomb", BOMBS)
def test_fork_bomb(chance, bomb):
    """The agent answers throughout, and one SIGKILL ends all of it."""
    mark = f"{os.getpid()}-{chance.getrandbits(48)}"
    message = rpc.shell(f'LEADER=$$ exec prlimit --nproc={LIMIT} perl -e "$BOMB"')
    message["process"] |= {"cwd": "/", "envs": {"CHAOS_MARK": mark, "BOMB": BOMBS[bomb]}}
    user = {"Authorization": "Basic bm9ib2R5Og=="}
    with rpc.start(message, user) as run:
        eventually(lambda: len(proc.marked(mark)) > LIMIT * 2 // 3)
        for _ in range(200):
            barrier()
        assert rpc.run("echo here").output["stdout"] == b"here\n"
        assert proc.marked(mark)
        rpc.must("Process/SendSignal", rpc.by_pid(run.pid, signal=9))
        assert run.finish()["status"] == "signal: killed"
    eventually(lambda: proc.marked(mark) == [], patience=10)
