"""Why a command could not start, how it ended, and whom a kill reaches."""

import base64
import os
import signal

import pytest

from conftest import OWN_PORT, eventually
from rpc import by_pid, connect, must, pids, shell, start, stream

pytestmark = pytest.mark.ours


def fields(data):
    """The fields of a flat binary message, by number."""
    found, at = {}, 0
    while at < len(data):
        number, kind, value = data[at] >> 3, data[at] & 7, data[at + 1]
        at += 2
        if kind == 2:
            value, at = data[at:at + value], at + value
        found[number] = value
    return found


@pytest.mark.parametrize("process, number, name, stage", [
    ({"cmd": "true", "cwd": "/no/such"}, 2, b"ENOENT", b"cwd"),
    ({"cmd": "true", "cwd": "/etc/passwd"}, 20, b"ENOTDIR", b"cwd"),
    ({"cmd": "true", "args": ["x" * 200_000]}, 7, b"E2BIG", b"exec"),
    ({"cmd": "true", "args": ["a\0b"]}, 22, b"EINVAL", b"exec")])
def test_start_failure_in_numbers(process, number, name, stage):
    _, final = stream("Process/Start", {"process": process})
    [detail] = final["error"]["details"]
    assert detail["type"] == "process.StartFailure"
    packed = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
    assert fields(packed) == {1: number, 2: name, 3: stage}


def test_end_tells_the_cost():
    with start(shell("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")) as run:
        end = run.finish()
    assert int(run.cost["cpuUs"]) > 1000
    assert 1 << 18 < int(run.cost["peakMemoryBytes"]) < 1 << 30
    assert "oomKilled" not in end and "deadlineExceeded" not in end


def test_end_tells_of_the_deadline():
    with start(shell("exec sleep 300"), {"Connect-Timeout-Ms": "300"}) as run:
        run.next()
    eventually(lambda: run.pid not in pids())
    with connect({"pid": run.pid}) as late:
        end = late.finish()
    assert (end["status"], end["deadlineExceeded"]) == ("signal: killed", True)


FAMILY = "sleep 300 & echo $!; wait"


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def kill_family(port, **members):
    """Kill a shell with a child; whether the child outlived it."""
    with start(shell(FAMILY), port=port) as run:
        run.until(b"\n")
        child = int(run.output["stdout"])
        must("Process/SendSignal", by_pid(run.pid, signal=9, **members), port=port)
        assert run.finish()["status"] == "signal: killed"
    survived = alive(child)
    if survived:
        os.kill(child, signal.SIGKILL)
    return survived


def test_the_request_chooses_whom_a_kill_reaches():
    assert not kill_family(49983)
    assert kill_family(49983, descendants=False)
    assert not kill_family(49983, descendants=True)


def test_the_flag_chooses_whom_a_kill_reaches(agent_with):
    agent_with("-kill-scope", "leader")
    assert kill_family(OWN_PORT)
    assert not kill_family(OWN_PORT, descendants=True)


def test_grace_after_sigterm(agent_with):
    agent_with("-term-grace-ms", "100")
    script = "trap '' TERM; echo ready; while :; do sleep 300; done"
    with start(shell(script), port=OWN_PORT) as run:
        run.until(b"ready\n")
        must("Process/SendSignal", by_pid(run.pid, signal=15), port=OWN_PORT)
        assert run.finish()["status"] == "signal: killed"


def test_replay_can_be_off(agent_with, scratch):
    agent_with("-replay", "none")
    os.mkfifo(f"{scratch}/go")
    script = f"echo early; read x <{scratch}/go; echo late"
    with start(shell(script), port=OWN_PORT) as run:
        run.until(b"early\n")
    with connect({"pid": run.pid}, {"X-Envd-Replay": "all"}, port=OWN_PORT) as other:
        other.until(b"early\n")
    with connect({"pid": run.pid}, port=OWN_PORT) as late:
        with open(f"{scratch}/go", "w", encoding="ascii") as fifo:
            fifo.write("\n")
        late.finish()
    assert late.output["stdout"] == b"late\n"


def test_end_can_wait_for_the_background(agent_with, scratch):
    agent_with("-linger-ms", "-1")
    os.mkfifo(f"{scratch}/go")
    script = f"(read x <{scratch}/go; echo late) & exit 3"
    with start(shell(script), port=OWN_PORT) as run:
        eventually(lambda: not alive(run.pid))
        assert run.pid in pids(OWN_PORT)
        with open(f"{scratch}/go", "w", encoding="ascii") as fifo:
            fifo.write("\n")
        assert run.finish()["exitCode"] == 3
    assert run.output["stdout"] == b"late\n"
