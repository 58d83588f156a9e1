"""Connect calls built on `wire`: unary, streams, and followed processes."""

import base64
import json
import struct

from wire import PORT, Connection, exchange, request

JSON = {"Content-Type": "application/json"}
STREAM = {"Content-Type": "application/connect+json"}


def route(name):
    service, _, method = name.partition("/")
    return f"/{service.lower()}.{service}/{method}"


def encode(message):
    """JSON text of a message; text and bytes are taken as they are."""
    if isinstance(message, bytes):
        return message
    if isinstance(message, str):
        return message.encode()
    return json.dumps(message).encode()


def call(name, message, headers=(), port=PORT):
    """A unary call; gives the HTTP status and the decoded JSON."""
    answer = exchange("POST", route(name), {**JSON, **dict(headers)}, encode(message), port)
    assert answer.get("content-type") == "application/json", answer.headers
    return answer.status, json.loads(answer.body)


def must(name, message, headers=(), port=PORT):
    status, body = call(name, message, headers, port)
    assert status == 200, body
    return body


STATUS = {"canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504,
          "not_found": 404, "already_exists": 409, "permission_denied": 403,
          "resource_exhausted": 429, "failed_precondition": 400, "unimplemented": 501,
          "internal": 500, "unavailable": 503, "unauthenticated": 401}


def refused(name, message, code, text=None, headers=(), port=PORT):
    """A unary call that has to fail with this code and text."""
    status, body = call(name, message, headers, port)
    expected = {"code": code} if text is None else {"code": code, "message": text}
    assert {key: body.get(key) for key in expected} == expected, body
    assert status == STATUS[code]
    return body.get("message", "")


def envelope(message, flags=0):
    payload = encode(message)
    return struct.pack(">BI", flags, len(payload)) + payload


def envelopes(data):
    """Split a complete body into (flags, payload) pairs."""
    found = []
    while data:
        flags, size = struct.unpack(">BI", data[:5])
        assert len(data) >= 5 + size, "the last envelope is cut short"
        found.append((flags, data[5:5 + size]))
        data = data[5 + size:]
    return found


def outcome(answer):
    """Messages and final object of a complete Connect JSON stream."""
    assert answer.status == 200, answer.body
    *messages, (flags, last) = envelopes(answer.body)
    assert flags == 2 and all(flag == 0 for flag, _ in messages)
    return [json.loads(payload) for _, payload in messages], json.loads(last)


def stream(name, message, headers=(), port=PORT):
    """A whole server stream: messages and final object."""
    return outcome(exchange("POST", route(name), {**STREAM, **dict(headers)},
                            envelope(message), port))


def stream_refused(name, message, code, text=None, headers=(), port=PORT):
    """A stream whose only envelope is this error."""
    messages, end = stream(name, message, headers, port)
    assert messages == []
    assert end["error"]["code"] == code, end
    if text is not None:
        assert end["error"].get("message") == text
    return end["error"].get("message", "")


def shell(script, **members):
    return {"process": {"cmd": "/bin/sh", "args": ["-c", script]}, **members}


def by_pid(pid, **members):
    return {"process": {"pid": pid}, **members}


def data(value):
    """Bytes as they stand in JSON."""
    return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()


COST = ("cpuUs", "peakMemoryBytes")  # in the end event, different each time


class Stream:
    """Follows one server stream, envelope by envelope."""

    def __init__(self, name, message, headers=(), port=PORT, **options):
        self.conn = Connection(port, **options)
        self.conn.send(request("POST", route(name), {**STREAM, **dict(headers)},
                               envelope(message)))
        self.answer = self.conn.head()
        assert self.answer.status == 200
        self._pending = b""
        self.final = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.conn.close()

    def _take(self, count):
        while len(self._pending) < count:
            chunk = self.conn.chunk()
            if not chunk:
                raise EOFError("the body ended without an end-stream envelope")
            self._pending += chunk
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def envelope(self):
        """The next envelope: its flags and its payload."""
        flags, size = struct.unpack(">BI", self._take(5))
        return flags, self._take(size)

    def next(self):
        """The next message; None when the end-stream envelope came."""
        assert self.final is None
        flags, payload = self.envelope()
        message = json.loads(payload)
        if flags == 2:
            self.final = message
            assert not self._pending and self.conn.chunk() == b"" and self.conn.fields() == []
            return None
        assert flags == 0
        return message


class Run(Stream):
    """Follows one Start or Connect stream."""

    def __init__(self, message, headers=(), name="Process/Start", port=PORT, **options):
        super().__init__(name, message, headers, port, **options)
        self.output = {"stdout": bytearray(), "stderr": bytearray(), "pty": bytearray()}
        self.end = None
        first = self.next()
        assert first and "start" in first.get("event", {}), (first, self.final)
        self.pid = first["event"]["start"]["pid"]

    def next(self):
        message = super().next()
        if message is None:
            return None
        assert self.end is None, "a message after the end event"
        event = message.get("event", {})
        for kind, text in event.get("data", {}).items():
            self.output[kind] += base64.b64decode(text, validate=True)
        self.end = event.get("end")
        if self.end is not None:
            self.cost = {name: self.end.pop(name) for name in COST if name in self.end}
        return message

    def until(self, wanted, kind="stdout"):
        while wanted not in self.output[kind]:
            assert self.next() is not None, (self.output, self.final)

    def finish(self):
        """Read to the end of the stream; gives the end event."""
        while self.next() is not None:
            pass
        return self.end


def start(message, headers=(), **options):
    return Run(message, headers, **options)


def connect(selector, headers=(), **options):
    return Run({"process": selector}, headers, name="Process/Connect", **options)


def run(script, headers=(), cwd="/", envs=None, **members):
    """Run a script to its end; gives the finished Run."""
    message = shell(script, **members)
    message["process"] |= {"cwd": cwd, "envs": envs or {}}
    with start(message, headers) as done:
        done.finish()
    assert done.final == {}
    return done


def pids(port=PORT):
    return [p["pid"] for p in must("Process/List", {}, port=port).get("processes", [])]
