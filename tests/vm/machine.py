"""A virtual machine under QEMU: boot it, cut its power, pause it to a file and
resume it in a new process.

The guest has one disk, one network card (10.0.2.15, no way out) and a serial
console that is written to a file.  The agent's port, and SERVER_PORT for what a
test serves there, are ports of the host, too.  A sandbox has the addresses that
its host gives it instead, and the services there: tests/vm/host, tests/vm/nfs.
"""

import ctypes
import json
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
GUEST, GATEWAY = "169.254.0.21", "169.254.0.22"
METADATA, COLLECTOR, EXPORTER = "169.254.169.254", "169.254.169.253", "169.254.169.252"
SANDBOX_LINE = f"sandbox ip={GUEST}::{GATEWAY}:255.255.0.0:instance:eth0:off"


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


def answer(request, limit, port=PORT):
    """The head of the answer to a request on a connection of its own; empty
    when there is none in time."""
    try:
        with socket.create_connection(("127.0.0.1", port), limit) as conn:
            conn.settimeout(limit)
            conn.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got:
                if not (more := conn.recv(4096)):
                    break
                got += more
            return got
    except OSError:
        return b""


def get_health():
    return b"GET /health HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n\r\n"


def post_init(token=None, **members):
    """What the host sends first, with its time."""
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06}Z"
    body = json.dumps({"timestamp": stamp, **members})
    access = f"X-Access-Token: {token}\r\n" if token else ""
    return (f"POST /init HTTP/1.1\r\nHost: vm\r\nConnection: close\r\n{access}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


class Machine:
    """One guest with a disk of its own, below `folder`.

    sandbox  the guest is one: as in production, the agent knows that it is
    number   of those that run at once: its ports are that much higher
    """

    def __init__(self, folder, image, memory=512, sandbox=False, number=0):
        self.folder = folder
        self.disk = os.path.join(folder, "disk")
        self.console_file = os.path.join(folder, "console")
        self.memory_file = os.path.join(folder, "memory")
        self.sandbox = sandbox
        self.port, self.server_port = PORT + number, SERVER_PORT + number
        self._memory = memory
        self._process = self._qmp = None
        self.started = 0.0
        subprocess.run(["cp", "--sparse=always", image, self.disk], check=True)
        self.exported = os.path.join(folder, "exported")
        if sandbox:
            os.mkdir(self.exported)
            self.put("/etc/envd.conf", "")

    def put(self, path, text):
        """Replace a file of the guest's disk, while it is off."""
        source = os.path.join(self.folder, "put")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(source, 0o644)
        done = subprocess.run(["debugfs", "-w", "-f", "/dev/stdin", self.disk],
                              input=f"rm {path}\nwrite {source} {path}\n", text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        assert "Allocated inode" in done.stdout, done.stdout

    def tell(self, **document):
        """Put into the metadata service what it answers from now on."""
        path = os.path.join(self.folder, "metadata")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.rename(path + ".new", path)

    def logged(self):
        """The lines that the log collector has received."""
        try:
            with open(os.path.join(self.folder, "collected"), encoding="utf-8") as file:
                return [json.loads(line) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def twin(self, folder, number):
        """Another machine with copies of this paused one's disk and memory."""
        other = Machine(folder, self.disk, self._memory, number=number)
        other.sandbox, other.exported = self.sandbox, self.exported
        subprocess.run(["cp", "--sparse=always", self.memory_file, other.memory_file], check=True)
        return other

    def _network(self):
        if not self.sandbox:
            guest, more = "10.0.2.15", ""
        else:
            guest = GUEST
            here = os.path.join(TOP, "tests", "vm")
            more = (f",net=169.254.0.0/16,host={GATEWAY},dns=169.254.0.23,dhcpstart=169.254.0.100"
                    f",guestfwd=tcp:{METADATA}:80-cmd:{here}/host {self.folder}"
                    f",guestfwd=tcp:{COLLECTOR}:80-cmd:{here}/host {self.folder}"
                    f",guestfwd=tcp:{EXPORTER}:2049-cmd:{here}/nfs {self.exported}")
        return (f"user,id=net,restrict=on,ipv6=off{more},"
                f"hostfwd=tcp:127.0.0.1:{self.port}-{guest}:49983,"
                f"hostfwd=tcp:127.0.0.1:{self.server_port}-{guest}:{SERVER_PORT}")

    def _start(self, *more):
        ours, theirs = socket.socketpair()
        with theirs:
            words = qemu(
                "-drive", f"file={self.disk},if=none,id=disk,format=raw,discard=unmap,cache=unsafe",
                "-device", "virtio-blk-pci,drive=disk",
                "-netdev", self._network(), "-device", "virtio-net-pci,netdev=net,romfile=",
                "-object", "rng-random,filename=/dev/urandom,id=rng",
                "-device", "virtio-rng-pci,rng=rng",
                "-chardev", f"file,id=console,append=on,path={self.console_file}",
                "-serial", "chardev:console",
                "-chardev", f"socket,id=qmp,fd={theirs.fileno()}",
                "-mon", "chardev=qmp,mode=control", *more,
                accel=os.environ.get("VM_ACCEL", "tcg"), memory=self._memory,
                command_line=SANDBOX_LINE if self.sandbox else "")
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
        self.await_head(make_request)
        return time.monotonic() - self.started

    def await_head(self, make_request, limit=0.05):
        """The same; gives the headers of that answer, in lower case.

        limit  seconds for the first attempt
        """
        deadline = time.monotonic() + BOOT_LIMIT
        while not (head := answer(make_request(), limit, self.port)).startswith(b"HTTP/1.1 204 "):
            assert self.running(), f"QEMU has ended:\n{self.console()}"
            assert time.monotonic() < deadline, f"no 204: {head}\n{self.console()}"
            time.sleep(0.005)
            limit = max(min(limit * 1.05, 2), limit)
        lines = head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines if line)}

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
