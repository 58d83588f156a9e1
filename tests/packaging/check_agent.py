"""An agent of another architecture, run by an emulator of system calls: its
version, /health, a command, a file, and what it says of calls that are missing.

    check_agent.py VERSION COMMAND...

Used by arm64-vm too, for one that listens already.
"""
import base64
import json
import socket
import struct
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Client:
    def __init__(self, port):
        self.port = port

    def request(self, path, data=None, content_type="application/json"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data,
            headers={"Content-Type": content_type} if data else {})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()

    def start(self, command, *args):
        """Run to its end: standard output, and the end event."""
        body = json.dumps({"process": {"cmd": command, "args": args}}).encode()
        _, answer = self.request("/process.Process/Start",
                                 struct.pack(">BI", 0, len(body)) + body,
                                 "application/connect+json")
        out, end = b"", None
        while answer:
            flags, length = struct.unpack(">BI", answer[:5])
            message, answer = json.loads(answer[5:5 + length]), answer[5 + length:]
            assert "error" not in message, message
            if not flags & 2:
                event = message["event"]
                out += base64.b64decode(event.get("data", {}).get("stdout", ""))
                end = event.get("end", end)
        return out, end


class Agent(Client):
    def __init__(self, command, log):
        super().__init__(free_port())
        self.log = log
        self.process = subprocess.Popen(
            [*command, "-isnotfc", "-no-cgroups", "-verbose", "-port", str(self.port)],
            stdout=log, stderr=log)

    def wait_until_listening(self):
        while True:
            assert self.process.poll() is None, Path(self.log.name).read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except ConnectionRefusedError:
                # Woken when the process ends, else the next try.
                try:
                    self.process.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def check(agent, scratch):
    assert agent.request("/health")[0] == 204
    assert json.loads(agent.request("/metrics")[1])["cpu_count"] > 0
    for _ in range(2):
        out, end = agent.start("/bin/sh", "-c", "echo out; exit 3")
        assert out == b"out\n" and end["exitCode"] == 3, (out, end)
    file, content = f"{scratch}/file", bytes(range(256)) * 1000
    assert agent.request(f"/files?path={file}", content, "application/octet-stream")[0] == 200
    assert agent.request(f"/files?path={file}")[1] == content
    answer = json.loads(agent.request(
        "/filesystem.Filesystem/ListDir",
        json.dumps({"path": str(scratch)}).encode())[1])
    assert "file" in [e["name"] for e in answer["entries"]], answer


def main():
    version, command = sys.argv[1], sys.argv[2:]
    said = subprocess.run([*command, "-version"], check=True, capture_output=True,
                          text=True).stdout
    assert said == version + "\n", said
    with tempfile.TemporaryDirectory() as scratch, open(f"{scratch}/log", "wb") as log:
        agent = Agent(command, log)
        try:
            agent.wait_until_listening()
            check(agent, scratch)
        finally:
            agent.close()
        lines = [json.loads(line) for line in Path(log.name).read_text().split("\n")
                 if line.startswith("{")]
        missing = [(line["call"], line["error"]) for line in lines if "call" in line]
        # Each once, by name, if this emulator lacks it.
        assert len(missing) == len(set(missing)), missing
        if "qemu" in command[0]:
            assert ("clone3", "function not implemented") in missing, missing


if __name__ == "__main__":
    main()
