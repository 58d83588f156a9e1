"""A tree of cgroups that a test has made, and an agent on it."""

import os
import shlex
import signal
import subprocess
import time

from agent import Agent

MOUNTS = "/proc/self/mountinfo"


def mount_point():
    """Where cgroup v2 is mounted; None when it is not."""
    with open(MOUNTS, encoding="utf-8") as table:
        for line in table:
            fields, _, kind = line.partition(" - ")
            if kind.startswith("cgroup2 "):
                return fields.split()[4]
    return None


class Tree:
    """Cgroups below one of our own; removed with all that runs in them."""

    def __init__(self):
        point = mount_point()
        if point is None:
            raise OSError("no cgroup v2 is mounted")
        self.root = os.path.join(point, f"envd-test-{os.getpid()}")
        os.mkdir(self.root)
        if not os.path.exists(f"{self.root}/cgroup.kill"):
            os.rmdir(self.root)
            raise OSError("the kernel has no cgroup.kill")
        self._children = []

    def path(self, name, file=""):
        return os.path.join(self.root, name, file)

    def make(self, name):
        os.makedirs(self.path(name), exist_ok=True)

    def read(self, name, file):
        with open(self.path(name, file), encoding="ascii") as text:
            return text.read()

    def write(self, name, file, text):
        with open(self.path(name, file), "w", encoding="ascii") as out:
            out.write(text)

    def asked(self, name):
        """What was requested of this very one."""
        return self.read(name, "cgroup.freeze") == "1\n"

    def stands(self, name):
        """Whether all in it stand still."""
        return "frozen 1\n" in self.read(name, "cgroup.events")

    def populate(self, name):
        """A cgroup with a process in it."""
        self.make(name)
        child = subprocess.Popen(["sleep", "300"])
        self._children.append(child)
        self.write(name, "cgroup.procs", str(child.pid))
        return child.pid

    def close(self):
        for child in self._children:
            child.send_signal(signal.SIGKILL)
        for folder, names, _ in os.walk(self.root, topdown=False):
            del names
            self._remove(folder)
        for child in self._children:
            child.wait()

    def _remove(self, folder):
        deadline = time.monotonic() + 30
        with open(f"{folder}/cgroup.kill", "w", encoding="ascii") as out:
            out.write("1")
        while True:
            try:
                os.rmdir(folder)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)


def agent_on(tree, port, stderr, stdout=os.devnull):
    """An agent whose commands are placed in the tree."""
    words = [word for word in shlex.split(os.environ["ENVD_ARGS"]) if word != "-no-cgroups"]
    return Agent(os.environ["ENVD_BIN"], [*words, "-verbose", "-cgroup-root", tree.root], port,
                 stderr, stdout=stdout)
