"""Readers of a process: streams in both codecs, and where their bytes stand."""

import base64
import json
import socket
import struct

import proto
import rpc
import wire

SOURCES = {1: "stdout", 2: "stderr", 3: "pty"}


class Link(wire.Connection):
    """A connection that may come from a chosen address."""

    def __init__(self, port, host="127.0.0.1", source=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(wire.PATIENCE)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, port))
        self._buffer = b""

    def reset(self):
        """Leave with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def _decode_json(payload):
    event = json.loads(payload).get("event", {})
    kind, body = next(iter(event.items()))
    if kind == "start":
        return kind, (body["pid"], int(body.get("offset", 0)), int(body.get("lost", 0)))
    if kind == "data":
        lost = int(body.pop("lost", 0))
        (source, text), = body.items()
        return kind, (source, base64.b64decode(text), lost)
    return kind, body.get("status")


def _decode_proto(payload):
    (number, (body,)), = proto.fields(proto.at(payload, 1)).items()
    body = proto.fields(body)
    if number == 1:
        return "start", tuple(body.get(n, [0])[-1] for n in (1, 1000, 1001))
    if number == 2:
        lost = body.pop(1000, [0])[-1]
        (source, (data,)), = body.items()
        return "data", (SOURCES[source], data, lost)
    return {3: "end", 4: "keepalive"}[number], body.get(3, [b""])[-1].decode()


class Json:
    content = "application/connect+json"
    decode = staticmethod(_decode_json)

    @staticmethod
    def start(words, pty):
        return json.dumps({"process": {"cmd": words[0], "args": words[1:]},
                           **({"pty": {"size": {"cols": 80, "rows": 24}}} if pty else {})})

    @staticmethod
    def select(pid):
        return json.dumps({"process": {"pid": pid}})


class Proto:
    content = "application/connect+proto"
    decode = staticmethod(_decode_proto)

    @staticmethod
    def start(words, pty):
        config = proto.text(1, words[0]) + b"".join(proto.text(2, word) for word in words[1:])
        return proto.text(1, config) + (proto.text(2, proto.text(1, b"")) if pty else b"")

    @staticmethod
    def select(pid):
        return proto.text(1, proto.number(1, pid))


CODECS = (Json, Proto)


class Reader:
    """One stream, message by message; `on_data(source, data, lost)` gets its output."""

    def __init__(self, name, message, codec, on_data, headers=(), **link):
        self.on_data, self._decode, self._pending = on_data, codec.decode, b""
        self.status = self.final = None
        self.conn = Link(**link)
        self.conn.send(wire.request("POST", rpc.route(name),
                                    {"Content-Type": codec.content, **dict(headers)},
                                    rpc.envelope(message)))
        answer = self.conn.head()
        assert answer.status == 200, (answer.status, answer.headers)
        kind, first = self.next()
        assert kind == "start", (kind, first, self.final)
        self.pid, self.offset, self.lost = first

    def _take(self, count):
        while len(self._pending) < count:
            chunk = self.conn.chunk()
            if not chunk:
                raise EOFError("the body ended without an end-stream envelope")
            self._pending += chunk
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def next(self):
        """The next message as (kind, content); the last is ("final", object)."""
        flags, size = struct.unpack(">BI", self._take(5))
        payload = self._take(size)
        if flags == 2:
            self.final = json.loads(payload)
            assert not self._pending and self.conn.chunk() == b"" and self.conn.fields() == []
            return "final", self.final
        assert flags == 0 and self.status is None, "a message after the end event"
        kind, content = self._decode(payload)
        if kind == "data":
            self.on_data(*content)
        elif kind == "end":
            self.status = content
        return kind, content

    def finish(self):
        while self.final is None:
            self.next()
        return self.final

    @property
    def error(self):
        return (self.final or {}).get("error", {}).get("code")


def start(words, codec, on_data, pty=False, **options):
    return Reader("Process/Start", codec.start(words, pty), codec, on_data, **options)


def connect(pid, codec, on_data, replay=None, **options):
    headers = {"X-Envd-Replay": replay} if replay else {}
    return Reader("Process/Connect", codec.select(pid), codec, on_data, headers, **options)
