"""The calls of watching: errors, ids, streams that end, who gets what."""

import json
import os
import re
import shlex
import threading

import pytest

import proto
from agent import Agent
from conftest import OWN_PORT, eventually
from fuse import Fuse
from proto import number, text
from rpc import Stream, call, must, refused, route, stream_refused
from test_files_change import plant
from test_gates import basic
from test_watch import write
from watching import Polled, Streamed, kernel_watches, short, squeezed
from wire import barrier, exchange

AGENT = int(os.environ.get("ENVD_PID", 0))
CREATE, POLL, REMOVE = (f"Filesystem/{name}" for name in ("CreateWatcher", "GetWatcherEvents", "RemoveWatcher"))
LEGACY = {"User-Agent": "connect-python"}


def both_refuse(message, code, words=None, headers=()):
    """The same error from both forms; gives its text."""
    first = stream_refused("Filesystem/WatchDir", message, code, words, headers)
    assert refused(CREATE, message, code, words, headers) == first
    return first


def test_missing_path(scratch):
    both_refuse({"path": f"{scratch}/x"}, "not_found",
                f"path {scratch}/x not found: stat {scratch}/x: no such file or directory")
    os.symlink("nowhere", f"{scratch}/link")
    both_refuse({"path": f"{scratch}/link"}, "not_found",
                f"path {scratch}/link not found: stat {scratch}/link: no such file or directory")


def test_path_of_a_file(scratch):
    plant(scratch, "f")
    assert both_refuse({"path": f"{scratch}/f"}, "invalid_argument").startswith(
        f"path {scratch}/f not a directory")


@pytest.mark.ours
def test_path_of_a_file_in_words(scratch):
    plant(scratch, "f")
    both_refuse({"path": f"{scratch}/f"}, "invalid_argument", f"path {scratch}/f not a directory")


def test_paths_that_cannot_be_looked_up(scratch):
    plant(scratch, "f")
    long = f"{scratch}/{'x' * 300}"
    both_refuse({"path": f"{scratch}/f/x"}, "internal",
                f"error statting path {scratch}/f/x: stat {scratch}/f/x: not a directory")
    both_refuse({"path": long}, "internal",
                f"error statting path {long}: stat {long}: file name too long")


def test_paths_that_cannot_be_resolved():
    both_refuse({"path": "~nobody/x"}, "invalid_argument",
                "failed to expand path '' for user 'root': cannot expand user-specific home dir")
    both_refuse({"path": "/"}, "unauthenticated", headers=basic("no-such-user"))


@pytest.mark.ours
def test_patterns_are_bounded(scratch):
    both_refuse({"path": scratch, "ignore": ["x"] * 257}, "invalid_argument",
                "more than 256 patterns to ignore")
    both_refuse({"path": scratch, "ignore": ["x" * 1025]}, "invalid_argument",
                "a pattern to ignore is over 1024 bytes")


def test_ids_nobody_has():
    for name in (POLL, REMOVE):
        refused(name, {"watcherId": "w1"}, "not_found", "watcher with id w1 not found")
        refused(name, {}, "not_found", "watcher with id  not found")


def test_life_of_an_id(scratch):
    seen, other = Polled(scratch), Polled(scratch)
    assert re.fullmatch("w[a-z0-9]{20}", seen.id) and seen.id != other.id
    assert seen.poll() == []
    write(f"{scratch}/f")
    assert squeezed(seen.since(scratch)) == ["CREATE f", "WRITE f"]
    assert seen.poll() == []
    seen.close()
    for name in (POLL, REMOVE):
        refused(name, {"watcherId": seen.id}, "not_found", f"watcher with id {seen.id} not found")
    assert squeezed(other.since(scratch))[:2] == ["CREATE f", "WRITE f"]
    other.close()


def test_any_caller_may_use_an_id(scratch):
    seen = Polled(scratch)
    write(f"{scratch}/f")
    seen.headers = basic("nobody")
    seen.until_has("CREATE f", "WRITE f")
    assert must(REMOVE, {"watcherId": seen.id}, basic("nobody")) == {}


def test_large_batch_in_one_answer(scratch):
    seen = Polled(scratch)
    names = [f"{n:05}-with-a-name-that-is-not-short" for n in range(20000)]
    for name in names:
        os.mkfifo(f"{scratch}/{name}")
    eventually(lambda: len(seen.events) == len(names) or seen.more())
    assert [short(event) for event in seen.events] == [f"CREATE {name}" for name in names]
    seen.close()


@pytest.mark.ours
def test_polls_at_the_same_time_share_the_events(scratch):
    seen = Polled(scratch, includeEntry=True)
    names, got, end = [str(n) for n in range(2000)], [], threading.Event()

    def poll():
        while not end.is_set():
            got.extend(seen.poll())

    threads = [threading.Thread(target=poll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for name in names:
        os.mkfifo(f"{scratch}/{name}")
    try:
        eventually(lambda: len(got) >= len(names))
    finally:
        end.set()
        for thread in threads:
            thread.join()
        seen.close()
    assert sorted(event["name"] for event in got) == sorted(names)
    assert all("entry" in event for event in got)


@pytest.mark.ours
def test_entries_of_a_polled_watcher_are_taken_when_it_happens(scratch):
    """Not when they are asked for: by then the file has gone."""
    seen = Polled(scratch, includeEntry=True)

    def known():
        write(f"{scratch}/f", "12345")
        barrier()
        os.unlink(f"{scratch}/f")
        return any("entry" in event for event in seen.since(scratch))

    eventually(known)
    seen.close()


def test_keepalive(scratch):
    seen = Streamed(scratch, {"Keepalive-Ping-Interval": "1"})
    seen.more()
    assert (seen.keepalives, seen.events) == (1, [])
    write(f"{scratch}/f")
    seen.until_has("CREATE f", "WRITE f")
    seen.until(lambda _: seen.keepalives == 2)
    seen.close()


def test_deadline(scratch):
    stream = Streamed(scratch, {"Connect-Timeout-Ms": "400"}).stream
    while stream.next() is not None:
        pass
    assert stream.final["error"] == {"code": "deadline_exceeded", "message": "context deadline exceeded"}


def test_half_close(scratch):
    stream = Streamed(scratch).stream
    stream.conn.half_close()
    assert stream.next() is None
    assert stream.final["error"] == {"code": "canceled", "message": "context canceled"}


def test_dead_root_stays_silent(scratch):
    plant(scratch, "root/")
    seen = Streamed(f"{scratch}/root", {"Keepalive-Ping-Interval": "1"})
    polled = Polled(f"{scratch}/root")
    os.rmdir(f"{scratch}/root")
    for each in (seen, polled):
        each.until_has("REMOVE .")
    plant(scratch, "root/f")
    seen.until(lambda _: seen.keepalives == 2)
    assert squeezed(seen.events) == squeezed(polled.events) == ["REMOVE ."]
    assert polled.poll() == []
    seen.close()
    polled.close()


def test_kernel_watches_are_released(scratch):
    before = kernel_watches(AGENT)
    plant(scratch, *[f"a/{n}/b/" for n in range(20)])
    streams = [Streamed(scratch, recursive=True) for _ in range(3)]
    polled = Polled(scratch, recursive=True)
    timed = Streamed(scratch, {"Connect-Timeout-Ms": "500"}, recursive=True)
    assert kernel_watches(AGENT) > before
    for stream in streams:
        stream.close()
    polled.close()
    while timed.stream.next() is not None:
        pass
    eventually(lambda: kernel_watches(AGENT) == before)


@pytest.mark.ours
def test_watchers_share_kernel_watches(scratch):
    plant(scratch, *[f"{n}/" for n in range(9)])
    first = Polled(scratch, recursive=True)
    count = kernel_watches(AGENT)
    others = [Polled(scratch, recursive=True) for _ in range(9)] + [Polled(f"{scratch}/3")]
    assert kernel_watches(AGENT) == count
    write(f"{scratch}/3/f")
    for each in [first, *others[:-1]]:
        each.until_has("CREATE 3/f", "WRITE 3/f")
    others[-1].until_has("CREATE f", "WRITE f")
    for each in [first, *others]:
        each.close()
    eventually(lambda: kernel_watches(AGENT) == count - 10)


@pytest.mark.ours
def test_a_thousand_watchers(scratch):
    plant(scratch, "d/")
    polled = [Polled(scratch, recursive=bool(n % 2)) for n in range(900)]
    streams = [Streamed(scratch) for _ in range(100)]
    write(f"{scratch}/f")
    for each in polled + streams:
        each.until_has("CREATE f", "WRITE f")
        each.close()


@pytest.mark.ours
def test_one_watcher_too_many(scratch, agent_with):
    agent_with()
    ids = []
    for _ in range(4096):
        (_, each), = must(CREATE, {"path": scratch}, port=OWN_PORT).items()
        ids.append(each)
    refused(CREATE, {"path": scratch}, "resource_exhausted", port=OWN_PORT)
    must(REMOVE, {"watcherId": ids[0]}, port=OWN_PORT)
    last = Polled(scratch, port=OWN_PORT)
    write(f"{scratch}/f")
    last.until_has("CREATE f", "WRITE f")


@pytest.fixture
def fuse(scratch):
    if os.environ.get("SDK_PRIVATE") != "1" or not os.path.exists("/dev/fuse"):
        pytest.skip("no mount namespace, or no /dev/fuse")
    plant(scratch, "tree/fuse/", "tree/d/")
    with Fuse(f"{scratch}/tree/fuse"):
        yield f"{scratch}/tree/fuse"


def test_network_mount(fuse):
    both_refuse({"path": fuse}, "invalid_argument", f"cannot watch path on network filesystem: {fuse}")


def test_network_mount_that_is_allowed(fuse):
    for form in Streamed, Polled:
        form(fuse, allowNetworkMounts=True).close()


@pytest.mark.ours
def test_network_mount_below(fuse, scratch):
    """It is left out, and the rest is watched."""
    before = kernel_watches(AGENT)
    seen = Streamed(f"{scratch}/tree", recursive=True)
    assert kernel_watches(AGENT) == before + 2
    write(f"{scratch}/tree/d/f")
    seen.until_has("CREATE d/f", "WRITE d/f")
    seen.close()
    every = Streamed(f"{scratch}/tree", recursive=True, allowNetworkMounts=True)
    assert kernel_watches(AGENT) >= before + 3
    every.close()
    eventually(lambda: kernel_watches(AGENT) == before)


@pytest.mark.ours
def test_removed_while_it_is_polled(scratch):
    """Whatever wins, each call gets an answer of its own."""
    for _ in range(20):
        seen = Polled(scratch, includeEntry=True)
        plant(scratch, *[str(n) for n in range(50)])
        answers = []
        polls = [threading.Thread(target=lambda: answers.append(call(POLL, {"watcherId": seen.id})))
                 for _ in range(4)]
        for poll in polls:
            poll.start()
        seen.close()
        for poll in polls:
            poll.join()
        assert len(answers) == 4 and {status for status, _ in answers} <= {200, 404}


def test_legacy_client(scratch):
    stream = Streamed(scratch, LEGACY, includeEntry=True)
    assert stream.stream.answer.all("x-e2b-legacy-sdk") == ["true"]
    polled = Polled(scratch, LEGACY, includeEntry=True)
    write(f"{scratch}/f")
    for each in (stream, polled):
        assert all(set(event) == {"name", "type"} for event in each.since(scratch))
    message = json.dumps({"watcherId": polled.id}).encode()
    for name in (POLL, REMOVE):
        answer = exchange("POST", route(name), {"Content-Type": "application/json", **LEGACY}, message)
        assert (answer.status, answer.all("x-e2b-legacy-sdk")) == (200, ["true"])
    answer = exchange("POST", route(REMOVE), {"Content-Type": "application/json", **LEGACY}, message)
    assert (answer.status, answer.all("x-e2b-legacy-sdk")) == (404, [])
    stream.close()


def test_legacy_stream_that_fails(scratch):
    with Stream("Filesystem/WatchDir", {"path": f"{scratch}/x"}, LEGACY) as stream:
        assert stream.answer.all("x-e2b-legacy-sdk") == ["true"]
        assert stream.next() is None and stream.final["error"]["code"] == "not_found"


def binary(name, body):
    answer = exchange("POST", route(name), {"Content-Type": "application/proto"}, body)
    assert (answer.status, answer.get("content-type")) == (200, "application/proto"), answer.body
    return answer.body


def binary_event(data):
    """Type, name, and the size in the entry if there is one."""
    fields = proto.fields(data)
    size = proto.fields(fields[3][0]).get(4, [0])[0] if 3 in fields else None
    return fields[2][0], fields[1][0], size


def test_binary_stream(scratch):
    with Stream("Filesystem/WatchDir", text(1, scratch) + number(3, 1),
                {"Content-Type": "application/connect+proto"}) as stream:
        assert stream.envelope() == (0, text(1, b""))
        write(f"{scratch}/f", "12345")
        got = []
        while not got or got[-1][0] != 2:
            flags, payload = stream.envelope()
            assert flags == 0
            got.append(binary_event(proto.at(payload, 2)))
        assert got[-1] == (2, b"f", 5) and got[0][:2] == (1, b"f")


def test_binary_polled(scratch):
    watcher = proto.at(binary(CREATE, text(1, scratch) + number(3, 1)), 1)
    assert re.fullmatch(b"w[a-z0-9]{20}", watcher)
    assert binary(POLL, text(1, watcher)) == b""
    write(f"{scratch}/f", "12345")
    got = []

    def poll():
        got.extend(binary_event(each) for each in proto.fields(binary(POLL, text(1, watcher))).get(1, []))
        return len(got) >= 2

    eventually(poll)
    assert got[-1] == (2, b"f", 5) and [event[0] for event in got] == [1, 2]
    assert binary(REMOVE, text(1, watcher)) == b""


@pytest.mark.ours
def test_log_has_no_names(scratch):
    log = f"{scratch}/stdout"
    plant(scratch, "hidden-name/")
    agent = Agent(os.environ["ENVD_BIN"], [*shlex.split(os.environ["ENVD_ARGS"]), "-verbose"],
                  OWN_PORT, f"{scratch}/stderr", stdout=log)
    try:
        root = f"{scratch}/hidden-name"
        for each in (Streamed(root, port=OWN_PORT), Polled(root, port=OWN_PORT)):
            write(f"{root}/hidden-file")
            each.until_has("WRITE hidden-file")
            each.close()
    finally:
        assert agent.stop() == []
    with open(log, encoding="utf-8") as file:
        said = file.read()
    for message in ("watchDir", "createWatcher", "getWatcherEvents", "removeWatcher"):
        assert f'"message":"Filesystem {message}"' in said
    assert "hidden" not in said
