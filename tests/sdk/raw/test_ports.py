"""Ports of loopback addresses are reachable on the guest's address, and told of."""

import contextlib
import hashlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

import rpc
from conftest import OWN_PORT, eventually
from listening import (SANDBOX, Follower, Server, address, connect, entry, exactly, greeting,
                       listener, ports, private, reached, refused)
from wire import PORT, exchange

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not private(), reason="needs root and a network namespace of its own"),
]

OTHER = "10.99.0.1"
RESET = struct.pack("ii", 1, 0)
MIB = 1 << 20


@pytest.fixture
def sandbox():
    """The address of a sandbox, which the agent has been waiting for."""
    with address(SANDBOX):
        eventually(lambda: ports().get("forwardAddress") == SANDBOX)
        yield SANDBOX
    eventually(lambda: "forwardAddress" not in ports())


@pytest.fixture
def other(agent_with):
    """An agent of the test's own that forwards from another address."""
    with address(OTHER, b"lo:other"):
        agent_with("-forward-address", OTHER)
        yield OTHER


def agent_pid(port):
    """Of the agent on that port."""
    return next(int(pid) for pid in os.listdir("/proc") if pid.isdigit() and command(pid, port))


def command(pid, port):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return words[0] == os.environ["ENVD_BIN"].encode() and str(port).encode() in words


@contextlib.contextmanager
def forwarded_pair(host="127.0.0.1", at=SANDBOX):
    """A connection through the agent: the client's socket and the program's."""
    with listener(host) as sock:
        port = sock.getsockname()[1]
        eventually(lambda: (entry(port, OWN_PORT if at == OTHER else PORT) or {}).get("forwarded"))
        with connect(port, at) as client:
            program, _ = sock.accept()
            program.settimeout(30)
            with program:
                yield client, program


# ---- which are reached -------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "localhost", "::1", "127.0.0.2",
                                  "127.255.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.3"])
def test_servers_become_reachable(sandbox, host):
    with Server(host, 3210):
        reached(3210)
    eventually(lambda: refused(3210))


def test_ipv6_wildcard_alone_is_reachable(sandbox):
    with Server("::", v6only=True) as server:
        reached(server.port)


def test_the_better_address_is_dialled(sandbox):
    with Server("127.0.0.2", word=b"third") as server:
        reached(server.port, b"third")
        with Server("::1", server.port, b"secnd"):
            reached(server.port, b"secnd")
            with Server("127.0.0.1", server.port, b"first"):
                reached(server.port, b"first")
            reached(server.port, b"secnd")
        reached(server.port, b"third")


def test_listening_again_and_again(sandbox):
    for round_ in range(4):
        word = b"take%d" % round_
        with Server(port=3211, word=word):
            reached(3211, word)
        if round_ % 2:
            eventually(lambda: refused(3211))


def test_fast_restart(sandbox):
    for word in (b"first", b"secnd", b"third"):
        with Server(port=3212, word=word):
            reached(3212, word)


def test_a_port_that_is_handed_over_stays_open(sandbox):
    """The new program listens before the old one ends: there is no gap."""
    with Follower() as follower:
        with Server(port=3212, word=b"first", shared=True):
            reached(3212, b"first")
            new = Server(port=3212, word=b"secnd", shared=True)
        with new:
            for _ in range(50):
                assert greeting(3212) == b"secnd"
                time.sleep(0.02)  # the agent looks several times meanwhile
        events = [follower.until("opened", 3212)]
        while events[-1]["event"] != "closed":
            events.append(follower.next())
        assert [e["event"] for e in events].count("opened") == 1


SERVE = """import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(sys.argv[2].encode())
    c.close()
"""


@contextlib.contextmanager
def process(port, word):
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port), word],
                          stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"listening\n"
            yield child
        finally:
            child.kill()


def test_another_owner(sandbox):
    with Follower() as follower:
        with process(3213, "first") as first:
            event = follower.until("opened", 3213)
            assert event["listeners"][0]["owner"]["pid"] == first.pid
            reached(3213, b"first")
        with process(3213, "secnd") as second:
            assert second.pid != first.pid
            reached(3213, b"secnd")
            eventually(lambda: owner_pid(3213) == second.pid)
            while (event := follower.next()).get("port") != 3213 or event["event"] == "closed" \
                    or event["listeners"][0]["owner"]["pid"] != second.pid:
                pass
        follower.until("closed", 3213)


def owner_pid(port):
    found = entry(port)
    return found and found["listeners"] and found["listeners"][0].get("owner", {}).get("pid")


def test_the_agents_own_port_is_its_own(sandbox):
    """On the wildcard it is reachable as it is; and it is no port of the guest."""
    assert exchange("GET", "/health", port=PORT).status == 204
    assert entry(PORT) is None
    with connect(PORT) as sock:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 204 ")


def test_a_program_on_the_address_comes_first(sandbox):
    with Server(SANDBOX, word=b"outer") as outer:
        with Server("127.0.0.1", outer.port, b"inner"):
            eventually(lambda: len(entry(outer.port)["listeners"]) == 2)
            assert not entry(outer.port)["forwarded"] and not entry(outer.port)["loopbackOnly"]
            assert greeting(outer.port) == b"outer"
            outer.close()
            reached(outer.port, b"inner")
            assert entry(outer.port)["forwarded"]


def test_the_address_comes_and_goes():
    with Server() as server:
        eventually(lambda: entry(server.port) is not None)
        assert "forwardAddress" not in ports()
        assert not entry(server.port)["forwarded"]
        with address(SANDBOX):
            reached(server.port)
            assert ports()["forwardAddress"] == SANDBOX
        eventually(lambda: not entry(server.port)["forwarded"])
        with address(SANDBOX):
            reached(server.port)


def test_not_at_all(agent_with):
    with address(OTHER, b"lo:other"), Server() as server:
        agent_with("-forward-address", OTHER, "-no-forward")
        with Follower(OWN_PORT) as follower:
            assert follower.until("opened", server.port)["forwarded"] is False
        assert "forwardAddress" not in ports(OWN_PORT)
        assert refused(server.port, OTHER)


def test_many_ports(other):
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(word=b"%05d" % i)) for i in range(100)]
        for i, server in enumerate(servers):
            reached(server.port, b"%05d" % i, OTHER)


# ---- how soon ----------------------------------------------------------------


def test_soon_while_commands_run(sandbox):
    """Generously bounded; docs/ports.md has what is measured."""
    with rpc.start(rpc.shell("sleep 60")) as command_:
        times = []
        for _ in range(9):
            with Server() as server:
                times.append(reached(server.port))
        rpc.call("Process/SendSignal", rpc.by_pid(command_.pid, signal=9))
        command_.finish()
    assert sorted(times)[len(times) // 2] < 1.0, times


# ---- connections -------------------------------------------------------------


def test_the_client_ends_first(sandbox):
    with forwarded_pair() as (client, program):
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert exactly(program, 8) == b"question"
        assert program.recv(1) == b""
        program.sendall(b"answer")
        assert exactly(client, 6) == b"answer"
        program.close()
        assert client.recv(1) == b""


def test_the_program_ends_first(sandbox):
    with forwarded_pair() as (client, program):
        program.sendall(b"greeting")
        program.shutdown(socket.SHUT_WR)
        assert exactly(client, 8) == b"greeting"
        assert client.recv(1) == b""
        client.sendall(b"answer")
        assert exactly(program, 6) == b"answer"
        client.close()
        assert program.recv(1) == b""


def expect_reset(sock):
    with pytest.raises(ConnectionResetError):
        while sock.recv(1 << 16):
            pass


def test_resets_are_passed_on(sandbox):
    with forwarded_pair() as (client, program):
        program.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        program.close()
        expect_reset(client)
    with forwarded_pair("::1") as (client, program):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        expect_reset(program)


def test_an_answer_before_the_reset_arrives(sandbox):
    """A server that answers and closes without having read all that was sent."""
    with forwarded_pair() as (client, program):
        client.sendall(b"x" * 100_000)
        assert program.recv(1) == b"x"
        program.sendall(b"no, thanks")
        program.close()  # with unread bytes: a reset
        assert exactly(client, 10) == b"no, thanks"


def test_nobody_takes_it(other):
    """The program is gone, which the agent does not know yet."""
    server = Server()
    reached(server.port, host=OTHER)
    pid = agent_pid(OWN_PORT)
    os.kill(pid, signal.SIGSTOP)
    try:
        client = connect(server.port, OTHER)  # it waits for the agent
        server.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    with client:
        expect_reset(client)
    eventually(lambda: refused(server.port, OTHER))


def test_connections_outlive_their_listener(sandbox):
    with listener("127.0.0.1") as sock:
        port = sock.getsockname()[1]
        eventually(lambda: (entry(port) or {}).get("forwarded"))
        client = connect(port)
        program, _ = sock.accept()
        program.settimeout(30)
    with client, program:
        eventually(lambda: refused(port))
        client.sendall(b"still here")
        assert exactly(program, 10) == b"still here"


# ---- bulk --------------------------------------------------------------------


def pieces(seed, total):
    """The same bytes each time."""
    block = random.Random(seed).randbytes(MIB - 7)
    while total > 0:
        yield block[:total]
        total -= len(block)


def pour(sock, seed, total):
    digest = hashlib.sha256()
    for piece in pieces(seed, total):
        digest.update(piece)
        sock.sendall(piece)
    sock.shutdown(socket.SHUT_WR)
    return digest.hexdigest()


def swallow(sock):
    digest, total = hashlib.sha256(), 0
    while data := sock.recv(1 << 18):
        digest.update(data)
        total += len(data)
    return total, digest.hexdigest()


def in_threads(*calls):
    """What each of them returns; they run at the same time."""
    results = [None] * len(calls)

    def run(i, function, *args):
        results[i] = function(*args)

    threads = [threading.Thread(target=run, args=(i, *call)) for i, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_a_hundred_megabytes_both_ways_at_once(sandbox):
    total = 100 * MIB
    with forwarded_pair() as (client, program):
        there, back, got_there, got_back = in_threads(
            (pour, client, 1, total), (pour, program, 2, total),
            (swallow, program), (swallow, client))
    assert got_there == (total, there)
    assert got_back == (total, back)


def test_many_connections_at_once(other):
    with Server() as server, contextlib.ExitStack() as stack:
        reached(server.port, host=OTHER)
        clients = [stack.enter_context(connect(server.port, OTHER)) for _ in range(300)]
        for i, client in enumerate(clients):
            client.sendall(b"%06d" % i * 1000)
        for i, client in enumerate(clients):
            assert exactly(client, 6005) == b"hello" + b"%06d" % i * 1000


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def push(sock):
    """Send until nothing more is taken for a while; gives the bytes."""
    sock.setblocking(False)
    sent = 0
    while select.select([], [sock], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            sent += sock.send(b"x" * (1 << 16))
    return sent


@pytest.mark.skipif(bool(os.environ["ENVD_SANITIZED"]), reason="memory of a sanitizer is its own")
def test_readers_that_do_not_read(other):
    """Senders are held back, the agent holds nothing, and answers all the same."""
    with listener("127.0.0.1") as sock, contextlib.ExitStack() as stack:
        port = sock.getsockname()[1]
        eventually(lambda: (entry(port, OWN_PORT) or {}).get("forwarded"))
        pid = agent_pid(OWN_PORT)
        before = resident(pid)
        pairs = []
        for _ in range(8):
            client = stack.enter_context(connect(port, OTHER))
            program, _ = sock.accept()
            pairs.append((client, stack.enter_context(program)))
        sent = in_threads(*[(push, program) for _, program in pairs])
        assert exchange("GET", "/health", port=OWN_PORT).status == 204
        assert resident(pid) - before < 2048
        for (client, program), count in zip(pairs, sent):
            program.setblocking(True)
            program.shutdown(socket.SHUT_WR)
            assert swallow(client)[0] == count


def test_control_calls_beside_a_flow(other):
    with forwarded_pair(at=OTHER) as (client, program):
        over = threading.Event()
        times = []

        def ask():
            while not over.is_set():
                begin = time.monotonic()
                assert exchange("GET", "/health", port=OWN_PORT).status == 204
                times.append(time.monotonic() - begin)

        asking = threading.Thread(target=ask)
        asking.start()
        in_threads((pour, client, 3, 200 * MIB), (swallow, program))
        over.set()
        asking.join()
    assert len(times) > 5
    assert sorted(times)[len(times) // 2] < 0.25, sorted(times)[-5:]


# ---- what is told ------------------------------------------------------------


def test_listing(sandbox):
    with Server("127.0.0.1") as server, Server("0.0.0.0") as outer:
        reached(server.port)
        found = entry(server.port)
        owner = found["listeners"][0].pop("owner")
        assert found == {"port": server.port, "loopbackOnly": True, "forwarded": True,
                         "listeners": [{"address": "127.0.0.1", "uid": 0}]}
        assert owner["pid"] == os.getpid()
        assert "pytest" in owner["command"]
        assert owner["name"] and "process" not in owner
        wide = entry(outer.port)
        assert (wide["loopbackOnly"], wide["forwarded"]) == (False, False)
        assert wide["listeners"][0]["address"] == "0.0.0.0"
        numbers = [p["port"] for p in ports()["ports"]]
        assert numbers == sorted(set(numbers))
    assert entry(server.port) is None and entry(outer.port) is None


def test_listing_needs_no_address():
    """Nothing is forwarded, so nothing is looked at until somebody asks."""
    with Server("::1") as server:
        found = entry(server.port)
        assert found["listeners"][0]["address"] == "::1"
        assert found["listeners"][0]["owner"]["pid"] == os.getpid()
    assert entry(server.port) is None


def test_the_command_behind_a_port(sandbox):
    script = f"{sys.executable} -c '{SERVE}' 3214 word & wait"
    with rpc.start(rpc.shell(script, tag="the-server")) as started:
        started.until(b"listening\n")
        owner = entry(3214)["listeners"][0]["owner"]
        assert owner["pid"] != started.pid
        assert owner["process"] == {"pid": started.pid, "tag": "the-server"}
        rpc.call("Process/SendSignal", rpc.by_pid(started.pid, signal=9))
        started.finish()


def test_following(sandbox):
    with Server() as before, Follower() as follower:
        first = follower.until("opened", before.port)
        assert first["listeners"][0]["owner"]["pid"] == os.getpid()
        follower.until("synced")
        with Server() as server:
            opened = follower.until("opened", server.port)
            while not opened["forwarded"]:
                opened = follower.until("changed", server.port)
            with Server("::1", server.port):
                changed = follower.until("changed", server.port)
                assert len(changed["listeners"]) == 2
            changed = follower.until("changed", server.port)
            assert len(changed["listeners"]) == 1
        follower.until("closed", server.port)


def test_a_follower_that_does_not_read(other):
    """It is owed the present state and no history; others go on."""
    with Follower(OWN_PORT, receive_buffer=4096) as slow, Follower(OWN_PORT) as quick:
        slow.until("synced")
        quick.until("synced")
        known = set()
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                opened = [stack.enter_context(Server()) for _ in range(200)]
                for server in opened:
                    while server.port not in known:
                        event = quick.next()
                        (known.discard if event["event"] == "closed" else known.add)(event["port"])
            while known:
                event = quick.next()
                (known.discard if event["event"] == "closed" else known.add)(event["port"])
        with Server() as last:
            slow.until("opened", last.port)


def test_forms_of_the_request(sandbox):
    head = exchange("HEAD", "/ports")
    assert (head.status, head.body, head.get("content-type")) == (200, b"", "application/json")
    assert exchange("HEAD", "/ports?follow").status == 200
    for query in ("", "?", "?follow=0", "?follow=false", "?else=1"):
        assert json.loads(exchange("GET", f"/ports{query}").body)["forwardAddress"] == SANDBOX
    assert exchange("GET", "/ports?follow=1&follow=1").status == 400
    wrong = exchange("POST", "/ports")
    assert (wrong.status, wrong.all("allow")) == (405, ["GET", "HEAD"])


def test_the_token_is_needed(own_agent):
    del own_agent
    assert exchange("POST", "/init", {"Content-Type": "application/json"},
                    b'{"accessToken":"secret"}', port=OWN_PORT).status == 204
    assert exchange("GET", "/ports", port=OWN_PORT).status == 401
    assert exchange("GET", "/ports?follow", port=OWN_PORT).status == 401
    ports(OWN_PORT, {"X-Access-Token": "secret"})


def test_followers_are_bounded(own_agent):
    del own_agent
    with contextlib.ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(Follower(OWN_PORT))
        assert exchange("GET", "/ports?follow", port=OWN_PORT).status == 503
        ports(OWN_PORT)
    eventually(lambda: follows(OWN_PORT))


def follows(port):
    try:
        Follower(port).conn.close()
    except AssertionError:
        return False
    return True
