"""What a sandbox is for: programs that run for long, terminals, watching; and a
guest that runs out of disk or memory.
"""

import threading

import pytest

import guest
import machine
import rpc
import watching
import wire

SERVE = "mkdir -p /tmp/www; echo served >/tmp/www/file; exec busybox httpd -f -v -p 8000 -h /tmp/www"


def served():
    return wire.exchange("GET", "/file", port=machine.SERVER_PORT).body


def until_served():
    """The server has no event for its start: ask until it answers."""
    while True:
        try:
            return served()
        except (OSError, EOFError):
            pass


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


def test_terminal_of_a_user(debian):
    message = {"process": {"cmd": "/bin/bash", "args": ["-i", "-l"], "envs": {"PS1": "$ "}},
               "pty": {"size": {"cols": 90, "rows": 30}}, "tag": "terminal"}
    with rpc.start(message, {"Authorization": "Basic dXNlcjo="}) as shell:
        selector = {"process": {"tag": "terminal"}}
        rpc.must("Process/SendInput", {**selector, "input": {"pty": rpc.data(
            "stty size; id -un; pwd; exec sh -c 'tty; exec sleep 300'\n")}})
        shell.until(b"30 90\r\nuser\r\n/home/user\r\n", "pty")
        shell.until(b"\r\n/dev/pts/", "pty")
        rpc.must("Process/SendInput", {**selector, "input": {"pty": rpc.data(b"\3")}})
        assert shell.finish()["status"] == "signal: interrupt"


@pytest.mark.parametrize("form", watching.FORMS)
def test_watching_the_disk(debian, form):
    guest.sh("mkdir -p /root/watched")
    seen = watching.FORMS[form]("/root/watched", recursive=True)
    guest.sh("cd /root/watched; mkdir -p a/b/c; echo x >a/b/c/file; mv a z; rm -r z")
    seen.until_has("CREATE a", "CREATE a/b", "CREATE a/b/c", "RENAME a", "CREATE z", "REMOVE z")
    seen.close()
    guest.sh("rmdir /root/watched")


def test_full_disk(own_debian):
    """The agent needs no room on the disk."""
    agent = guest.agent_pid()
    guest.sh("fallocate -l $(df -k --output=avail / | tail -n 1)k /root/huge || true;"
             " cat /dev/zero >/root/rest 2>/dev/null || true; df -k /")
    assert guest.sh("df -k --output=avail / | tail -n 1").strip() == "0"
    assert guest.upload("/root/more", b"x" * 1_000_000) == 507
    assert guest.sh("ls -A /root/more* 2>/dev/null || true") == ""
    assert guest.sh("id -un") == "root\n"
    assert guest.upload("/tmp/elsewhere", b"x" * 1_000_000) == 200
    guest.sh("rm /root/huge /root/rest")
    assert guest.upload("/root/more", b"x" * 1_000_000) == 200
    assert guest.download("/root/more") == b"x" * 1_000_000
    assert guest.agent_pid() == agent


class Health(threading.Thread):
    """Asks for the agent's health until it is told to stop."""

    def __init__(self):
        super().__init__()
        self.statuses, self._over = [], threading.Event()
        self.start()

    def run(self):
        while not self._over.wait(0.1):
            try:
                self.statuses.append(wire.exchange("GET", "/health").status)
            except (OSError, EOFError) as error:
                self.statuses.append(error)

    def stop(self):
        self._over.set()
        self.join()
        return self.statuses


def test_memory_exhausted(own_debian):
    """Programs that take all memory are killed, the agent is not, nor does it stop answering."""
    agent = guest.agent_pid()
    bystander = guest.Lines("bystander", rpc.shell("read line; echo $line", stdin=True))
    health = Health()
    try:
        for _ in range(3):
            hog = rpc.run("exec tail /dev/zero")
            assert hog.end["status"] == "signal: killed"
            assert hog.end["oomKilled"] is True
        children = rpc.run("for n in 1 2 3 4; do tail /dev/zero & done; wait; echo all gone")
        assert children.output["stdout"] == b"all gone\n"
    finally:
        statuses = health.stop()
    assert statuses and set(statuses) == {204}
    assert guest.agent_pid() == agent
    rpc.must("Process/SendInput", {"process": {"tag": "bystander"},
                                   "input": {"stdin": rpc.data("still here\n")}})
    bystander.until(b"still here\n")
    assert bystander.finish()["status"] == "exit status 0"
