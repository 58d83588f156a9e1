"""Fixtures: machines in miniature, in which the agent is the first process."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest

_HERE = os.path.dirname(os.path.abspath(__file__))
_SDK = os.path.join(os.path.dirname(_HERE), "sdk")
sys.path[1:1] = [os.path.join(_SDK, "raw"), os.path.join(_SDK, "lib")]

import rpc  # noqa: E402
import wire  # noqa: E402
from agent import REPORTS, sanitized  # noqa: E402

BINARY = os.environ["ENVD_BIN"]
CLONE_NEWNET = 0x40000000
SYSTEM = [path for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64") if os.path.exists(path)]

libc = ctypes.CDLL(None, use_errno=True)


HOME_NETWORK = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter_network(namespace):
    assert libc.setns(namespace, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())


def eventually(check, patience=60):
    """Poll until the check holds; for what has no event to wait for."""
    deadline = time.monotonic() + patience
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)
    return found


def stat_fields(pid):
    """Name, state and the further fields of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        text = file.read()
    return [text[text.index("(") + 1:text.rindex(")")], *text[text.rindex(")") + 2:].split()]


class Machine:
    """One of them; `pid` is that of its first process, seen from outside."""

    def __init__(self, root, args, setup, binary="/opt/envd"):
        self.root = root
        self.log_path = f"{root}.log"
        os.makedirs(os.path.dirname(root + binary), exist_ok=True)
        shutil.copy(BINARY, root + binary)
        setup["binds"] = [] if setup.pop("empty", False) else SYSTEM
        setup.setdefault("environment", {}).update(
            {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        with open(self.log_path, "wb") as log:
            self._launcher = subprocess.Popen(
                [sys.executable, os.path.join(_HERE, "launch.py"), root, json.dumps(setup),
                 binary, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.pid = int(self._launcher.stdout.readline())
        self._status = None

    def enter_network(self):
        """Connections of this test are its own from here on."""
        namespace = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            enter_network(namespace)
        finally:
            os.close(namespace)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self):
        """How the first process ended, as os.wait() has it."""
        if self._status is None:
            self._status = int(self._launcher.stdout.readline())
            self._launcher.wait()
        return self._status

    def end(self):
        if self._launcher.poll() is None:
            self._launcher.kill()  # the first process dies with it
        self._launcher.stdout.close()
        self._launcher.wait()

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]

    def agent(self):
        """The pid of the agent, None when it does not run."""
        for pid in self.children():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if file.read().startswith(b"envd\0"):
                        return pid
            except OSError:
                continue
        return None

    def processes(self):
        """Every pid of the machine, with name and state."""
        found, todo = {}, [self.pid]
        while todo:
            pid = todo.pop()
            try:
                found[pid] = stat_fields(pid)[:2]
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                        todo += [int(word) for word in file.read().split()]
            except OSError:
                continue
        return found

    def path(self, name):
        """A file of it, with what is mounted there."""
        return f"/proc/{self.pid}/root{name}"

    def read(self, name):
        """The text of a file, None while there is none."""
        try:
            with open(self.path(name), encoding="utf-8") as file:
                return file.read()
        except OSError:
            return None


@pytest.fixture
def image():
    """The folder that becomes the root of a machine; fill it first."""
    path = tempfile.mkdtemp(prefix="envd-init-", dir=os.environ["SDK_SCRATCH"])
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def cgroup_mount():
    with open("/proc/mounts", encoding="utf-8") as file:
        found = [line.split()[1] for line in file if line.split()[2] == "cgroup2"]
    return found[0] if found else None


@pytest.fixture
def cgroup():
    """A cgroup of the test's own, removed with all below it."""
    mount = cgroup_mount()
    if mount is None or not os.access(mount, os.W_OK):
        pytest.skip("no cgroup v2 here that may be written to")
    path = tempfile.mkdtemp(prefix="envd-init-", dir=mount)
    yield path
    with open(f"{path}/cgroup.kill", "w", encoding="ascii") as file:
        file.write("1")
    eventually(lambda: cgroup_removed(path))


def cgroup_removed(path):
    try:
        for folder, _, _ in os.walk(path, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True


@pytest.fixture
def machine(image):
    """Start the machine with these flags; the test is then in its network."""
    if os.geteuid() != 0:
        pytest.skip("needs root for namespaces")
    made = []

    def start(*args, binary="/opt/envd", serves=True, cgroups=False, **setup):
        if setup.get("empty") and sanitized(BINARY):
            pytest.skip("this build needs libraries, an empty image has none")
        words = ["-isnotfc", *([] if cgroups else ["-no-cgroups"]), *args]
        made.append(Machine(image, words, setup, binary))
        if serves:
            made[0].enter_network()
            eventually(healthy)
        return made[0]

    yield start
    enter_network(HOME_NETWORK)
    for each in made:
        each.end()
        problems = [mark for mark in REPORTS if mark in each.log()]
        assert problems == [], each.log()


def healthy(host="127.0.0.1"):
    try:
        with wire.Connection(host=host) as conn:
            conn.send(wire.request("GET", "/health"))
            return conn.answer().status == 204
    except (OSError, EOFError):
        return False


def run(cmd, *args, **members):
    """Run a command to its end: its standard output and its exit code."""
    messages, end = rpc.stream("Process/Start", {"process": {"cmd": cmd, "args": list(args)},
                                                 **members})
    assert end == {}, end
    events = [message["event"] for message in messages]
    output = b"".join(rpc.base64.b64decode(event["data"].get("stdout", ""))
                      for event in events if "data" in event)
    return output.decode(), events[-1]["end"].get("exitCode", 0)
