"""A command that grows into a tree of processes: tree.py SEED COUNT [keep].

Each may lead a group or a session of its own, lose its parent, close the
output, ignore signals, and stop itself.  Who leaves the session keeps the
output or its parents, as all of them can be found by one or the other; with
`keep` it is always the output.
"""

import os
import random
import signal
import sys
import time


KEEP = sys.argv[3:] == ["keep"]


def close_output():
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


def live(chance, may_close):
    """What a process does once it is there; gives whether it closed its output."""
    if chance.random() < 0.5:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    if chance.random() < 0.3 and os.getsid(0) != os.getpid():
        os.setpgid(0, 0)
    if may_close and chance.random() < 0.3:
        close_output()
        return True
    return False


def grow(chance, count, apart=False, closed=False):
    """Become `count` processes, this one included.

    `apart`: in another session than the command's; `closed`: without its output.
    """
    left = count - 1
    while left > 0:
        share = chance.randint(1, left)
        left -= share
        mine = random.Random(chance.random())
        session = chance.random() < 0.4
        orphan = chance.random() < 0.4 and not (closed and (apart or session))
        session = session and not (closed and KEEP)
        child = os.fork()
        if child == 0:
            if orphan and os.fork() > 0:
                os._exit(0)
            if session:
                os.setsid()
            far = apart or session
            bare = live(mine, may_close=not (far and (orphan or KEEP))) or closed
            grow(mine, share, far, bare)
            if mine.random() < 0.3:
                os.kill(os.getpid(), signal.SIGSTOP)
            time.sleep(300)
            os._exit(0)
        if orphan:
            os.waitpid(child, 0)


def main():
    grow(random.Random(sys.argv[1]), int(sys.argv[2]))
    time.sleep(300)


main()
