"""HTTP/1.1 on a bare socket: send any bytes, read answers strictly."""

import socket

PORT = 49983
PATIENCE = 30


class Answer:
    """One response; `headers` keeps order and repetitions, names in lower case."""

    def __init__(self, version, status, reason, headers):
        self.version, self.status, self.reason = version, status, reason
        self.headers = headers
        self.body, self.trailers = b"", []

    def get(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]


class Connection:
    """A client connection; every read has an upper bound in time."""

    def __init__(self, port=PORT, host="127.0.0.1", receive_buffer=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _fill(self):
        data = self.socket.recv(1 << 16)
        self._buffer += data
        return bool(data)

    def exactly(self, count):
        while len(self._buffer) < count:
            if not self._fill():
                raise EOFError(f"wanted {count} bytes, got {self._buffer!r}")
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def line(self):
        while b"\r\n" not in self._buffer:
            if not self._fill():
                raise EOFError(f"no end of line in {self._buffer!r}")
        data, _, self._buffer = self._buffer.partition(b"\r\n")
        return data.decode("latin-1")

    def at_end(self):
        """The peer closed and nothing is left; waits for it."""
        try:
            return not self._buffer and not self._fill()
        except ConnectionResetError:
            return True

    def rest(self):
        while self._fill():
            pass
        data, self._buffer = self._buffer, b""
        return data

    def fields(self):
        headers = []
        while line := self.line():
            name, colon, value = line.partition(":")
            assert colon and name == name.strip() and name, f"bad header line {line!r}"
            headers.append((name.lower(), value.strip()))
        return headers

    def head(self):
        version, status, *reason = self.line().split(" ", 2)
        return Answer(version, int(status), reason[0] if reason else "", self.fields())

    def chunk(self):
        """One chunk of a chunked body; empty at the end."""
        data = self.exactly(int(self.line().partition(";")[0], 16))
        if data:
            assert self.exactly(2) == b"\r\n"
        return data

    def answer(self, method="GET"):
        """A whole response, body included."""
        answer = self.head()
        if answer.status < 200 or answer.status in (204, 304) or method == "HEAD":
            return answer
        if (answer.get("transfer-encoding") or "").lower() == "chunked":
            assert answer.get("content-length") is None
            while chunk := self.chunk():
                answer.body += chunk
            answer.trailers = self.fields()
        elif answer.get("content-length") is not None:
            answer.body = self.exactly(int(answer.get("content-length")))
        else:
            answer.body = self.rest()
        return answer


def request(method, path, headers=(), body=None, version="HTTP/1.1"):
    """The bytes of a request; Host and Content-Length unless given."""
    fields = dict(headers)
    names = {name.lower() for name in fields}
    if "host" not in names:
        fields["Host"] = "localhost"
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        fields["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    head = f"{method} {path} {version}\r\n{lines}\r\n".encode("latin-1")
    return head + (body or b"")


def exchange(method, path, headers=(), body=None, port=PORT):
    """One request on a connection of its own."""
    with Connection(port) as conn:
        conn.send(request(method, path, headers, body))
        return conn.answer(method)


def chunked(pieces):
    """A complete chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n\r\n"


def barrier(port=PORT):
    """A round trip on another connection: what was sent before has arrived."""
    assert exchange("GET", "/health", port=port).status == 204
