"""A virtual machine under QEMU: boot it, cut its power, pause it to a file and
resume it in a new process.

The guest has one disk, one network card (10.0.2.15, no way out) and a serial
console that is written to a file.  The agent's port, and SERVER_PORT for what a
test serves there, are ports of the host, too.
"""

import ctypes
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time

from qmp import Qmp

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, "build", "vm")
PORT = 49983
SERVER_PORT = 8000
BOOT_LIMIT = 300
END_LIMIT = 120
PROBE_LIMIT = 15
PR_SET_PDEATHSIG = 1
COMMAND_LINE = "console=ttyS0 quiet loglevel=1 panic=-1 random.trust_cpu=on"
NETWORK = (f"user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{PORT}-10.0.2.15:49983,"
           f"hostfwd=tcp:127.0.0.1:{SERVER_PORT}-10.0.2.15:{SERVER_PORT}")


def prepare():
    """In the child: QEMU must not outlive the tests."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def qemu(*words, accel, memory, command_line=""):
    return ["qemu-system-x86_64", "-accel", accel, "-M", "q35", "-m", str(memory), "-smp", "1",
            "-cpu", "host" if accel == "kvm" else "max", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-kernel", os.path.join(BUILD, "vmlinuz"),
            "-initrd", os.path.join(BUILD, "initrd.gz"),
            "-append", f"{COMMAND_LINE} {command_line}".strip(), *words]


def accelerator():
    """`kvm` where it can boot this kernel, else `tcg`; VM_ACCEL decides."""
    if os.environ.get("VM_ACCEL"):
        return os.environ["VM_ACCEL"]
    with open("/proc/cpuinfo", encoding="ascii") as info:
        flags = set(info.read().split())
    if not flags & {"vmx", "svm"} or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    try:
        probe = subprocess.run(qemu("-serial", "stdio", accel="kvm", memory=256,
                                    command_line="probe"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, timeout=PROBE_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "tcg"
    return "kvm" if b"the probe has booted" in probe.stdout else "tcg"


def answers(request, limit):
    """Whether a request on a connection of its own is answered with 204 in time."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), limit) as conn:
            conn.settimeout(limit)
            conn.sendall(request)
            return conn.recv(64).startswith(b"HTTP/1.1 204 ")
    except OSError:
        return False


def get_health():
    return b"GET /health HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n"


def post_init():
    """What the host sends first, with its time."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06}Z"
    body = f'{{"timestamp":"{stamp}"}}'
    return (f"POST /init HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


class Machine:
    """One guest with a disk of its own, below `folder`."""

    def __init__(self, folder, image, memory=512):
        self.disk = os.path.join(folder, "disk")
        self.console_file = os.path.join(folder, "console")
        self.memory_file = os.path.join(folder, "memory")
        self._memory = memory
        self._process = self._qmp = None
        self.started = 0.0
        subprocess.run(["cp", "--sparse=always", image, self.disk], check=True)

    def _start(self, *more):
        ours, theirs = socket.socketpair()
        with theirs:
            words = qemu(
                "-drive", f"file={self.disk},if=none,id=disk,format=raw,discard=unmap,cache=unsafe",
                "-device", "virtio-blk-pci,drive=disk",
                "-netdev", NETWORK, "-device", "virtio-net-pci,netdev=net,romfile=",
                "-object", "rng-random,filename=/dev/urandom,id=rng",
                "-device", "virtio-rng-pci,rng=rng",
                "-chardev", f"file,id=console,append=on,path={self.console_file}",
                "-serial", "chardev:console",
                "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                "-mon", "chardev=qmp,mode=control", *more,
                accel=os.environ.get("VM_ACCEL", "tcg"), memory=self._memory)
            self.started = time.monotonic()
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                             pass_fds=[theirs.fileno()], preexec_fn=prepare)
        self._qmp = Qmp(ours)

    def _ended(self):
        self._process.wait(END_LIMIT)
        self._qmp.close()
        self._process = self._qmp = None

    def boot(self):
        self._start()

    def running(self):
        return self._process is not None and self._process.poll() is None

    def power_off(self):
        """Cut the power; what the guest had not written is gone."""
        if self._process is not None:
            self._process.kill()
            self._ended()

    def await_power_off(self):
        """Wait until the guest has switched itself off."""
        self._qmp.until("SHUTDOWN", lambda data: data["guest"])
        self._ended()

    def pause(self):
        """State to a file, end of the process; gives seconds and bytes."""
        begun = time.monotonic()
        self._qmp.execute("stop")
        self._qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self._migrate("migrate", f"exec:cat >{shlex.quote(self.memory_file)}")
        seconds = time.monotonic() - begun
        self._qmp.execute("quit")
        self._ended()
        return seconds, os.path.getsize(self.memory_file)

    def stop_and_go(self):
        """Stand still for a moment, in the same process."""
        self._qmp.execute("stop")
        self._qmp.execute("cont")

    def resume(self):
        """The paused guest goes on in a new process."""
        self._start("-incoming", "defer")
        self._migrate("migrate-incoming", f"exec:cat {shlex.quote(self.memory_file)}")
        self._qmp.execute("cont")

    def _migrate(self, command, uri):
        self._qmp.execute("migrate-set-capabilities",
                          capabilities=[{"capability": "events", "state": True}])
        self._qmp.execute(command, uri=uri)
        ended = self._qmp.until("MIGRATION", lambda data: data["status"] in ("completed", "failed"))
        assert ended["status"] == "completed", command

    def await_answer(self, make_request=get_health):
        """Ask as the host does, a new connection each time, until the answer is
        204; gives the seconds since the process was started."""
        limit, deadline = 0.05, time.monotonic() + BOOT_LIMIT
        while not answers(make_request(), limit):
            assert self.running(), f"QEMU has ended:\n{self.console()}"
            assert time.monotonic() < deadline, f"no 204:\n{self.console()}"
            time.sleep(0.005)
            limit = min(limit * 1.05, 2)
        return time.monotonic() - self.started

    def console(self):
        """What the guest has written to its serial console."""
        try:
            with open(self.console_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def remove(self):
        self.power_off()
        shutil.rmtree(os.path.dirname(self.disk))
