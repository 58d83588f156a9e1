"""Who may steer the machine: nobody in it, from whichever address."""

import os
import shlex
import socket
import struct
import subprocess

import pytest
import wire
from agent import Agent
from conftest import OWN_PORT

pytestmark = pytest.mark.ours

CONTROL = ["/init", "/freeze", "/unfreeze", "/fsfreeze", "/fsthaw", "/collapse", "/upgrade"]
HERE, HOST, BRIDGED = "192.0.2.1", "192.0.2.2", "198.51.100.2"

# Puts itself into another network, connected to the agent's by a pair of
# interfaces, and asks.  The words: ADDRESS PORT METHOD PATH.
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as conn:
    conn.sendall(f"{sys.argv[3]} {sys.argv[4]} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: 0\\r\\n"
                 "Connection: close\\r\\n\\r\\n".encode())
    print(conn.makefile("rb").read().decode())
"""


@pytest.fixture
def agent_from(scratch):
    """A function that starts an agent which answers control routes as said."""
    agents = []

    def make(*flags):
        agents.append(Agent(os.environ["ENVD_BIN"], [*shlex.split(os.environ["ENVD_ARGS"]), *flags],
                            OWN_PORT, f"{scratch}/stderr"))
        return agents[-1]

    yield make
    assert [agent.stop() for agent in agents] == [[]] * len(agents)


def post(path, host="127.0.0.1", source=None):
    with wire.Connection.__new__(wire.Connection) as conn:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        conn.socket = socket.create_connection((host, OWN_PORT), wire.PATIENCE,
                                               (source, 0) if source else None)
        assert conn.socket.family == family
        conn._buffer = b""
        conn.send(wire.request("POST", path, body=b""))
        return conn.answer()


def test_anyone(agent_from):
    agent_from("-control-from", "anyone")
    assert post("/init").status == 204


def test_auto_without_firecracker(agent_from):
    agent_from("-control-from=auto")
    assert post("/init").status == 204


@pytest.mark.parametrize("path", CONTROL)
@pytest.mark.parametrize("host,source", [("127.0.0.1", None), ("::1", None), ("127.0.0.1", "127.9.9.9")])
def test_inside(agent_from, path, host, source):
    agent_from("-control-from", "outside")
    answer = post(path, host, source)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")
    assert answer.get("allow") is None and answer.get("x-envd-version") is None
    assert answer.get("x-agent") is None
    # any method, as if there were no such path
    assert wire.exchange("GET", path, port=OWN_PORT).status == 404
    assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204


def have_links():
    return os.environ["SDK_PRIVATE"] and subprocess.run(
        ["ip", "link", "show"], capture_output=True, check=False).returncode == 0


class Neighbour:
    """Another network, joined to ours by an interface of this name."""

    def __init__(self, name, here, there):
        self.name, self.here = name, here
        self.child = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.child.stdout.readline()
        self.ip(f"link add {name} type veth peer name peer0 netns {self.child.pid}")
        self.ip(f"addr add {here}/24 dev {name}")
        self.ip(f"link set {name} up")
        self.inside(f"ip addr add {there}/24 dev peer0")
        self.inside("ip link set peer0 up")
        self.inside(f"ip route add default via {here}")

    @staticmethod
    def ip(words):
        subprocess.run(["ip", *words.split()], check=True, capture_output=True)

    def inside(self, words):
        return subprocess.run(["nsenter", "-t", str(self.child.pid), "-n",
                               *(words.split() if isinstance(words, str) else words)],
                              check=True, capture_output=True).stdout.decode()

    def post(self, path, to=None):
        text = self.inside(["python3", "-c", ASK, to or self.here, str(OWN_PORT), "POST", path])
        return int(text.split(" ")[1])

    def close(self):
        self.ip(f"link del {self.name}")
        self.child.stdin.close()
        self.child.wait()


@pytest.fixture
def neighbour():
    if not have_links():
        pytest.skip("no network of our own with links")
    made = []

    def make(*words):
        try:
            made.append(Neighbour(*words))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no pair of interfaces: {error.stderr}")
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_outside_by_eth0(agent_from, neighbour):
    host = neighbour("eth0", HERE, HOST)
    agent_from("-control-from", "outside")
    assert host.post("/init") == 204
    # the machine itself, by the address of that interface
    assert post("/init", HERE).status == 404
    assert post("/init", HERE, "127.0.0.5").status == 404
    assert post("/init", "127.0.0.1", HERE).status == 404
    assert host.post("/init") == 204


def test_a_bridge_is_inside(agent_from, neighbour):
    host = neighbour("eth0", HERE, HOST)
    bridge = neighbour("docker0", "198.51.100.1", BRIDGED)
    agent_from("-control-from", "outside")
    assert bridge.post("/init") == 404
    assert bridge.post("/init", HERE) == 404  # by the outer address, too
    assert host.post("/init") == 204


def test_addresses_that_appear(agent_from, neighbour):
    host = neighbour("eth0", HERE, HOST)
    agent_from("-control-from", "outside")
    assert host.post("/init") == 204
    host.ip("addr add 192.0.2.77/32 dev lo")
    try:
        assert post("/init", HERE, "192.0.2.77").status == 404
    finally:
        host.ip("addr del 192.0.2.77/32 dev lo")
    assert host.post("/init") == 204


def test_outside_by_ipv6(agent_from, neighbour):
    host = neighbour("eth0", HERE, HOST)
    host.ip("addr add fd00:5::1/64 dev eth0 nodad")
    host.inside("ip addr add fd00:5::2/64 dev peer0 nodad")
    agent_from("-control-from", "outside")
    assert host.post("/init", "fd00:5::1") == 204
    assert post("/init", "fd00:5::1").status == 404


def test_another_name_leads_out_where_there_is_no_eth0(agent_from, neighbour):
    host = neighbour("ens3", HERE, HOST)
    agent_from("-control-from", "outside")
    assert host.post("/init") == 204
    assert post("/init", HERE).status == 404


def test_reset_connections_do_no_harm(agent_from):
    agent_from("-control-from", "outside")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", OWN_PORT)) as conn:
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.sendall(wire.request("POST", "/init", body=b""))
    assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204
