"""The agent, the command of the user and orphans: who is started, kept and reaped."""

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest
import rpc
import wire
from conftest import BINARY, eventually, healthy, run

PORT = 49983
SLEEP = "exec sleep 100000"


def killed(machine):
    """Kill the agent and give the pid of the next one."""
    before = machine.agent()
    os.kill(before, signal.SIGKILL)
    return eventually(lambda: (pid := machine.agent()) != before and pid)


def listening_inode(pid):
    """The socket on which a process listens."""
    with open(f"/proc/{pid}/net/tcp6", encoding="ascii") as file:
        rows = [line.split() for line in file][1:]
    inodes = {f"socket:[{row[9]}]" for row in rows
              if row[1].endswith(f":{PORT:04X}") and row[3] == "0A"}
    held = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # of a connection that ended meanwhile
            held.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    assert len(inodes & held) == 1
    return (inodes & held).pop()


def test_killed_agent_is_started_again_on_the_same_socket(machine):
    made = machine()
    inode = listening_inode(made.agent())
    for _ in range(3):
        after = killed(made)
        # Never refused: the socket outlives the agent, and the next one answers.
        assert wire.exchange("GET", "/health").status == 204
        assert listening_inode(after) == inode
    assert "init: the agent ended by signal 9; it is started again\n" in made.log()


def test_agent_that_is_asked_to_end_is_started_again(machine):
    made = machine()
    before = made.agent()
    os.kill(before, signal.SIGTERM)
    eventually(lambda: made.agent() not in (None, before))
    assert wire.exchange("GET", "/health").status == 204


def test_commands_outlive_the_agent(machine):
    made = machine()
    with rpc.Stream("Process/Start", rpc.shell(SLEEP)) as stream:
        stream.envelope()
        sleeper = eventually(lambda: [pid for pid, (name, _) in made.processes().items()
                                      if name == "sleep"])[0]
        killed(made)
    eventually(healthy)
    assert made.processes()[sleeper] == ["sleep", "S"]
    os.kill(sleeper, signal.SIGKILL)
    eventually(lambda: sleeper not in made.processes())


def test_updated_agent_takes_over(machine, image):
    made = machine()
    shutil.copy(BINARY, f"{image}/opt/envd.new")
    inode = os.stat(f"{image}/opt/envd.new").st_ino
    os.rename(f"{image}/opt/envd.new", f"{image}/opt/envd")
    after = killed(made)
    assert wire.exchange("GET", "/health").status == 204
    assert os.stat(f"/proc/{after}/exe").st_ino == inode


@pytest.mark.parametrize("content", [b"\x7fELF and no more", b"#!/bin/sh\nexit 3\n", None])
def test_damaged_agent_is_replaced_by_the_one_that_was_booted(machine, image, content):
    made = machine()
    if content is None:
        os.unlink(f"{image}/opt/envd")
    else:
        with open(f"{image}/opt/new", "wb") as file:
            file.write(content)
        os.chmod(f"{image}/opt/new", 0o755)
        os.rename(f"{image}/opt/new", f"{image}/opt/envd")
    killed(made)
    assert wire.exchange("GET", "/health").status == 204


STORM = "for i in $(seq 200); do (setsid sh -c 'exit 9' & ) ; done; exit %d"


def test_statuses_under_a_storm_of_orphans(machine):
    """Each command has its own status, and in the end nobody is left."""
    made = machine("-start", "until test -e /stop; do (sh -c 'exit 5' &); sleep 0.01; done")
    results = {}

    def one(code):
        results[code] = [run("sh", "-c", STORM % code)[1] for _ in range(2)]

    # Threads are in the network of the one that makes them.
    threads = [threading.Thread(target=one, args=(code,)) for code in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {code: [code, code] for code in range(1, 5)}
    run("touch", "/stop")
    eventually(lambda: sorted(name for name, _ in made.processes().values()) == ["envd", "init"])


def test_orphans_of_a_killed_agent_are_reaped(machine):
    made = machine()
    with rpc.Stream("Process/Start", rpc.shell("sleep 1000 & sleep 1000 & " + SLEEP)) as stream:
        stream.envelope()
        sleepers = eventually(lambda: len(found := [
            pid for pid, (name, _) in made.processes().items() if name == "sleep"]) == 3 and found)
        killed(made)
        eventually(lambda: set(sleepers) & set(made.children()))
    for pid in sleepers:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not set(sleepers) & set(made.processes()))


# ---- the command of the user --------------------------------------------------


def test_command_runs_once_the_agent_serves(machine):
    """It can reach the agent at once, has the console, and runs as root."""
    row = f"{PORT:04X} 0{31 * '0'}:0000 0A"
    made = machine("-start", f"grep -c ':{row}' /proc/net/tcp6; id -u; ps -o sid= $$; echo $$; "
                             "readlink /proc/self/fd/0; echo end")
    found = eventually(lambda: re.search(r"(\d+)\n(\d+)\n *(\d+)\n(\d+)\n(.*)\nend\n", made.log()))
    served, uid, session, pid, stdin = found.groups()
    assert (served, uid, stdin) == ("1", "0", "/dev/null")
    assert session == pid


def test_command_is_not_started_twice(machine, image):
    made = machine("-start", f"echo run >> /runs; {SLEEP}")
    eventually(lambda: made.read("/runs"))
    killed(made)
    eventually(healthy)
    killed(made)
    eventually(healthy)
    assert made.read("/runs") == "run\n"


@pytest.mark.parametrize("policy,code,again", [
    ("no", 1, False), ("on-failure", 1, True), ("on-failure", 0, False), ("always", 0, True)])
def test_restart(machine, policy, code, again):
    made = machine("-start", f"echo run >> /runs; exit {code}", "-start-restart", policy)
    if again:
        eventually(lambda: (made.read("/runs") or "").count("run") >= 3)
        return
    eventually(lambda: f"init: the command ended with status {code}\n" in made.log())
    killed(made)  # by then a restart at once would have come
    eventually(healthy)
    assert made.read("/runs") == "run\n"


def test_command_in_an_image_without_a_shell(machine):
    made = machine("-start", "  /envd   -no-such-flag ", binary="/envd", empty=True)
    eventually(lambda: "init: the command ended with status 2;" in made.log())
    assert "flag provided but not defined: -no-such-flag\n" in made.log()


def test_command_that_is_not_there(machine):
    made = machine("-start", "/nowhere", binary="/envd", empty=True)
    eventually(lambda: "init: cannot start the command: no such file" in made.log())
    assert healthy()


# ---- where options come from ---------------------------------------------------


def test_options_on_the_kernels_command_line(machine):
    made = machine(cmdline='quiet envd.start="echo from the kernel > /mark" envd.stop-ms=77 '
                           'envd.port=1 init=/opt/envd\n', environment={"ENVD_PORT": str(PORT)})
    assert eventually(lambda: made.read("/mark")) == "from the kernel\n"
    assert run("/opt/envd", "-dump-config")[0].count("stop-ms = 5000") == 1


def test_options_in_the_file(machine, image):
    os.mkdir(f"{image}/etc")
    with open(f"{image}/etc/envd.conf", "w", encoding="ascii") as file:
        file.write("# a comment\n\nstart = echo from the file > /mark\nbad line\n")
    made = machine()
    assert eventually(lambda: made.read("/mark")) == "from the file\n"
    assert "/etc/envd.conf:4: bad line: not of the form key = value\n" in made.log()


def test_only_the_first_process_can_be_init():
    done = subprocess.run([BINARY, "-init"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "-init: this is not the first process\n")


# ---- who may tell process 1 something -------------------------------------------


def test_others_are_not_heard(machine):
    """What is not from the agent is dropped, its descriptors, too."""
    made = machine("-start", SLEEP)
    with open(f"/proc/{made.agent()}/environ", "rb") as file:
        address = dict(word.split(b"=", 1) for word in file.read().split(b"\0") if word)[
            b"NOTIFY_SOCKET"]
    before = len(os.listdir(f"/proc/{made.pid}/fd"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(address.replace(b"@", b"\0"))
        for _ in range(20):
            socket.send_fds(sock, [b"FDSTORE=1\nFDNAME=mine"], [0])
    killed(made)  # by then all of them were read
    eventually(healthy)
    assert len(os.listdir(f"/proc/{made.pid}/fd")) == before
    with open(f"/proc/{made.agent()}/environ", "rb") as file:
        assert b"LISTEN_FDNAMES=envd-port\0" in file.read()
    assert stat.S_ISSOCK(os.stat(f"/proc/{made.agent()}/fd/3").st_mode)
