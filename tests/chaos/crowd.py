"""A process that writes the pattern, and readers of it that check what they get."""

import os
import re
import sys

import follow
import pattern
import rpc
from conftest import eventually

WRITER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "writer.py")
MIB = 1 << 20


class Source:
    """The process; it writes nothing before `open_gate`."""

    def __init__(self, chance, scratch, port, sizes):
        self.port, self.sizes, self.total = port, sizes, sum(sizes.values())
        self.pty = "pty" in sizes
        self._gate = f"{scratch}/gate{chance.getrandbits(32)}"
        os.mkfifo(self._gate)
        self._words = [sys.executable, "-BSE", WRITER, self._gate, str(chance.getrandbits(32)),
                       *(f"{name}={size}" for name, size in sizes.items())]
        self.pid = None

    def start(self, codec, **link):
        first = Follower(self, codec)
        first.begin(follow.start(self._words, codec, first.take, self.pty, port=self.port, **link))
        assert (first.reader.offset, first.reader.lost) == (0, 0)
        self.pid = first.reader.pid
        return first

    def connect(self, codec, replay=None, **link):
        made = Follower(self, codec)
        made.connect(replay, **link)
        return made

    def open_gate(self):
        with open(self._gate, "wb"):
            pass

    def await_end(self):
        eventually(lambda: self.pid not in rpc.pids(self.port))


class Follower:
    """A client: one stream after another, and all that it got."""

    def __init__(self, source, codec):
        self.source, self.codec = source, codec
        self.segments, self.reader, self.got = [], None, 0

    def begin(self, reader):
        self.reader, self.got = reader, 0
        self.segments.append(pattern.Segment(reader.offset))

    def connect(self, replay=None, **link):
        before = self.position
        self.begin(follow.connect(self.source.pid, self.codec, self.take, replay,
                                  port=self.source.port, **link))
        self._check_begin(replay, before)

    def _check_begin(self, replay, before):
        wanted = self.reader.offset - self.reader.lost
        if replay == "all":
            assert wanted == 0
        elif replay == "none":
            assert self.reader.lost == 0 and wanted >= before
        elif replay:
            assert wanted == int(replay.removeprefix("from="))

    def take(self, source, data, lost):
        if lost:
            self.segments.append(pattern.Segment(self.position + lost))
        self.segments[-1].add(source, data)
        self.got += len(data)

    @property
    def position(self):
        return self.segments[-1].end if self.segments else 0

    def read(self, count):
        """Read so many bytes of this stream, or to its end."""
        while self.reader.final is None and self.got < count:
            self.reader.next()

    def leave(self, how):
        if how == "half-close":
            self.reader.conn.half_close()
            assert self.reader.finish() == {} or self.reader.error == "canceled"
            assert self.reader.conn.at_end()
        if how == "reset":
            self.reader.conn.reset()
        self.reader.conn.close()

    def finish(self):
        """Read to the end of the process, which has to come."""
        assert self.reader.finish() == {} and self.reader.status == "exit status 0", \
            (self.reader.final, self.reader.status)
        assert self.position == self.source.total
        self.reader.conn.close()

    def finish_cut(self):
        """Read to where the agent has cut this reader for holding up others."""
        error = self.reader.finish().get("error", {})
        assert error.get("code") == "resource_exhausted", (error, self.position)
        told = int(re.search(r"output continues at offset (\d+)", error["message"])[1])
        assert told == self.position
        self.reader.conn.close()


def check(source, followers):
    pattern.check([segment for each in followers for segment in each.segments], source.sizes)
