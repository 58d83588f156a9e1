"""Both forms of watching with one face: a list of events that grows."""

import itertools
import os
import time

from rpc import PORT, Stream, must

PATIENCE = 30
MARKER, MARKERS = ".marker-", itertools.count()
KINDS = ("CREATE", "WRITE", "REMOVE", "RENAME", "CHMOD", "CLOSE_WRITE")


def short(event):
    """An event as a test spells it: `CREATE dir/file`."""
    kind = event["type"].removeprefix("EVENT_TYPE_")
    assert kind in KINDS, event
    return f"{kind} {event['name']}"


class Watch:
    """What has been announced; `more()` adds to it, and may wait for that."""

    def __init__(self):
        self.events = []

    def shorts(self):
        return [short(event) for event in self.events]

    def until(self, check):
        """Read on until the check, given the short events, holds."""
        deadline = time.monotonic() + PATIENCE
        while not check(self.shorts()):
            assert time.monotonic() < deadline, f"it never came: {self.shorts()[-50:]}"
            self.more()

    def until_has(self, *wanted):
        self.until(lambda seen: set(wanted) <= set(seen))

    def since(self, root, *wanted):
        """All that was announced of what happened before this call.

        A marker is made in the watched folder: what comes before it is older.
        What a new directory held already comes a little later: it is `wanted`.
        """
        self.until_has(*wanted)
        name = f"{MARKER}{next(MARKERS)}"
        os.mkfifo(os.path.join(root, name))
        self.until_has(f"CREATE {name}")
        at = self.shorts().index(f"CREATE {name}")
        taken, self.events = self.events[:at], self.events[at + 1:]
        return taken


class Streamed(Watch):
    """WatchDir."""

    def __init__(self, path, headers=(), port=PORT, **members):
        super().__init__()
        self.stream = Stream("Filesystem/WatchDir", {"path": path, **members}, headers, port)
        self.keepalives = 0
        assert self.stream.next() == {"start": {}}, self.stream.final

    def more(self):
        message = self.stream.next()
        assert message is not None, self.stream.final
        (kind, event), = message.items()
        if kind == "keepalive":
            self.keepalives += 1
        else:
            assert kind == "filesystem", message
            self.events.append(event)

    def close(self):
        self.stream.conn.close()


class Polled(Watch):
    """CreateWatcher and GetWatcherEvents."""

    def __init__(self, path, headers=(), port=PORT, **members):
        super().__init__()
        self.headers, self.port = headers, port
        answer = must("Filesystem/CreateWatcher", {"path": path, **members}, headers, port)
        (_, self.id), = answer.items()

    def poll(self):
        """What one call gives."""
        answer = must("Filesystem/GetWatcherEvents", {"watcherId": self.id}, self.headers, self.port)
        assert answer == {} or list(answer) == ["events"] and answer["events"], answer
        return answer.get("events", [])

    def more(self):
        found = self.poll()
        self.events += found
        if not found:
            time.sleep(0.02)

    def close(self):
        assert must("Filesystem/RemoveWatcher", {"watcherId": self.id}, port=self.port) == {}


FORMS = {"stream": Streamed, "polled": Polled}


def squeezed(events):
    """Short events without repetitions next to each other, as the kernel may merge them."""
    texts = [short(event) for event in events]
    return [text for at, text in enumerate(texts) if at == 0 or texts[at - 1] != text]


def kernel_watches(pid):
    """The inotify watches a process holds."""
    count = 0
    for number in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            with open(f"/proc/{pid}/fdinfo/{number}", encoding="ascii") as file:
                count += sum(line.startswith("inotify ") for line in file)
        except FileNotFoundError:
            pass
    return count
