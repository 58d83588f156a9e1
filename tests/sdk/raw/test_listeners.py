"""Sockets beside TCP: who is served there, and what becomes of them."""

import contextlib
import os
import shlex
import socket
import stat
import subprocess
import sys

import pytest
import wire
from agent import Agent
from conftest import OWN_PORT
from test_service import READY, Manager

pytestmark = pytest.mark.ours

ASK = """
import os, socket, sys
if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
with socket.socket(socket.AF_UNIX) as conn:
    conn.settimeout(20)
    conn.connect(sys.argv[1])
    conn.sendall(b"GET /health HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
    print(conn.makefile("rb").read().decode())
"""


@pytest.fixture
def folder(scratch):
    """Where nobody else can write, nor on the way there."""
    path = os.path.realpath(f"{scratch}/run")
    os.mkdir(path, 0o700)
    return path


def unix_connection(path):
    conn = wire.Connection.__new__(wire.Connection)
    conn.socket = socket.socket(socket.AF_UNIX)
    conn.socket.settimeout(wire.PATIENCE)
    conn.socket.connect(path)
    conn._buffer = b""
    return conn


def test_unix_socket(agent_with, folder):
    path = f"{folder}/envd.sock"
    agent_with("-listen-unix", path)
    found = os.lstat(path)
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    with unix_connection(path) as conn:
        for _ in range(3):
            conn.send(wire.request("GET", "/health"))
            assert conn.answer().status == 204
        body = os.urandom(1 << 20)
        conn.send(wire.request("POST", f"/files?path={folder}/f&username=root",
                               {"Content-Type": "application/octet-stream"}, body))
        assert conn.answer().status == 200
        conn.send(wire.request("GET", f"/files?path={folder}/f&username=root"))
        assert conn.answer().body == body
    assert "unix" in wire.exchange("GET", "/health?verbose", port=OWN_PORT).body.decode()
    assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_unix_socket_is_for_root(agent_with, folder):
    path = f"{folder}/envd.sock"
    agent_with("-listen-unix", path, "-control-from", "outside")
    asked = subprocess.run([sys.executable, "-c", ASK, path], capture_output=True, check=True)
    assert b" 204 " in asked.stdout
    # root outside of the loopback may steer
    with unix_connection(path) as conn:
        conn.send(wire.request("POST", "/init", body=b""))
        assert conn.answer().status == 204
    os.chmod(folder, 0o755)
    asked = subprocess.run([sys.executable, "-c", ASK, path, "12345"], capture_output=True,
                           check=False)
    assert b"PermissionError" in asked.stderr
    # also if somebody has opened the file to all
    os.chmod(path, 0o666)
    asked = subprocess.run([sys.executable, "-c", ASK, path, "12345"], capture_output=True,
                           check=False)
    assert b"HTTP" not in asked.stdout
    found = wire.exchange("GET", "/metrics", {"Accept": "text/plain"}, port=OWN_PORT).body.decode()
    assert 'envd_http_connections_seen_total{fate="not_admitted"} 1\n' in found


def test_unix_socket_that_was_left_is_replaced(agent_with, folder):
    path = f"{folder}/envd.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    agent_with("-listen-unix", path)
    with unix_connection(path) as conn:
        conn.send(wire.request("GET", "/health"))
        assert conn.answer().status == 204


@pytest.fixture
def manager(scratch):
    with contextlib.closing(Manager(f"{scratch}/notify")) as made:
        yield made


def stored(name):
    return ["FDSTORE=1", f"FDNAME={name}", "FDPOLL=0"]


def test_unix_socket_outlives_the_agent(manager, folder):
    """Who connects between two agents is served by the next."""
    path = f"{folder}/envd.sock"
    manager.start("-listen-unix", path)
    lines, (tcp,) = manager.message()
    assert lines == stored("envd-port")
    lines, (unix,) = manager.message()
    assert lines == stored("envd-unix")
    assert manager.message() == (READY, [])
    manager.stop()
    manager.message()
    with unix_connection(path) as conn:
        conn.send(wire.request("GET", "/health"))
        manager.start("-listen-unix", path, fds=[tcp, unix], names="envd-port:envd-unix")
        assert manager.message() == (READY, [])  # and nothing is stored again
        assert conn.answer().status == 204
    manager.stop()
    manager.message()

    # one that asks for another path gives it up
    manager.start("-listen-unix", f"{folder}/other", fds=[tcp, unix], names="envd-port:envd-unix")
    assert manager.message()[0] == ["FDSTOREREMOVE=1", "FDNAME=envd-unix"]
    assert manager.message()[0] == stored("envd-unix")
    assert manager.message() == (READY, [])
    manager.stop()


def test_unix_socket_of_a_unit(manager, folder):
    """Served whatever its name, for root alone."""
    with socket.socket(socket.AF_UNIX) as unit:
        unit.bind(f"{folder}/unit")
        unit.listen()
        manager.start(fds=[unit.fileno()], names="envd.socket")
        assert manager.message()[0] == stored("envd-port")
        assert manager.message() == (READY, [])
        with unix_connection(f"{folder}/unit") as conn:
            conn.send(wire.request("GET", "/health"))
            assert conn.answer().status == 204
    manager.stop()


def refusal(*flags):
    asked = subprocess.run([os.environ["ENVD_BIN"], *shlex.split(os.environ["ENVD_ARGS"]), "-port",
                            str(OWN_PORT), *flags], capture_output=True, timeout=30, check=False)
    assert asked.returncode == 1
    return asked.stderr.decode()


def test_unix_socket_that_cannot_be(folder):
    path = f"{folder}/envd.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        assert refusal("-listen-unix", path) == \
            f"server stopped: listen unix {path}: address already in use\n"
    os.unlink(path)
    with open(path, "wb"):
        pass
    assert "file exists" in refusal("-listen-unix", path)
    os.unlink(path)
    os.chmod(folder, 0o777)
    assert "others can write to its directory" in refusal("-listen-unix", path)
    os.chmod(folder, 0o1777)
    assert "others can write to its directory" in refusal("-listen-unix", path)
    os.chmod(folder, 0o700)
    os.mkdir(f"{folder}/real", 0o700)
    os.symlink("real", f"{folder}/link")
    assert refusal("-listen-unix", f"{folder}/link/s") != ""
    assert "invalid argument" in refusal("-listen-unix", "relative")
    assert os.listdir(f"{folder}/real") == []


def vsock():
    try:
        return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError as error:
        pytest.skip(f"no vsock: {error}")


def test_vsock_is_for_the_host(agent_with):
    vsock().close()
    agent_with("-listen-vsock", str(OWN_PORT))
    assert "vsock" in wire.exchange("GET", "/health?verbose", port=OWN_PORT).body.decode()
    with vsock() as conn:
        conn.settimeout(wire.PATIENCE)
        try:
            conn.connect((1, OWN_PORT))  # VMADDR_CID_LOCAL
        except OSError as error:
            pytest.skip(f"no loopback of vsock: {error}")
        try:
            conn.sendall(wire.request("GET", "/health"))
            assert conn.recv(1) == b""
        except ConnectionError:
            pass
    assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204


def test_port_that_is_taken_elsewhere(scratch):
    """Where the machine is ours, the port is waited for, and its owner told."""
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("the agent expects Firecracker: only in a network of our own")
    arguments = [each for each in shlex.split(os.environ["ENVD_ARGS"]) if each != "-isnotfc"]
    with socket.create_server(("127.0.0.1", OWN_PORT)) as taken, \
            open(f"{scratch}/stderr", "wb") as log:
        child = subprocess.Popen([os.environ["ENVD_BIN"], *arguments, "-port", str(OWN_PORT)],
                                 stderr=subprocess.PIPE, stdout=log)
        inode = os.fstat(taken.fileno()).st_ino
        line = child.stderr.readline().decode()
    try:
        assert line == (f"<2>port {OWN_PORT} is taken by a socket of user {os.geteuid()} "
                        f"(inode {inode}): waiting for it\n")
        Agent._await_health(_Started(child))
        assert child.poll() is None
    finally:
        child.terminate()
        child.communicate(timeout=30)
    assert child.returncode == 0


class _Started(Agent):
    """An agent that somebody else has started."""

    def __init__(self, child):  # pylint: disable=super-init-not-called
        self._child, self.port = child, OWN_PORT


def test_port_that_is_taken_without_firecracker():
    with socket.create_server(("127.0.0.1", OWN_PORT)):
        assert refusal() == f"server stopped: listen tcp 0.0.0.0:{OWN_PORT}: address already in use\n"
