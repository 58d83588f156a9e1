"""Become the first process of a machine in miniature, and say what it ends with.

    launch.py ROOT SETUP COMMAND...

New pid, mount, network, host name, IPC and cgroup namespaces; ROOT, a folder
that the test has filled, becomes / (nothing of the old one is left), and
COMMAND its first process.  SETUP is a JSON object: `binds`, folders of the
machine seen read-only at the same place; `cmdline`, the kernel's; `hostname`;
`cgroup`, one to enter first; `stdio`, false for none; `environment`.

Prints the first process's pid, as it is outside, then waits, and prints how it
ended as os.wait() has it.
"""

import ctypes
import json
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x8000000, 0x20000000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
MNT_DETACH, PR_SET_PDEATHSIG = 2, 1

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mount(source, target, kind, flags):
    text = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    checked(libc.mount(*text, flags, None))


def enter(root, setup):
    """Make ROOT the root, with what is bound into it."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount(root, root, None, MS_BIND)
    for path in setup.get("binds", []):
        inside = root + path
        os.makedirs(inside, exist_ok=True)
        mount(path, inside, None, MS_BIND)
        mount(None, inside, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    if setup.get("cmdline") is not None:
        os.makedirs(f"{root}/proc", exist_ok=True)
        mount("proc", f"{root}/proc", "proc", 0)
        with open(f"{root}/.cmdline", "w", encoding="ascii") as file:
            file.write(setup["cmdline"])
        mount(f"{root}/.cmdline", f"{root}/proc/cmdline", None, MS_BIND)
    os.chdir(root)
    os.makedirs(".old", exist_ok=True)
    checked(libc.pivot_root(b".", b".old"))
    os.chdir("/")
    checked(libc.umount2(b"/.old", MNT_DETACH))
    os.rmdir("/.old")


def first(root, setup, command):
    checked(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    enter(root, setup)
    if "hostname" in setup:
        name = setup["hostname"].encode()
        checked(libc.sethostname(name, len(name)))
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP) and not 32 <= number < 34:
            signal.signal(number, signal.SIG_DFL)
    os.dup2(2, 1)
    if not setup.get("stdio", True):
        os.closerange(0, 3)
    os.execve(command[0], command, setup.get("environment", {}))


def main():
    root, setup, command = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
    if "cgroup" in setup:
        with open(f"{setup['cgroup']}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write("0")
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                         CLONE_NEWPID | CLONE_NEWNET))
    pid = os.fork()
    if pid == 0:
        try:
            first(root, setup, command)
        except BaseException as error:
            print(f"launch: {error}", file=sys.stderr)
        os._exit(99)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
