"""A metadata service and a log collector, as the host has them, for tests."""

import collections
import hashlib
import http.server
import json
import socket
import threading

ADDRESS = "169.254.169.254"
NO_TOKEN = hashlib.sha512(b"").hexdigest()  # the hash that stands for none

Seen = collections.namedtuple("Seen", "method path headers body connection")


def token_hash(token):
    """The `accessTokenHash` of a token."""
    return hashlib.sha512(token.encode()).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _take(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.path, dict(self.headers.items()), body,
                    self.client_address)
        status, answer = self.server.owner.answer(seen)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = _take

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_):
        """Who hangs up does not matter here."""


class Service:
    """Answers until `close()`; `seen` are the requests, in their order."""

    def __init__(self, host, port):
        self.seen = []
        self.changed = threading.Condition()
        self._server = Server((host, port), Handler)
        self._server.owner = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,),
                                        daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, seen):
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()
        return self.respond(seen)

    def await_seen(self, check, patience=20):
        """The requests, once `check(requests)` is true."""
        with self.changed:
            assert self.changed.wait_for(lambda: check(self.seen), patience), self.seen
            return list(self.seen)


class Metadata(Service):
    """The service of one sandbox; `document` may be changed, None is an empty store.

    As an instance id, a template id and a token's hash it has what the arguments
    say; `silent` makes it swallow requests, until it is set to False again.
    """

    TOKEN = "metadata-token"

    def __init__(self, instance="sandbox-1", env="template-1", address="", token=None,
                 host=ADDRESS, port=80, **more):
        self.document = {"instanceID": instance, "envID": env, "address": address, **more}
        if token is not None:
            self.document["accessTokenHash"] = token_hash(token)
        self.gate = threading.Event()
        self.gate.set()
        super().__init__(host, port)

    @property
    def silent(self):
        return not self.gate.is_set()

    @silent.setter
    def silent(self, value):
        (self.gate.clear if value else self.gate.set)()

    def set(self, **members):
        """Change members of the document; None takes one away."""
        document = {**(self.document or {}), **members}
        self.document = {k: v for k, v in document.items() if v is not None}

    def set_token(self, token):
        """What the host writes before an /init: None for no hash at all."""
        self.set(accessTokenHash=None if token is None else token_hash(token))

    def lookups(self):
        """How many documents were asked for."""
        return len([s for s in self.seen if s.method == "GET"])

    def respond(self, seen):
        self.gate.wait(60)
        if seen.method == "PUT" and seen.path == "/latest/api/token":
            if "X-metadata-token-ttl-seconds" not in seen.headers:
                return 400, b"no ttl"
            return 200, self.TOKEN.encode()
        if seen.headers.get("X-metadata-token") != self.TOKEN:
            return 401, b"no token"
        if self.document is None:
            return 404, b"The MMDS resource does not exist."
        return 200, json.dumps(self.document).encode()

    def close(self):
        self.gate.set()
        super().close()


class Collector(Service):
    """The receiver of log lines, as strict as the host's."""

    def __init__(self, instance="sandbox-1", host="127.0.0.1", port=0, status=200):
        self.instance = instance
        self.status = status
        super().__init__(host, port)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/logs"

    def respond(self, seen):
        if json.loads(seen.body).get("instanceID") != self.instance:
            return 400, b"whose line is this?"
        return self.status, b""

    def lines(self):
        return [json.loads(s.body) for s in self.seen]

    def await_line(self, check, patience=20):
        """The first line for which the check holds."""
        def find():
            return next((line for line in self.lines() if check(line)), None)
        self.await_seen(lambda _: find() is not None, patience)
        return find()


def own_address():
    """Give this network namespace's loopback the address of the service.

    Only for a namespace of the test's own.
    """
    import fcntl
    import struct

    def request(address):
        return struct.pack("16sHH4s8x", b"lo:mmds", socket.AF_INET, 0, socket.inet_aton(address))

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8916, request(ADDRESS))  # SIOCSIFADDR
        # Its network would be ours, too: all of the addresses of sandboxes.
        fcntl.ioctl(sock, 0x891C, request("255.255.255.255"))  # SIOCSIFNETMASK
