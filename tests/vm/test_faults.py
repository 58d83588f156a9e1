"""A guest that runs out of disk or memory, and one that serves through a pause."""

import threading
import time

import guest
import machine
import rpc
import wire

SERVE = "mkdir -p /tmp/www; echo served >/tmp/www/file; exec busybox httpd -f -v -p 8000 -h /tmp/www"


def served():
    return wire.exchange("GET", "/file", port=machine.SERVER_PORT).body


def until_served():
    """The server has no event for its start: ask until it answers."""
    deadline = time.monotonic() + guest.PATIENCE
    while True:
        try:
            return served()
        except (OSError, EOFError):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_server_outlives_clients_and_pauses(own_debian):
    server = guest.Lines("server", rpc.shell(SERVE))
    assert until_served() == b"served\n"
    own_debian.pause()
    server.cut_off()
    own_debian.resume()
    own_debian.await_answer()
    assert until_served() == b"served\n"
    server.reconnect()
    rpc.must("Process/SendSignal", {"process": {"tag": "server"}, "signal": "SIGNAL_SIGTERM"})
    assert server.finish()["status"] == "signal: terminated"


def test_full_disk(own_debian):
    """The agent needs no room on the disk."""
    agent = guest.agent_pid()
    guest.sh("fallocate -l $(df -k --output=avail / | tail -n 1)k /root/huge || true;"
             " cat /dev/zero >/root/rest 2>/dev/null || true")
    assert guest.sh("df -k --output=avail / | tail -n 1").strip() == "0"
    assert guest.upload("/root/more", b"x" * 1_000_000) == 507
    assert guest.sh("ls -A /root/more* 2>/dev/null || true") == ""
    assert guest.sh("id -un") == "root\n"
    assert guest.upload("/dev/shm/elsewhere", b"x" * 1_000_000) == 200
    guest.sh("rm /root/huge /root/rest; sync")
    assert guest.upload("/root/more", b"x" * 1_000_000) == 200
    assert guest.download("/root/more") == b"x" * 1_000_000
    assert guest.agent_pid() == agent


class Health(threading.Thread):
    """Asks for the agent's health until it is told to stop."""

    def __init__(self):
        super().__init__()
        self.statuses, self.slowest, self._over = [], 0.0, threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(0.1):
            begun = time.monotonic()
            try:
                self.statuses.append(wire.exchange("GET", "/health").status)
            except (OSError, EOFError) as error:
                self.statuses.append(error)
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def stop(self):
        self._over.set()
        self.join()


def test_memory_exhausted(small_debian, figure):
    """Programs that take all memory are killed, the agent is not, nor does it stop answering."""
    agent = guest.agent_pid()
    bystander = guest.Lines("bystander", rpc.shell("read line; echo $line", stdin=True))
    health = Health()
    try:
        hog = rpc.run("exec tail /dev/zero")
        assert hog.end["status"] == "signal: killed"
        assert hog.end["oomKilled"] is True
        children = rpc.run("for n in 1 2; do tail /dev/zero & done; wait; echo all gone")
        assert children.output["stdout"] == b"all gone\n"
    finally:
        health.stop()
    figure(f"memory exhausted: {len(health.statuses)} answers of /health, "
           f"the slowest after {health.slowest:.2f} s")
    assert set(health.statuses) == {204}
    assert guest.agent_pid() == agent
    rpc.must("Process/SendInput", {"process": {"tag": "bystander"},
                                   "input": {"stdin": rpc.data("still here\n")}})
    bystander.until(b"still here\n")
    assert bystander.finish()["status"] == "exit status 0"
