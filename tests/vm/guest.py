"""What the tests do inside the guest, through its agent."""

import os
import sys

SDK = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "sdk")
sys.path += [os.path.join(SDK, "raw"), os.path.join(SDK, "lib")]

import rpc  # noqa: E402
import watching  # noqa: E402
import wire  # noqa: E402

PATIENCE = 180  # an emulated machine is slow, and its host may be busy
wire.PATIENCE = watching.PATIENCE = PATIENCE


def sh(script, **members):
    """Run a script to its end, which has to be a good one; gives its output."""
    done = rpc.run(f"set -eu; {script}", **members)
    assert done.end == {"exited": True, "status": "exit status 0"}, (done.end, done.output)
    return done.output["stdout"].decode()


def agent_pid():
    """The agent is the parent of what it starts."""
    return int(sh("echo $PPID"))


def upload(path, content):
    """Write a file; gives the status."""
    return wire.exchange("POST", f"/files?path={path}&username=root",
                         {"Content-Type": "application/octet-stream"}, content).status


def download(path):
    answer = wire.exchange("GET", f"/files?path={path}&username=root")
    assert answer.status == 200, answer.body
    return answer.body


def memory(pid):
    """Resident, proportional and private memory in KiB."""
    found = {}
    for line in sh(f"cat /proc/{pid}/smaps_rollup").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = int(value.split()[0])
    return found["Rss"], found["Pss"], found["Private_Dirty"] + found["Private_Clean"]


class Lines:
    """A command whose output is followed across disconnections, by its tag.

    `received` is all of it from the first byte; the client says how far it came.
    """

    def __init__(self, tag, message, kind="stdout"):
        self.tag, self.kind = tag, kind
        self.received = bytearray()
        self._run = rpc.start({**message, "tag": tag})
        self.pid = self._run.pid

    def _take(self):
        self.received += self._run.output[self.kind]
        self._run.output[self.kind].clear()

    def next(self):
        """Wait for the next event; False at the end of the stream."""
        more = self._run.next() is not None
        self._take()
        return more

    def until(self, wanted, since=0):
        """Read on until the bytes occur behind that offset."""
        while wanted not in self.received[since:]:
            assert self.next(), bytes(self.received[-2000:])

    def cut_off(self):
        """The machine has gone: the stream has to end, without an end."""
        try:
            while self.next():
                pass
            raise AssertionError("the stream ended as if nothing had happened")
        except (EOFError, ConnectionError):
            self._take()
        self._run.conn.close()

    def reconnect(self):
        self._run = rpc.connect({"tag": self.tag}, {"X-Envd-Replay": f"from={len(self.received)}"})
        assert self._run.pid == self.pid

    def finish(self):
        while self.next():
            pass
        self._run.conn.close()
        return self._run.end


def terminal(tag):
    """A shell on a terminal."""
    return Lines(tag, {"process": {"cmd": "/bin/sh", "cwd": "/", "envs": {"PS1": "$ "}},
                       "pty": {"size": {"cols": 80, "rows": 24}}}, "pty")


def type_line(shell, line):
    rpc.must("Process/SendInput",
             {"process": {"tag": shell.tag}, "input": {"pty": rpc.data(f"{line}\n")}})
