"""Very many short commands at once: each gets its own output and its own end."""

import json
import threading

import proc
import rpc
from conftest import SANITIZED, SUITE_AGENT, Task, eventually
from pattern import pattern
from wire import Connection, request

COMMANDS = 2_500 if SANITIZED else 10_000
AT_ONCE = 64
RETAINED = 64 * 1024  # KiB of output of ended commands that the agent keeps
SCRIPT = 'printf %s "$OUT"; printf %s "$ERR" >&2; '
HEAD = {"Content-Type": "application/connect+json"}


def size(chance):
    kind = chance.random()
    if kind < 0.2:
        return 0
    if kind < 0.85:
        return chance.randint(1, 300)
    return chance.randint(1, 8_000 if kind < 0.97 else 100 * 1024)


def piece(chance, source):
    length = size(chance)
    begin = chance.randint(0, 100_000)
    return pattern(source, 210_000)[begin:begin + length]


def plan(chance, count):
    for _ in range(count):
        code = -9 if chance.random() < 0.02 else chance.randint(0, 255)
        yield code, piece(chance, "stdout"), piece(chance, "stderr"), chance.random() < 0.7


def carry_out(conn, code, out, err):
    """Run one command and check all that comes of it."""
    end = "kill -9 $$" if code == -9 else f"exit {code}"
    envs = {"OUT": out.decode(), "ERR": err.decode()}
    message = {"process": {"cmd": "/bin/sh", "args": ["-c", SCRIPT + end], "envs": envs}}
    conn.send(request("POST", rpc.route("Process/Start"), HEAD, rpc.envelope(message)))
    messages, final = rpc.outcome(conn.answer())
    got = {"stdout": b"", "stderr": b""}
    for event in (message["event"] for message in messages[1:-1]):
        (source, text), = event["data"].items()
        got[source] += rpc.base64.b64decode(text)
    assert (got["stdout"], got["stderr"], final) == (out, err, {})
    ended = messages[-1]["event"]["end"]
    assert "start" in messages[0]["event"]
    assert ended.get("exitCode", 0) == (-1 if code == -9 else code), ended
    assert ended.get("exited", False) == (code != -9), ended


class Queue:
    """Tasks handed out to threads, each once."""

    def __init__(self, tasks):
        self._tasks, self._lock = tasks, threading.Lock()

    def take(self):
        with self._lock:
            return next(self._tasks, None)


def work(queue):
    conn = Connection()
    while task := queue.take():
        *command, stays = task
        carry_out(conn, *command)
        if not stays:
            conn.close()
            conn = Connection()
    conn.close()


def run_all(tasks):
    queue = Queue(tasks)
    for worker in [Task(work, queue) for _ in range(AT_ONCE)]:
        worker.result()


def test_many_commands(chance):
    """Three quarters of them, and the rest: those leave nothing more behind."""
    run_all(plan(chance, AT_ONCE))
    eventually(lambda: proc.descriptors(SUITE_AGENT) < AT_ONCE)
    before = proc.descriptors(SUITE_AGENT), proc.field(SUITE_AGENT, "VmRSS")
    grown = []
    for count in (COMMANDS * 3 // 4, COMMANDS // 4):
        run_all(plan(chance, count))
        assert rpc.pids() == []
        eventually(lambda: proc.descriptors(SUITE_AGENT) <= before[0] + 1)
        assert proc.dead_children(SUITE_AGENT) == []
        grown.append(proc.field(SUITE_AGENT, "VmRSS") - before[1])
    print("KiB that the agent has grown by:", grown)
    assert SANITIZED or (grown[0] < RETAINED and grown[1] < grown[0] + 8 * 1024), grown
