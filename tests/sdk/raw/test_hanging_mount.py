"""A file system that does not answer holds up those who ask for it, and nobody else."""

import json
import os
import select
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hanging import HangingMount

import rpc
from conftest import OWN_PORT, eventually
from wire import Connection, exchange, request

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(
        not os.environ["SDK_PRIVATE"] or not os.access("/dev/fuse", os.R_OK | os.W_OK),
        reason="needs root, /dev/fuse and a mount namespace of its own"),
]

THREADS_ALL = 36  # WORKER_THREADS_ALL, WORKER_THREADS_URGENT, the loop, one to spare


@pytest.fixture
def hanging(scratch):
    folder = f"{scratch}/mount"
    os.mkdir(folder)
    try:
        mount = HangingMount(folder).__enter__()
    except OSError as error:
        pytest.skip(f"FUSE cannot be mounted: {error}")
    yield mount
    mount.__exit__()


def begin(name, message):
    """Send a unary call and do not wait for its answer."""
    conn = Connection(OWN_PORT)
    conn.send(request("POST", rpc.route(name), rpc.JSON, rpc.encode(message)))
    return conn


def threads(agent):
    with open(f"/proc/{agent.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


def others_are_served(scratch):
    """Every kind of file work elsewhere comes to its end."""
    folder = f"{scratch}/other"
    rpc.must("Filesystem/MakeDir", {"path": f"{folder}/deep/er"}, port=OWN_PORT)
    body = os.urandom(1 << 20)
    for size in (10, 1 << 20):
        answer = exchange("POST", f"/files?path={folder}/file&username=root",
                          {"Content-Type": "application/octet-stream"}, body[:size], OWN_PORT)
        assert answer.status == 200, answer.body
        answer = exchange("GET", f"/files?path={folder}/file&username=root", {}, b"", OWN_PORT)
        assert answer.body == body[:size]
    rpc.must("Filesystem/Move", {"source": f"{folder}/file", "destination": f"{folder}/moved"},
             port=OWN_PORT)
    listed = rpc.must("Filesystem/ListDir", {"path": folder, "depth": 9}, port=OWN_PORT)
    assert len(listed["entries"]) == 3
    rpc.must("Filesystem/Stat", {"path": f"{folder}/moved"}, port=OWN_PORT)
    rpc.must("Filesystem/Remove", {"path": folder}, port=OWN_PORT)
    assert exchange("GET", "/health", {}, b"", OWN_PORT).status == 204


METHODS = ("Stat", "ListDir", "MakeDir", "Remove")


def flood(path, count):
    return [begin(f"Filesystem/{METHODS[i % len(METHODS)]}", {"path": path.format(i)})
            for i in range(count)]


@pytest.mark.parametrize("below", ["", "/some/folder"])
def test_others_are_served(scratch, own_agent, hanging, below):
    calls = flood(f"{hanging.path}{below}/{{}}", 40)
    for _ in range(3):
        others_are_served(scratch)
    assert threads(own_agent) <= THREADS_ALL
    hanging.let_go()
    for conn in calls:
        assert conn.answer().status != 200
        conn.close()
    others_are_served(scratch)


def test_few_threads_wait_for_one_mount(scratch, own_agent, hanging):
    calls = flood(f"{hanging.path}/{{}}", 8)
    others_are_served(scratch)
    before = threads(own_agent)
    calls += flood(f"{hanging.path}/{{}}", 100)
    others_are_served(scratch)
    others_are_served(scratch)
    assert threads(own_agent) <= before + 4
    for conn in calls:
        conn.close()


def test_reached_by_a_link(scratch, own_agent, hanging):
    os.symlink(hanging.path, f"{scratch}/link")
    calls = flood(f"{scratch}/link/same", 40)
    others_are_served(scratch)
    assert threads(own_agent) <= THREADS_ALL
    for conn in calls:
        conn.close()
    others_are_served(scratch)


def test_too_many_are_refused(scratch, own_agent, hanging):
    calls = flood(f"{hanging.path}/{{}}", 4)
    others_are_served(scratch)
    answers = []

    def refused():
        calls.extend(flood(f"{hanging.path}/{{}}", 50))
        ready, _, _ = select.select([conn.socket for conn in calls], [], [], 0.1)
        answers.extend(conn.answer() for conn in calls if conn.socket in ready)
        return answers

    eventually(refused)
    assert {answer.status for answer in answers} == {429}
    assert json.loads(answers[0].body)["message"] == "too many file operations are waiting"
    others_are_served(scratch)
    for conn in calls:
        conn.close()
    hanging.let_go()


@pytest.mark.skipif(bool(os.environ["ENVD_SANITIZED"]),
                    reason="a leak checker stops every thread, and these cannot be stopped")
def test_the_agent_ends_all_the_same(scratch, hanging, own_agent):
    calls = flood(f"{hanging.path}/{{}}", 10)
    others_are_served(scratch)
    for conn in calls:
        conn.close()
    assert threads(own_agent) > 4
    # The agent is stopped before the mount: fixtures end in reverse order.


def test_uploads_and_downloads_of_it(scratch, own_agent, hanging):
    head = {"Content-Type": "application/octet-stream"}
    calls = []
    for i in range(12):
        conn = Connection(OWN_PORT)
        target = f"/files?path={hanging.path}/{i}&username=root"
        conn.send(request("POST", target, head, b"x" * 100) if i % 2 else
                  request("GET", target, {}, b""))
        calls.append(conn)
    others_are_served(scratch)
    hanging.let_go()
    for conn in calls:
        assert conn.answer().status == 500
        conn.close()


GENEROUS = 10  # seconds, for an answer that takes less than a millisecond of work


def test_health_while_everything_is_busy(scratch, own_agent, hanging):
    for tree in ("gone", "listed"):
        for i in range(10_000):
            if i % 1000 == 0:
                os.makedirs(f"{scratch}/{tree}/{i // 1000}")
            os.mknod(f"{scratch}/{tree}/{i // 1000}/{i}")
    calls = flood(f"{hanging.path}/{{}}", 20)
    body = os.urandom(4 << 20)

    def upload(i):
        answer = exchange("POST", f"/files?path={scratch}/up{i}&username=root",
                          {"Content-Type": "application/octet-stream"}, body, OWN_PORT)
        return answer.status == 200

    def remove():
        return rpc.call("Filesystem/Remove", {"path": f"{scratch}/gone"}, port=OWN_PORT)[0] == 200

    def listing():
        listed = rpc.must("Filesystem/ListDir", {"path": f"{scratch}/listed", "depth": 9},
                          port=OWN_PORT)
        return len(listed["entries"]) == 10_010

    with ThreadPoolExecutor(10) as pool:
        work = [pool.submit(remove), pool.submit(listing),
                *[pool.submit(upload, i) for i in range(8)]]
        slowest = 0
        while not all(each.done() for each in work):
            before = time.monotonic()
            assert exchange("GET", "/health", {}, b"", OWN_PORT).status == 204
            slowest = max(slowest, time.monotonic() - before)
            time.sleep(0.01)
        assert all(each.result() for each in work)
    assert slowest < GENEROUS
    for conn in calls:
        conn.close()
