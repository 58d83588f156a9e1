"""What /proc says about the agent and about the processes of a test."""

import os


def _read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def field(pid, name, file="status"):
    """A number of /proc/PID/status or another file of its form."""
    for line in _read(pid, file).splitlines():
        if line.startswith(name.encode() + b":"):
            return int(line.split()[1])
    raise KeyError(name)


def forget_peak(pid):
    """Have VmHWM begin anew; gives what it begins with, in KiB."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return field(pid, "VmHWM")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets(pid):
    found = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        except FileNotFoundError:
            pass
    return found


def state(pid):
    return _read(pid, "stat").rpartition(b")")[2].split()[:1]


def everyone():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def marked(mark):
    """Living processes that have CHAOS_MARK=mark in their environment or as argument."""
    entry = b"CHAOS_MARK=" + mark.encode()
    return [pid for pid in everyone()
            if entry in (_read(pid, "environ") + _read(pid, "cmdline")).split(b"\0")
            and state(pid) not in ([b"Z"], [b"X"])]


def dead_children(parent):
    """Children of a process that nobody has reaped."""
    found = []
    for pid in everyone():
        words = _read(pid, "stat").rpartition(b")")[2].split()
        if words and words[0] == b"Z" and int(words[1]) == parent:
            found.append(pid)
    return found
