"""Addresses of the namespace's own, programs that listen, and what the agent says of them."""

import contextlib
import fcntl
import json
import os
import socket
import struct
import threading
import time

from wire import PORT, Connection, exchange, request

SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
IFF_UP = 1
SANDBOX = "169.254.0.21"
PATIENCE = 30


def _set(sock, code, name, address):
    data = struct.pack("16sH2s4s8x", name, socket.AF_INET, b"", socket.inet_aton(address))
    fcntl.ioctl(sock, code, data)


@contextlib.contextmanager
def address(text, label=b"lo:envd"):
    """This IPv4 address on the namespace's loopback interface, for as long as it lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _set(sock, SIOCSIFADDR, label, text)
        _set(sock, SIOCSIFNETMASK, label, "255.255.255.255")
        try:
            yield
        finally:
            reply = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sH14x", label, 0))
            flags = struct.unpack("16sH14x", reply)[1] & ~IFF_UP
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", label, flags))


def listener(host, port=0, v6only=False, shared=False, backlog=128):
    """A socket that listens, as a server would make it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.listen(backlog)
    sock.settimeout(PATIENCE)
    return sock


class Server:
    """A program of threads: greets with its word, then echoes until the client ends."""

    def __init__(self, host="127.0.0.1", port=0, word=b"hello", **options):
        self.word = word
        self.sock = listener(host, port, **options)
        self.port = self.sock.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=self._echo, args=(conn,), daemon=True).start()

    def _echo(self, conn):
        with conn, contextlib.suppress(OSError):
            conn.settimeout(PATIENCE)
            conn.sendall(self.word)
            while data := conn.recv(1 << 16):
                conn.sendall(data)

    def close(self):
        # A thread that accepts would keep the socket alive.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self._thread.join(PATIENCE)


def connect(port, host=SANDBOX):
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    try:
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exactly(sock, count):
    data = b""
    while len(data) < count:
        piece = sock.recv(count - len(data))
        assert piece, f"an end behind {len(data)} of {count} bytes"
        data += piece
    return data


def greeting(port, length=5, host=SANDBOX):
    """What is said there now; None when nobody takes the connection."""
    try:
        with connect(port, host) as sock:
            return exactly(sock, length)
    except (ConnectionError, OSError, AssertionError):
        return None


def reached(port, word=b"hello", host=SANDBOX):
    """Wait until it is said; gives the seconds that took."""
    begin = time.monotonic()
    while greeting(port, len(word), host) != word:
        assert time.monotonic() - begin < PATIENCE, f"port {port} was never reached"
        time.sleep(0.005)
    return time.monotonic() - begin


def refused(port, host=SANDBOX):
    try:
        connect(port, host).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # taken, as it is not known yet that nobody listens
    return False


def ports(agent_port=PORT, headers=()):
    answer = exchange("GET", "/ports", dict(headers), port=agent_port)
    assert answer.status == 200, answer.body
    assert answer.get("content-type") == "application/json"
    assert answer.get("cache-control") == "no-store"
    return json.loads(answer.body)


def entry(port, agent_port=PORT):
    """What the agent says of a port; None when it is not open."""
    return next((p for p in ports(agent_port)["ports"] if p["port"] == port), None)


class Follower:
    """The stream of changes."""

    def __init__(self, agent_port=PORT, **options):
        self.conn = Connection(agent_port, **options)
        self.conn.send(request("GET", "/ports?follow"))
        answer = self.conn.head()
        assert answer.status == 200
        assert answer.get("content-type") == "application/x-ndjson"
        self._text = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def next(self):
        while b"\n" not in self._text:
            chunk = self.conn.chunk()
            assert chunk, "the stream ended"
            self._text += chunk
        line, _, self._text = self._text.partition(b"\n")
        return json.loads(line)

    def until(self, event, port=None):
        """The next event of this kind and port."""
        while True:
            found = self.next()
            if found["event"] == event and (port is None or found["port"] == port):
                return found


def private():
    return bool(os.environ["SDK_PRIVATE"])
