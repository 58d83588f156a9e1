"""Send the requests of a case and bring the answers into a comparable form."""

import base64
import gzip
import json
import os
import re
import shutil
import tempfile
import time
from urllib.parse import quote

import asked
import wire

HEADERS = ("content-type", "content-disposition", "content-encoding", "content-range",
           "accept-ranges", "last-modified", "vary", "allow", "cache-control",
           "x-content-type-options", "access-control-allow-origin",
           "access-control-allow-methods", "access-control-allow-headers",
           "access-control-max-age", "access-control-expose-headers", "www-authenticate")

SET = "Sun, 13 Sep 2020 12:26:40 GMT"  # what make_tree sets

# Found only in answers of ours, and different each time.
COSTS = ("cpuUs", "peakMemoryBytes")


def fill(value, root):
    if isinstance(value, bytes):
        return value.replace(b"{root}", root.encode())
    return value.replace("{root}", root)


def send(request, root, port):
    path = fill(request["path"], root)
    if "sign" in request:
        sign = asked.signature(request["sign"], root)
        path += "&signature=" + quote(sign, safe="")
    headers = {name: fill(value, root) for name, value in request["headers"].items()}
    body = request["body"]
    if body is not None:
        body = fill(body, root)
        if headers.get("Content-Type") == "application/connect+json":
            body = body[:1] + (len(body) - 5).to_bytes(4, "big") + body[5:]
    elif request["method"] == "POST":
        body = b""
    return wire.exchange(request["method"], path, headers, body, port)


# ---- answers


def envelopes(data):
    while data:
        size = int.from_bytes(data[1:5], "big")
        yield data[0], json.loads(data[5:5 + size])
        data = data[5 + size:]


def events(data):
    """A stream: what was written in one piece each, all else in order."""
    found, written = [], {}
    for flags, message in envelopes(data):
        event = message.get("event", {})
        if "data" in event:
            for kind, text in event["data"].items():
                written[kind] = written.get(kind, b"") + base64.b64decode(text)
        elif "keepalive" not in event:
            found.append({"end": message} if flags & 2 else message)
    return {"messages": found, "output": {k: v.decode() for k, v in sorted(written.items())}}


def tidy(value):
    """Leave out what is different each time, in decoded JSON."""
    if isinstance(value, list):
        return [tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, each in value.items():
        if key in COSTS:
            continue
        if key == "pid" and isinstance(each, int):
            each = "PID"
        if key == "watcherId":
            each = re.sub("[a-z0-9]", "x", each)
        if key == "modifiedTime" and not each.startswith("2020-09-13T12:26:40"):
            each = "NOW"
        if key == "size" and value.get("type") == "FILE_TYPE_DIRECTORY":
            each = "SIZE"
        # Their form is told by the code and the text.
        if key == "details":
            continue
        found[key] = tidy(each)
    return found


def text_of(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def body_of(answer, headers):
    kind = headers.get("content-type", "")
    data = answer.body
    if headers.get("content-encoding") == "gzip":
        data = gzip.decompress(data)
    if kind.startswith("application/connect+json"):
        return tidy(events(data))
    # Uploads of the reference are JSON under another label.
    if data[:1] in (b"{", b"[") and "content-disposition" not in headers:
        return tidy(json.loads(data))
    return text_of(data)


def normal(answer, root):
    """An answer as it is recorded."""
    headers = {name: ", ".join(sorted(answer.all(name))) for name in HEADERS
               if answer.get(name) is not None}
    if headers.get("last-modified", SET) != SET:
        headers["last-modified"] = "NOW"
    text = json.dumps({"status": answer.status, "headers": headers,
                       "body": body_of(answer, headers)}, sort_keys=True)
    text = text.replace(root, "{root}").replace(os.path.expanduser("~root"), "{home}")
    text = re.sub(r"of process '\d+'", "of process 'PID'", text)
    text = re.sub(r"e2b-compose\.[0-9a-f-]{36}\.tmp", "e2b-compose.UUID.tmp", text)
    boundary = re.search(r"multipart/byteranges; boundary=([^\"]+)", text)
    if boundary:
        text = text.replace(boundary.group(1), "BOUNDARY")
    return json.loads(text)


# ---- comparing


HERE = os.path.dirname(os.path.abspath(__file__))


def load(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as text:
        return json.load(text)


def parts(answer):
    """An answer in parts that can differ on their own."""
    return {"status": answer["status"], "body": answer["body"], **answer["headers"]}


def compare(name, ours, theirs):
    """Where the answers of a case differ: names of parts, with both values."""
    found = {}
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        one, other = parts(one), parts(other)
        for part in sorted(one.keys() | other.keys()):
            if one.get(part) != other.get(part):
                found[f"{name}#{number}.{part}"] = (one.get(part), other.get(part))
    return found


# ---- cases


class Held:
    """The commands that live while a case about them is sent."""

    def __init__(self, name, root, port):
        tag = name.split("-")[1]
        self.conn = wire.Connection(port)
        start = asked.HELD[tag]
        self.conn.send(wire.request("POST", start["path"], start["headers"], start["body"]))
        assert self.conn.head().status == 200
        self.conn.chunk()  # it has started
        self.tag, self.port = tag, port

    def end(self):
        wire.exchange("POST", "/process.Process/SendSignal", {"Content-Type": "application/json"},
                      json.dumps(asked.of(self.tag, signal=9)).encode(), self.port)
        while self.conn.chunk():
            pass
        self.conn.close()


def run(name, port, below=None):
    """Send the requests of a case; gives the answers in their comparable form."""
    root = tempfile.mkdtemp(prefix="envd-", dir=below)
    os.chmod(root, 0o755)
    held = None
    try:
        asked.make_tree(root)
        if name.startswith("live-"):
            held = Held(name, root, port)
        answers = [normal(send(each, root, port), root) for each in asked.CASES[name]]
    finally:
        if held:
            held.end()
            deadline = time.monotonic() + 30
            while b'"pid"' in wire.exchange("POST", "/process.Process/List", {
                    "Content-Type": "application/json"}, b"{}", port).body:
                assert time.monotonic() < deadline
        shutil.rmtree(root, ignore_errors=True)
    return answers
