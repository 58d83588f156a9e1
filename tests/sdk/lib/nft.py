"""Rules of nf_tables in a network namespace of the test's own, without `nft`."""

import os
import socket
import struct

NETFILTER, SUBSYSTEM = 12, 10
BEGIN, END = 0x10, 0x11
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, NEWRULE = 0, 1, 2, 3, 6
REQUEST, ACK, DUMP, CREATE, APPEND = 0x1, 0x4, 0x300, 0x400, 0x800
IPV4 = 2
PREROUTING, OUTPUT = 0, 3


def attr(kind, data):
    raw = struct.pack("=HH", 4 + len(data), kind) + data
    return raw + bytes(-len(raw) % 4)


def nest(kind, *attrs):
    return attr(kind | 0x8000, b"".join(attrs))


def text(kind, value):
    return attr(kind, value.encode() + b"\0")


def number(kind, value):
    return attr(kind, struct.pack("!I", value & 0xffffffff))


def expression(name, *attrs):
    return nest(1, text(1, name), nest(2, *attrs))


def compare(data):
    return expression("cmp", number(1, 1), number(2, 0), nest(3, attr(1, data)))


def payload(base, offset, data):
    return expression("payload", number(1, 1), number(2, base), number(3, offset),
                      number(4, len(data))) + compare(data)


class Netfilter:
    def __init__(self):
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER)
        self._sock.bind((0, 0))
        self._sock.settimeout(10)

    def close(self):
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def transact(self, *messages):
        """All of (type, flags, attributes), or none; raises what the kernel says."""
        words = [(BEGIN, 0, struct.pack("!H", SUBSYSTEM), b"")]
        words += [(SUBSYSTEM << 8 | kind, flags | ACK, b"\0\0", attrs)
                  for kind, flags, attrs in messages]
        words += [(END, 0, struct.pack("!H", SUBSYSTEM), b"")]
        raw = b""
        for sequence, (kind, flags, resource, attrs) in enumerate(words):
            body = bytes([IPV4, 0]) + resource + attrs
            raw += struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, sequence,
                               0) + body
        self._sock.send(raw)
        wanted = len(messages)
        while wanted > 0:
            for kind, body in self._receive():
                if kind == 2:
                    error = struct.unpack_from("=i", body)[0]
                    if error:
                        raise OSError(-error, os.strerror(-error))
                    wanted -= 1

    def _receive(self):
        data = self._sock.recv(65536)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            yield kind, data[16:length]
            data = data[(length + 3) & ~3:]

    def tables(self):
        """The names of all tables for IPv4."""
        self._sock.send(struct.pack("=IHHIIBBH", 20, SUBSYSTEM << 8 | GETTABLE,
                                    REQUEST | DUMP, 1, 0, IPV4, 0, 0))
        found = []
        while True:
            for kind, body in self._receive():
                if kind == 3:
                    return found
                length = struct.unpack_from("=H", body, 4)[0]
                found.append(body[8:4 + length].rstrip(b"\0").decode())

    def redirect(self, table, port, to, hook=OUTPUT, priority=-100):
        """What `tcp dport PORT redirect to :TO` is, in a table of its own."""
        rule = (expression("meta", number(2, 16), number(1, 1)) + compare(b"\x06") +
                payload(2, 2, struct.pack("!H", port)) +
                expression("immediate", number(1, 1),
                           nest(2, attr(1, struct.pack("!H", to)))) +
                expression("redir", number(1, 1)))
        self.transact(
            (NEWTABLE, CREATE, text(1, table)),
            (NEWCHAIN, CREATE, text(1, table) + text(3, "chain") +
             nest(4, number(1, hook), number(2, priority)) + text(7, "nat")),
            (NEWRULE, CREATE | APPEND, text(1, table) + text(2, "chain") + nest(4, rule)))

    def delete(self, table):
        self.transact((DELTABLE, 0, text(1, table)))
