"""Namespaces of a suite's own: the fixed port is free, and homes are scratch."""

import fcntl
import os
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


def private_homes(scratch):
    """Give root a home in `scratch`, for this mount namespace and its children.

    Login shells read what stands in a home, and killed ones leave locks there.
    """
    home = os.path.join(scratch, "root")
    os.mkdir(home, 0o700)
    with open("/etc/passwd", encoding="utf-8") as file:
        lines = [line.split(":") for line in file]
    for fields in lines:
        if fields[0] == "root":
            fields[5] = home
    changed = os.path.join(scratch, "passwd")
    with open(changed, "w", encoding="utf-8") as file:
        file.writelines(":".join(fields) for fields in lines)
    os.chmod(changed, 0o644)
    subprocess.run(["mount", "--bind", changed, "/etc/passwd"], check=True)
