"""What the agent tells a service manager, and takes from it."""

import contextlib
import os
import select
import shlex
import signal
import socket
import subprocess
import sys

import pytest
import rpc
import wire
from conftest import OWN_PORT, eventually

pytestmark = pytest.mark.ours

PATIENCE = 30


# Becomes the agent: the descriptors from 3 on, LISTEN_PID that of this process.
HAND_OVER = """
import fcntl, os, sys
numbers = [fcntl.fcntl(int(n), fcntl.F_DUPFD, 100) for n in sys.argv[1].split(",") if n]
for i, number in enumerate(numbers):
    os.dup2(number, 3 + i)
if numbers:
    os.environ["LISTEN_PID"] = sys.argv[2] or str(os.getpid())
os.closerange(3 + len(numbers), 200)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Manager:
    """A service manager in miniature: its socket, and one service."""

    def __init__(self, address):
        self.address = address
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.settimeout(PATIENCE)
        self.sock.bind(address.replace("@", "\0", 1))
        self.service = None
        self.received = []

    def start(self, *flags, fds=(), names=None, pid=None, **variables):
        """Start the agent; `fds` are handed over from 3 on."""
        words = [os.environ["ENVD_BIN"], *shlex.split(os.environ["ENVD_ARGS"]),
                 "-port", str(OWN_PORT), *flags]
        env = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.address, **variables}
        env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        if fds:
            env["LISTEN_FDS"] = str(len(fds))
        if names is not None:
            env["LISTEN_FDNAMES"] = names
        numbers = ",".join(str(fd) for fd in fds)
        self.service = subprocess.Popen(
            [sys.executable, "-c", HAND_OVER, numbers, pid or "", *words], env=env,
            pass_fds=fds, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def message(self):
        """The next one: its lines, and the descriptors that came along."""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 4096, 4)
        except TimeoutError as error:
            self.service.kill()
            said = self.service.communicate()[1].decode()
            raise AssertionError(f"silence, then {self.service.returncode}: {said}") from error
        self.received += fds
        return data.decode().split("\n"), fds

    def silent(self):
        return select.select([self.sock], [], [], 0)[0] == []

    def stop(self):
        """End the service; its standard error."""
        self.service.terminate()
        text = self.service.communicate(timeout=PATIENCE)[1].decode()
        assert self.service.returncode == 0, text
        self.service = None
        return text

    def close(self):
        if self.service is not None:
            self.service.kill()
            self.service.communicate()
        for fd in self.received:
            os.close(fd)
        self.sock.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, scratch):
    address = f"{scratch}/notify" if request.param == "path" else f"@envd-test-{os.getpid()}"
    with contextlib.closing(Manager(address)) as made:
        yield made


READY = ["READY=1", f"STATUS=Serving on port {OWN_PORT}"]
STORE = ["FDSTORE=1", "FDNAME=envd-port", "FDPOLL=0"]


def health():
    return wire.exchange("GET", "/health", port=OWN_PORT).status


def test_ready_means_that_it_serves(manager):
    manager.start()
    lines, fds = manager.message()
    assert lines == STORE and len(fds) == 1
    assert socket.socket(fileno=os.dup(fds[0])).getsockname()[1] == OWN_PORT
    assert manager.message() == (READY, [])
    assert health() == 204
    assert manager.stop() == ""
    assert manager.message() == (["STOPPING=1", "STATUS=Ending"], [])


def test_socket_outlives_the_agent(manager):
    """Who connects between two agents is served by the next."""
    manager.start()
    _, (stored,) = manager.message()
    assert manager.message() == (READY, [])
    manager.stop()
    manager.message()
    with wire.Connection(OWN_PORT) as conn:
        conn.send(wire.request("GET", "/health"))
        manager.start(fds=[stored], names="envd-port")
        assert manager.message() == (READY, [])  # and nothing is stored again
        assert conn.answer().status == 204
    assert manager.stop() == ""


def test_stored_socket_of_another_port_is_given_up(manager):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        manager.start(fds=[other.fileno()], names="envd-port")
        assert manager.message()[0] == ["FDSTOREREMOVE=1", "FDNAME=envd-port"]
        assert manager.message()[0] == STORE
        assert manager.message() == (READY, [])
        assert health() == 204
    with pytest.raises(ConnectionRefusedError):
        wire.exchange("GET", "/health", port=port)
    manager.stop()


@pytest.mark.parametrize("names", [None, "", "envd.socket", "a:b:c"])
def test_socket_unit(manager, names):
    """Sockets of a unit are served whatever their port; ours is opened if not among them."""
    with socket.create_server(("127.0.0.1", 0)) as one, \
            socket.create_server(("127.0.0.1", OWN_PORT)) as two:
        manager.start(fds=[one.fileno(), two.fileno()], names=names)
        assert manager.message() == (READY, [])
        for sock in (one, two):
            assert wire.exchange("GET", "/health", port=sock.getsockname()[1]).status == 204
    manager.stop()


def test_what_is_no_listening_socket_is_closed(manager):
    left, right = socket.socketpair()
    with open(os.devnull, "rb") as file, left:
        manager.start(fds=[right.fileno(), file.fileno()], names="x:y")
        right.close()
        left.settimeout(PATIENCE)
        assert left.recv(1) == b""  # the agent has closed its end
        assert manager.message()[0] == STORE
        assert manager.message() == (READY, [])
        assert health() == 204
    manager.stop()


def test_descriptors_for_another_process_are_not_taken(manager):
    with socket.create_server(("127.0.0.1", 0)) as other:
        manager.start(fds=[other.fileno()], pid="1")
        assert manager.message()[0] == STORE
        assert manager.message() == (READY, [])
    manager.stop()


@pytest.mark.parametrize("variables", [
    {"LISTEN_FDS": "x"}, {"LISTEN_FDS": "65"}, {"LISTEN_FDS": "-1"}, {"LISTEN_FDS": ""},
    {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "never"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
])
def test_nonsense_is_ignored(manager, variables):
    manager.start(LISTEN_PID="1", **variables)
    assert manager.message()[0] == STORE
    assert manager.message() == (READY, [])
    assert health() == 204
    assert manager.silent()
    manager.stop()


def test_watchdog(manager):
    manager.start(WATCHDOG_USEC="20000")
    manager.message()
    assert manager.message() == (READY, [])
    for _ in range(5):
        assert manager.message() == (["WATCHDOG=1"], [])
    os.kill(manager.service.pid, signal.SIGSTOP)  # it comes from the loop alone
    while not manager.silent():
        manager.message()
    assert not select.select([manager.sock], [], [], 0.2)[0]
    os.kill(manager.service.pid, signal.SIGCONT)
    assert manager.message() == (["WATCHDOG=1"], [])
    manager.stop()


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody", "relative", "", "@", "vsock:2:9",
                                     "/" + 200 * "x"])
def test_manager_that_cannot_be_reached(manager, address):
    manager.start(NOTIFY_SOCKET=address)
    eventually(lambda: not refused())
    assert health() == 204
    assert manager.stop() == ""


def refused():
    try:
        return health() != 204
    except OSError:
        return True


def test_commands_know_nothing_of_the_manager(manager):
    with socket.create_server(("127.0.0.1", OWN_PORT)) as sock:
        manager.start(fds=[sock.fileno()], names="envd.socket", WATCHDOG_USEC="10000000")
        assert manager.message() == (READY, [])
    messages, _ = rpc.stream("Process/Start", rpc.shell("env; ls /proc/self/fd"), port=OWN_PORT)
    output = b"".join(rpc.base64.b64decode(message["event"]["data"]["stdout"])
                      for message in messages if "data" in message["event"]).decode()
    assert "PATH=" in output
    for word in ("NOTIFY", "LISTEN", "WATCHDOG"):
        assert word not in output
    assert output.splitlines()[-4:] == ["0", "1", "2", "3"]  # 3 is the folder that ls reads
    manager.stop()


def test_pid_file(manager, scratch):
    path = f"{scratch}/pid"
    manager.start("-pid-file", path)
    manager.message()
    assert manager.message() == (READY, [])
    with open(path, encoding="ascii") as file:
        assert file.read() == f"{manager.service.pid}\n"
    manager.stop()
    assert not os.path.exists(path)


def test_pid_file_is_not_written_through_a_link(manager, scratch):
    with open(f"{scratch}/target", "w", encoding="ascii") as file:
        file.write("precious")
    os.symlink(f"{scratch}/target", f"{scratch}/pid")
    manager.start("-pid-file", f"{scratch}/pid")
    manager.message()
    assert manager.message() == (READY, [])
    assert "symbolic links" in manager.stop()
    with open(f"{scratch}/target", encoding="ascii") as file:
        assert file.read() == "precious"
