"""POST /freeze and /unfreeze: what they answer, and what becomes of a machine in between."""

import json
import os
import re
import signal
import subprocess
import time

import pytest
from cgroups import Tree, agent_on
from hanging import HangingMount

import rpc
from conftest import OWN_PORT, eventually
from wire import Connection, barrier, exchange, request

KEYS = ["allowlisted", "failed", "frozen", "mode", "notFrozen", "preFrozen", "requested",
        "sweepMs", "truncated", "unobservable", "visited", "waitMs"]

# ---- answers, without any cgroup


def test_freeze_without_waiting():
    for query in ("", "?", "?maxWaitMs=0", "?maxWaitMs=-5", "?mode=hierarchy&maxCgroups=9"):
        answer = exchange("POST", f"/freeze{query}")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.get("cache-control") is None
        assert answer.get("content-type") is None


@pytest.mark.parametrize("query", ["maxWaitMs=60000", "mode=x&maxWaitMs=+60000",
                                   "maxWaitMs=0060000&maxCgroups=-1&mode="])
def test_freeze_of_nobody(query):
    answer = exchange("POST", f"/freeze?{query.replace('+', '%2B')}")
    assert answer.status == 200
    assert answer.get("cache-control") == "no-store"
    assert answer.get("content-type") == "application/json"
    sweep_ms = json.loads(answer.body)["sweepMs"]
    assert answer.body.decode() == (
        '{"allowlisted":0,"failed":0,"frozen":0,"mode":"legacy","notFrozen":0,"preFrozen":0,'
        f'"requested":2,"sweepMs":{sweep_ms},"truncated":false,"unobservable":2,"visited":0,'
        '"waitMs":0}\n')


@pytest.mark.parametrize("name", ["maxWaitMs", "maxCgroups"])
@pytest.mark.parametrize("value, why", [
    ("x", "invalid syntax"), ("", "invalid syntax"), ("1.5", "invalid syntax"),
    ("1e3", "invalid syntax"), ("99999999999999999999", "value out of range")])
def test_freeze_with_bad_numbers(name, value, why):
    answer = exchange("POST", f"/freeze?{name}={value}")
    assert answer.status == 400
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.body.decode() == (
        f"Invalid format for parameter {name}: error binding string parameter: "
        f'strconv.ParseInt: parsing "{value}": {why}\n')


@pytest.mark.parametrize("name", ["mode", "maxWaitMs", "maxCgroups"])
def test_freeze_with_a_parameter_twice(name):
    answer = exchange("POST", f"/freeze?{name}=1&{name}=1")
    assert answer.status == 400
    assert answer.body.decode() == (f"Invalid format for parameter {name}: multiple values for "
                                    f"single value parameter '{name}'\n")


def test_unfreeze_of_nothing():
    for _ in range(2):
        answer = exchange("POST", "/unfreeze", {"Content-Type": "text/plain"}, b"whatever")
        assert (answer.status, answer.body) == (204, b"")
        assert answer.get("cache-control") == "no-store"


# ---- with cgroups of our own


@pytest.fixture
def tree():
    try:
        made = Tree()
    except OSError as error:
        pytest.skip(f"no cgroups of our own: {error}")
    yield made
    made.close()


@pytest.fixture
def agent(tree, scratch):
    made = agent_on(tree, OWN_PORT, f"{scratch}/stderr", f"{scratch}/log")
    made.log = f"{scratch}/log"
    yield made
    problems = made.stop()
    assert problems == []


def freeze(query="maxWaitMs=20000"):
    answer = exchange("POST", f"/freeze?{query}", port=OWN_PORT)
    assert answer.status == 200, answer.body
    pairs = json.loads(answer.body, object_pairs_hook=list)
    assert [key for key, _ in pairs] == KEYS
    return dict(pairs)


def unfreeze():
    answer = exchange("POST", "/unfreeze", port=OWN_PORT)
    assert (answer.status, answer.body) == (204, b"")


def begin(message):
    """Ask for a start, not waiting for any answer."""
    conn = Connection(OWN_PORT)
    conn.send(request("POST", rpc.route("Process/Start"), rpc.STREAM, rpc.envelope(message)))
    return conn


def own(tree, agent, name):
    """Move the agent there."""
    tree.make(name)
    tree.write(name, "cgroup.procs", str(agent.pid))


TICK = "while :; do echo tick; sleep 0.05; done"

ours = pytest.mark.ours


@ours
def test_layout(tree, agent):
    for name in ("user", "ptys", "socats"):
        assert os.path.isdir(tree.path(name))
    controllers = tree.read("", "cgroup.subtree_control").split()
    if "memory" in controllers:
        assert tree.read("user", "memory.max") == tree.read("user", "memory.high") != "max\n"
        assert tree.read("socats", "memory.min") == "5242880\n"
    if "pids" in controllers:
        assert int(tree.read("user", "pids.max")) > 0
    if "cpu" in controllers:
        assert tree.read("ptys", "cpu.weight") == "200\n"
    assert agent.alive()


@ours
def test_workload_stands_still(tree, agent):
    with rpc.start(rpc.shell(TICK), port=OWN_PORT) as run:
        run.until(b"tick\n")
        result = freeze()
        assert (result["mode"], result["requested"], result["frozen"]) == ("legacy", 2, 2)
        assert result["failed"] == result["notFrozen"] == result["unobservable"] == 0
        assert tree.stands("user") and tree.stands("ptys") and not tree.asked("socats")
        # Again: nothing to do, nothing wrong.
        assert freeze()["frozen"] == 2
        unfreeze()
        assert not tree.asked("user") and not tree.asked("ptys")
        before = len(run.output["stdout"])
        run.until(b"tick\n" * (before // 5 + 2))
        exchange("POST", "/freeze", port=OWN_PORT)
        eventually(lambda: tree.stands("user"))
        unfreeze()
        unfreeze()
        run.until(b"tick\n" * (len(run.output["stdout"]) // 5 + 2))
        rpc.must("Process/SendSignal", rpc.by_pid(run.pid, signal="SIGNAL_SIGKILL"),
                 port=OWN_PORT)
        run.finish()
    assert agent.alive()


@ours
def test_starts_while_frozen_wait_for_the_thaw(tree, agent):
    """Others do not: neither the agent, nor the host's own commands."""
    freeze()
    waiting = [begin(rpc.shell(f"echo {i}")) for i in range(8)]
    terminal = begin({**rpc.shell("echo tty"), "pty": {"size": {"cols": 80, "rows": 24}}})
    barrier(OWN_PORT)
    eventually(lambda: len(rpc.pids(OWN_PORT)) == 9)
    with rpc.start({**rpc.shell("echo reclaimed"), "tag": "_system"}, port=OWN_PORT) as run:
        assert run.finish()["status"] == "exit status 0"
        assert run.output["stdout"] == b"reclaimed\n"
    assert len(rpc.pids(OWN_PORT)) == 9
    assert tree.stands("user")
    unfreeze()
    for conn in [*waiting, terminal]:
        messages, end = rpc.outcome(conn.answer("POST"))
        assert end == {}
        assert messages[-1]["event"]["end"]["exited"] is True
        conn.close()
    assert rpc.pids(OWN_PORT) == []
    assert agent.alive()


@ours
def test_kill_while_frozen(tree, agent):
    """It does not wait for the thaw; what was still starting ends with it at the latest."""
    with rpc.start(rpc.shell(TICK), port=OWN_PORT) as run:
        run.until(b"tick\n")
        freeze()
        rpc.must("Process/SendSignal", rpc.by_pid(run.pid, signal="SIGNAL_SIGKILL"),
                 port=OWN_PORT)
        assert run.finish()["status"] == "signal: killed"
        assert tree.asked("user")
    starting = begin(rpc.shell("echo never"))
    eventually(lambda: len(rpc.pids(OWN_PORT)) == 1)
    [pid] = rpc.pids(OWN_PORT)
    rpc.must("Process/SendSignal", rpc.by_pid(pid, signal="SIGNAL_SIGKILL"), port=OWN_PORT)
    barrier(OWN_PORT)
    unfreeze()
    answer = starting.answer("POST")
    assert b"bmV2ZXI" not in answer.body  # "never"
    starting.close()
    eventually(lambda: rpc.pids(OWN_PORT) == [])
    eventually(lambda: [name for name in os.listdir(tree.path("user"))
                        if re.fullmatch(r"p\d+", name)] == [])
    assert agent.alive()


@ours
def test_hierarchy(tree, agent):
    """All but the agent, what it lives in, and what a resume needs; the guest's own stays."""
    own(tree, agent, "system.slice/envd.service")
    tree.populate("customer/deep")
    tree.populate("system.slice/customer.service")
    tree.populate("system.slice/rpcbind.service")
    tree.populate("paused")
    tree.write("paused", "cgroup.freeze", "1")
    with rpc.start(rpc.shell(TICK), port=OWN_PORT) as run:
        run.until(b"tick\n")
        result = freeze("mode=hierarchy&maxWaitMs=20000&maxCgroups=100")
        assert result["mode"] == "hierarchy"
        # user, ptys, customer, customer.service
        assert result["requested"] == result["frozen"] == 4
        assert (result["preFrozen"], result["allowlisted"]) == (1, 2)
        assert result["failed"] == result["notFrozen"] == 0 and result["truncated"] is False
        for name in ("user", "ptys", "customer", "system.slice/customer.service"):
            assert tree.asked(name), name
        assert tree.stands("customer/deep")
        for name in ("system.slice", "system.slice/envd.service", "socats",
                     "system.slice/rpcbind.service"):
            assert not tree.asked(name) and not tree.stands(name), name
        assert freeze("mode=hierarchy&maxWaitMs=20000")["preFrozen"] == 1
        unfreeze()
        for name in ("user", "ptys", "customer", "system.slice/customer.service"):
            assert not tree.asked(name), name
        assert tree.asked("paused")
        eventually(lambda: not tree.stands("customer/deep"))
        before = len(run.output["stdout"])
        run.until(b"tick\n" * (before // 5 + 2))
        rpc.must("Process/SendSignal", rpc.by_pid(run.pid, signal="SIGNAL_SIGKILL"),
                 port=OWN_PORT)
        run.finish()


@ours
def test_resume(tree, agent):
    """POST /init says what it finds, and thaws before it is answered."""
    own(tree, agent, "system.slice/envd.service")
    tree.populate("system.slice/rpcbind.service")
    tree.populate("customer")
    freeze("mode=hierarchy&maxWaitMs=20000")
    starting = begin(rpc.shell("echo later"))
    eventually(lambda: len(rpc.pids(OWN_PORT)) == 1)
    tree.populate("late")
    answer = exchange("POST", "/init", {}, b"{}", OWN_PORT)
    assert answer.status == 204
    assert not tree.asked("user") and not tree.asked("customer")
    # user, ptys, customer and the cgroup of the command; the late one has escaped.
    assert answer.get("x-envd-freeze-audit") == (
        '{"visited":9,"frozen":4,"escaped":1,"violations":0,"truncated":false}')
    messages, _ = rpc.outcome(starting.answer("POST"))
    assert messages[-1]["event"]["end"]["exited"] is True
    starting.close()
    answer = exchange("POST", "/init", {}, b"{}", OWN_PORT)
    assert answer.get("x-envd-freeze-audit") is None
    freeze()
    answer = exchange("POST", "/init", {}, b"{}", OWN_PORT)
    assert answer.get("x-envd-freeze-audit") is None and not tree.asked("user")


@pytest.fixture
def hooks(tree, agent, scratch):
    """Programs of the image that say when they run, and whether `user` is frozen then."""
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("needs root and a mount namespace of its own")
    over = f"{scratch}/over"
    os.mkdir(over)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", over], check=True)
    for part in ("upper", "work"):
        os.mkdir(f"{over}/{part}")
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                    f"lowerdir=/etc,upperdir={over}/upper,workdir={over}/work", "/etc"], check=True)
    for event in ("pre-freeze", "post-thaw"):
        os.makedirs(f"/etc/e2b/hooks.d/{event}")
        path = f"/etc/e2b/hooks.d/{event}/10-test"
        with open(path, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nread asked <{tree.path("user", "cgroup.freeze")}\n'
                       f'echo "$1 $asked" >>{scratch}/ran\n')
        os.chmod(path, 0o755)
    yield f"{scratch}/ran"
    for path in ("/etc", over):
        subprocess.run(["umount", "-l", path], check=True)


@ours
def test_hooks(tree, agent, hooks):
    def ran():
        if not os.path.exists(hooks):
            return ""
        with open(hooks, encoding="ascii") as file:
            return file.read()

    unfreeze()
    freeze()
    assert ran() == "pre-freeze 0\n"
    unfreeze()
    eventually(lambda: ran() == "pre-freeze 0\npost-thaw 0\n")
    assert agent.alive() and not tree.asked("user")


@ours
def test_bound(tree, agent):
    own(tree, agent, "system.slice/envd.service")
    for i in range(8):
        tree.make(f"aaa{i}")
    result = freeze("mode=hierarchy&maxWaitMs=20000&maxCgroups=4")
    assert (result["visited"], result["truncated"], result["requested"]) == (4, True, 6)
    assert tree.asked("user") and tree.asked("aaa3") and not tree.asked("aaa4")
    unfreeze()
    assert not tree.asked("aaa3")


@pytest.fixture
def stuck(tree, agent, scratch):
    """A command inside the kernel, where no freezer stops it, until it is let go."""
    folder = f"{scratch}/mount"
    os.mkdir(folder)
    try:
        mount = HangingMount(folder).__enter__()
    except OSError as error:
        pytest.skip(f"FUSE cannot be mounted: {error}")
    with rpc.start(rpc.shell(f"exec ls {folder}/x"), port=OWN_PORT) as run:
        eventually(lambda: waits(run.pid))
        yield mount
        mount.__exit__()
        exchange("POST", "/unfreeze", port=OWN_PORT)
        run.finish()


def waits(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "D"


@ours
def test_one_that_does_not_stop(tree, stuck):
    result = freeze("maxWaitMs=300")
    assert (result["requested"], result["frozen"], result["notFrozen"]) == (2, 1, 1)
    assert result["failed"] == 0 and result["waitMs"] >= 300
    assert tree.asked("user") and not tree.stands("user") and tree.stands("ptys")


@ours
def test_one_that_stops_late(tree, stuck):
    """The kernel's word ends the wait."""
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/freeze?maxWaitMs=60000"))
        eventually(lambda: tree.stands("ptys"))
        barrier(OWN_PORT)
        time.sleep(0.1)  # the looks that are close together are over
        stuck.let_go()
        result = json.loads(conn.answer("POST").body)
    assert (result["frozen"], result["notFrozen"]) == (2, 0)
    assert 100 <= result["waitMs"] < 30000


@ours
def test_client_that_left(tree, stuck):
    """It is not waited for any more: the thaw has its turn."""
    assert stuck.path
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/freeze?maxWaitMs=60000"))
        eventually(lambda: tree.stands("ptys"))
        waiting = Connection(OWN_PORT)
        waiting.send(request("POST", "/unfreeze"))
        barrier(OWN_PORT)
        assert tree.asked("user")
    began = time.monotonic()
    assert waiting.answer("POST").status == 204
    assert time.monotonic() - began < 30
    assert not tree.asked("user") and not tree.asked("ptys")
    waiting.close()


@ours
def test_client_that_says_no_more(tree, stuck):
    """As far as can be told it has left, too."""
    assert stuck.path
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/freeze?maxWaitMs=60000", {}, b"a body that nobody reads"))
        eventually(lambda: tree.stands("ptys"))
        conn.half_close()
        answer = conn.answer("POST")
        assert (answer.status, answer.body) == (503, b"")
    unfreeze()


@ours
def test_thaw_whose_client_left(tree, stuck):
    assert stuck.path
    freezing = Connection(OWN_PORT)
    freezing.send(request("POST", "/freeze?maxWaitMs=60000"))
    eventually(lambda: tree.stands("ptys"))
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/unfreeze"))
        barrier(OWN_PORT)
    freezing.close()
    eventually(lambda: not tree.asked("user") and not tree.asked("ptys"))


@ours
def test_removed_cgroup(tree, agent):
    """A cgroup of commands that somebody has removed is no error, but said."""
    os.rmdir(tree.path("ptys"))
    result = freeze()
    assert (result["requested"], result["frozen"], result["failed"]) == (1, 1, 1)
    unfreeze()
    assert agent.alive()


@pytest.fixture
def read_only(tree, agent, scratch):
    """What asks `user` to freeze can be read, and not written."""
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("needs root and a mount namespace of its own")
    with open(f"{scratch}/frozen", "w", encoding="ascii") as out:
        out.write("0\n")
    target = tree.path("user", "cgroup.freeze")
    subprocess.run(["mount", "--bind", f"{scratch}/frozen", target], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", target], check=True)
    yield
    subprocess.run(["umount", target], check=True)
    unfreeze()


@ours
def test_one_that_refuses(tree, read_only):
    """All others are tried, in both directions; only a thaw that failed is an error."""
    result = freeze()
    assert (result["requested"], result["frozen"], result["failed"]) == (1, 1, 1)
    assert tree.stands("ptys")
    answer = exchange("POST", "/unfreeze", port=OWN_PORT)
    assert answer.status == 500
    assert answer.get("content-type") == "application/json; charset=utf-8"
    assert json.loads(answer.body) == {
        "code": 500, "message": "failed to unfreeze 1 cgroups: read-only file system"}
    assert not tree.asked("ptys")


@ours
def test_agent_after_a_crash_thaws(tree, agent, scratch):
    """It knows by the cgroups that one before it has frozen."""
    with rpc.start(rpc.shell(TICK), port=OWN_PORT) as run:
        run.until(b"tick\n")
        tree.populate("customer")
        own(tree, agent, "system.slice/envd.service")
        assert freeze("mode=hierarchy&maxWaitMs=20000")["requested"] == 3
        os.kill(agent.pid, signal.SIGKILL)
        eventually(lambda: not agent.alive())
    second = agent_on(tree, OWN_PORT, f"{scratch}/second")
    try:
        assert tree.stands("user") and tree.stands("customer")
        unfreeze()
        assert not tree.asked("user") and not tree.asked("customer")
    finally:
        assert second.stop() == []
        agent.stop = lambda: []


@ours
def test_log_line(tree, agent):
    freeze()
    unfreeze()
    eventually(lambda: "Workload thawed" in open(agent.log, encoding="utf-8").read())
    lines = [json.loads(line) for line in open(agent.log, encoding="utf-8")]
    [frozen] = [line for line in lines if line["message"] == "Workload frozen"]
    assert (frozen["level"], frozen["mode"], frozen["requested"], frozen["frozen"]) == (
        "info", "legacy", 2, 2)
    [thawed] = [line for line in lines if line["message"] == "Workload thawed"]
    assert (thawed["stood"], thawed["failed"]) == (True, 0)
    # Without a wait nothing is said to be wrong.
    assert exchange("POST", "/freeze", port=OWN_PORT).status == 204
    unfreeze()
    assert not [line for line in open(agent.log, encoding="utf-8")
                if "in whole" in line and json.loads(line)["level"] != "info"]
