"""Namespaces of a suite's own: the fixed port is free, login shells are plain."""

import fcntl
import os
import pwd
import shutil
import socket
import struct
import subprocess

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def prefix():
    """The words that put a command into new namespaces; none without rights."""
    tool = shutil.which("unshare")
    if os.geteuid() != 0 or not tool:
        return []
    words = [tool, "--net", "--mount", "--"]
    probe = subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False)
    return words if probe.returncode == 0 else []


def loopback_up():
    """What `ip link set lo up` does, without needing iproute2."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        name = b"lo".ljust(16, b"\0")
        reply = fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("16sH14x", name, 0))
        flags = struct.unpack("16sH14x", reply)[1]
        if not flags & IFF_UP:
            fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", name, flags | IFF_UP))


def private_files():
    """Places of the machine into which an agent writes, in this namespace alone.

    An agent that believes to be in a sandbox takes the machine for its own.
    """
    os.makedirs("/run/e2b", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run/e2b"], check=True)
    limits = "/proc/sys/fs/inotify"
    if os.path.isdir(limits):
        subprocess.run(["mount", "--bind", limits, limits], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", limits], check=True)


def plain_shells():
    """Hide what a login shell of root reads in its home, in this namespace alone.

    Such a file may start helpers that leave locks behind when they are killed.
    """
    home = pwd.getpwuid(0).pw_dir
    for name in (".bash_profile", ".bash_login", ".profile", ".bashrc"):
        path = os.path.join(home, name)
        if os.path.exists(path):
            subprocess.run(["mount", "--bind", os.devnull, path], check=True)
