"""What the host does with a sandbox: start it, pause it, resume it, copy it.

As in production the agent looks for the metadata service, and every resume is
followed by /init.
"""

import hashlib
import json
import os
import tempfile
import threading
import time

import pytest

import guest
import machine
import rpc
import watching
import wire

CYCLES = 10
WATCHED = "/tmp/watched"
COUNT = f"n=0; while :; do n=$((n+1)); : >{WATCHED}/$n; echo $n; sleep 0.02; done"
CLOCK = "while read -r line; do echo $EPOCHREALTIME; done"
SERVE = (f"mkdir -p /tmp/www; echo served >/tmp/www/index.html; "
         f"exec busybox httpd -f -p 127.0.0.1:{machine.SERVER_PORT} -h /tmp/www")
ESTABLISHED = ("awk '$2 ~ /:C33F$/ && $4 == \"01\"' /proc/net/tcp /proc/net/tcp6 | wc -l")
ROOT = {"Authorization": "Basic cm9vdDo="}
PAUSED = 1.5  # seconds that the machine stands still at least


def init(made, lifecycle, limit=0.05, **members):
    """The host's call after a resume; gives its headers."""
    return made.await_head(lambda: machine.post_init(
        lifecycleID=lifecycle, hyperloopIP="192.0.2.1", **members), limit)


def paused(made):
    made.pause()
    time.sleep(PAUSED)
    made.resume()


class Clock:
    """The guest's time, told by a program that runs all along."""

    def __init__(self):
        self.lines = guest.Lines("clock", {"process": {"cmd": "/bin/bash", "args": ["-c", CLOCK]},
                                           "stdin": True})

    def behind(self):
        """Seconds by which the guest is behind the host, and the doubt in it."""
        best = None
        for _ in range(5):
            since, asked = len(self.lines.received), time.time()
            rpc.must("Process/SendInput", {"process": {"tag": "clock"},
                                           "input": {"stdin": rpc.data("\n")}})
            self.lines.until(b"\n", since)
            heard = time.time()
            told = float(bytes(self.lines.received[since:]).split()[0])
            doubt = (heard - asked) / 2
            if best is None or doubt < best[1]:
                best = ((asked + heard) / 2 - told, doubt)
        return best


def served(made):
    """Whether what listens on the guest's loopback is reached from outside."""
    deadline = time.monotonic() + guest.PATIENCE
    while time.monotonic() < deadline:
        try:
            if wire.exchange("GET", "/", port=made.server_port).body == b"served\n":
                return True
        except (OSError, EOFError):
            time.sleep(0.05)
    return False


def test_ten_resumes_with_init(sandbox, figure):
    guest.sh(f"mkdir {WATCHED}")
    assert init(sandbox, "life-0")["x-envd-version"] == "0.6.13"
    watcher = watching.Polled(WATCHED)
    counter = guest.Lines("counter", rpc.shell(COUNT))
    clock = Clock()
    assert int(guest.sh("cat /run/e2b/.E2B_GENERATION 2>/dev/null || echo 0")) == 0
    guest.Lines("server", rpc.shell(SERVE))
    assert served(sandbox)
    agent, listed = guest.agent_pid(), sorted(rpc.pids())
    for cycle in range(1, CYCLES + 1):
        counter.next()
        ghosts = [wire.Connection(sandbox.port) for _ in range(20)]
        for ghost in ghosts:
            ghost.send(machine.get_health().replace(b"Connection: close\r\n", b""))
            assert ghost.head().status == 204
        paused(sandbox)
        for ghost in ghosts:
            ghost.close()
        for followed in (counter, clock.lines):
            followed.cut_off()
        headers = init(sandbox, f"life-{cycle}")
        assert guest.agent_pid() == agent
        assert sorted(rpc.pids()) == listed
        # This command's own connection is left, and none of those before.
        assert int(guest.sh(ESTABLISHED)) == 1
        for followed in (counter, clock.lines):
            followed.reconnect()
        behind, doubt = clock.behind()
        assert abs(behind) < 1 + doubt
        figure(f"resume {cycle}: clock {behind * 1000:+.0f} ms (to {doubt * 1000:.0f} ms), "
               f"/init in ms: {headers['x-agent-init-ms']}")
        assert served(sandbox)
        assert guest.sh("cat /run/e2b/.E2B_GENERATION").split() == [str(cycle), f"life-{cycle}"]
    rpc.must("Process/SendSignal", {"process": {"tag": "counter"}, "signal": "SIGNAL_SIGKILL"})
    counter.finish()
    numbers = counter.received.split()
    assert numbers == [str(n).encode() for n in range(1, len(numbers) + 1)]
    made = [int(event["name"]) for event in watcher.poll()
            if event["type"] == "EVENT_TYPE_CREATE"]
    assert made == list(range(1, len(made) + 1)) and len(made) - len(numbers) in (0, 1)
    resumed = [line for line in sandbox.logged() if line["message"] == "resumed"]
    assert len({line["generation"] for line in resumed}) >= CYCLES - 1


def test_clock_set_by_another(sandbox):
    """As a time service does after a pause that no host has told us of."""
    init(sandbox, "life-0")
    guest.sh("date -s @$(( $(date +%s) + 7200 ))", headers=ROOT)
    deadline = time.monotonic() + guest.PATIENCE
    while not (told := [line for line in sandbox.logged()
                        if line["message"] == "The clock was set"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(told) == 1 and abs(told[0]["moved_ms"] - 7200_000) < 5000
    assert init(sandbox, "life-0")
    assert abs(int(guest.sh("date +%s")) - time.time()) < 5


def test_same_lifecycle_keeps_connections(sandbox):
    """A checkpoint in place: the same run goes on after it."""
    init(sandbox, "life-0")
    with wire.Connection(sandbox.port) as kept:
        for _ in range(3):
            sandbox.stop_and_go()
            init(sandbox, "life-0")
            kept.send(machine.get_health().replace(b"Connection: close\r\n", b""))
            assert kept.head().status == 204


def background(name, message, headers=()):
    """A start whose answer nobody waits for here."""
    followed = []

    def run():
        try:
            followed.append(rpc.start(message, headers))
        except (OSError, EOFError, AssertionError) as error:
            followed.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    return thread, followed


def ticks():
    return int(guest.sh("wc -l </tmp/ticks", tag="_system"))


def test_frozen_across_a_pause(sandbox, figure):
    init(sandbox, "life-0")
    ticking = guest.Lines("ticking", rpc.shell("while :; do echo x >>/tmp/ticks; sleep 0.02; done"))
    killed = guest.Lines("killed", rpc.shell("sleep 1000"))
    guest.sh("until [ -s /tmp/ticks ]; do sleep 0.02; done")
    asked = wire.exchange("POST", "/freeze?mode=hierarchy&maxWaitMs=5000&maxCgroups=512")
    result = json.loads(asked.body)
    assert asked.status == 200 and result["mode"] == "hierarchy"
    assert result["frozen"] == result["requested"] > 0
    assert result["notFrozen"] == result["failed"] == 0
    figure(f"freeze: {result['frozen']} cgroups, sweep {result['sweepMs']} ms, "
           f"wait {result['waitMs']} ms")
    stood = ticks()

    # A start while frozen waits for the thaw, and holds up nobody.
    thread, started = background("start", rpc.shell("echo begun >/root/begun"))
    rpc.must("Process/SendSignal", {"process": {"tag": "killed"}, "signal": "SIGNAL_SIGKILL"})
    assert killed.finish()["status"] == "signal: killed"
    assert guest.sh("echo still here", tag="_system") == "still here\n"
    assert wire.exchange("GET", "/health").status == 204
    paused(sandbox)
    thread.join(guest.PATIENCE)
    assert not thread.is_alive() and started
    ticking.cut_off()
    assert sandbox.await_answer() and ticks() == stood

    # Only the attempt that finds the freeze tells of it: not one given up before.
    audit = json.loads(init(sandbox, "life-1", guest.PATIENCE)["x-envd-freeze-audit"])
    assert audit["frozen"] > 0 and not audit["violations"] and not audit["truncated"]
    guest.sh(f"until [ $(wc -l </tmp/ticks) -gt {stood} ]; do sleep 0.02; done")
    guest.sh("until [ -e /root/begun ]; do sleep 0.02; done")
    # Thawed already: nothing to tell of.
    assert "x-envd-freeze-audit" not in init(sandbox, "life-1")


def test_file_system_only_pause_and_cold_boot(sandbox):
    init(sandbox, "life-0")
    assert guest.upload("/root/before", b"written before") == 200
    assert wire.exchange("POST", "/freeze?maxWaitMs=5000").status == 200
    assert wire.exchange("POST", "/fsfreeze").status == 204
    assert wire.exchange("POST", "/fsfreeze").status == 204
    thread = threading.Thread(target=lambda: held.append(guest.upload("/root/held", b"later")))
    held = []
    thread.start()
    for _ in range(10):
        assert wire.exchange("GET", "/health").status == 204
    assert guest.download("/root/before") == b"written before"
    assert not held
    # Rolled back: what had to wait completes.
    assert wire.exchange("POST", "/fsthaw").status == 204
    assert wire.exchange("POST", "/unfreeze").status == 204
    thread.join(guest.PATIENCE)
    assert held == [200] and guest.download("/root/held") == b"later"

    assert guest.upload("/root/last", b"written last") == 200
    assert wire.exchange("POST", "/freeze?maxWaitMs=5000").status == 200
    assert wire.exchange("POST", "/fsfreeze").status == 204
    sandbox.power_off()
    sandbox.boot()
    init(sandbox, "life-1", defaultUser="user", defaultWorkdir="/home/user")
    assert guest.download("/root/last") == b"written last"
    with rpc.start({"process": {"cmd": "/bin/sh", "args": ["-c", "id -un; pwd"]}}) as told:
        told.finish()
    assert told.output["stdout"] == b"user\n/home/user\n"
    assert "recovery" not in guest.sh("dmesg", headers=ROOT).lower()


def test_two_from_one_snapshot(sandbox, folder):
    init(sandbox, "life-0")
    guest.sh("echo same >/dev/shm/same")
    sandbox.pause()
    other = sandbox.twin(tempfile.mkdtemp(dir=folder), number=1)
    try:
        told = {}
        for number, made in ((1, sandbox), (2, other)):
            made.tell(instanceID=f"sandbox-{number}", envID="template-1", address="")
            made.resume()
            init(made, f"life-of-{number}")
        for made in (sandbox, other):
            run = rpc.start(rpc.shell(
                "cat /dev/shm/same; head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \\n'; echo; "
                "cat /proc/sys/kernel/random/uuid /run/e2b/.E2B_GENERATION; echo; "
                "echo $E2B_SANDBOX_ID; cat /run/e2b/.E2B_SANDBOX_ID"), port=made.port)
            run.finish()
            told[made] = run.output["stdout"].decode().split()
        one, two = told[sandbox], told[other]
        assert one[0] == two[0] == "same"
        assert len(one) == len(two)
        for mine, yours in zip(one[1:-2], two[1:-2]):
            assert mine != yours or mine.isdigit()  # the counter of generations is the same
        assert one[1] != two[1] and one[2] != two[2]
        assert one[3:-2] != two[3:-2]
        assert one[-2:] == ["sandbox-1"] * 2 and two[-2:] == ["sandbox-2"] * 2
    finally:
        other.remove()


def test_metadata_decides_who_may_set_the_token(sandbox):
    digest = hashlib.sha512(b"the token").hexdigest()
    sandbox.tell(instanceID="sandbox-1", envID="template-1", accessTokenHash=digest,
                 address=f"http://{machine.COLLECTOR}/logs")
    refused = machine.answer(machine.post_init(accessToken="another"), guest.PATIENCE)
    assert refused.startswith(b"HTTP/1.1 401 "), refused
    assert init(sandbox, "life-0", accessToken="the token")
    assert wire.exchange("GET", "/envs").status == 401
    deadline = time.monotonic() + guest.PATIENCE
    told = {}
    while "E2B_EVENTS_ADDRESS" not in told:  # it is set when /etc/hosts is written
        assert time.monotonic() < deadline
        told = json.loads(wire.exchange("GET", "/envs", {"X-Access-Token": "the token"}).body)
    assert told == {
        "E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "sandbox-1", "E2B_TEMPLATE_ID": "template-1",
        "E2B_EVENTS_ADDRESS": "http://192.0.2.1"}
    lines = sandbox.logged()
    assert lines and all(line["instanceID"] == "sandbox-1" and line["envID"] == "template-1"
                         for line in lines)
    assert "the token" not in json.dumps(lines)


def test_control_only_from_outside(sandbox):
    """The guest itself is not its host."""
    ask = ("exec 3<>/dev/tcp/{}/49983; printf 'POST /{} HTTP/1.1\\r\\nHost: a\\r\\n"
           "Content-Length: 0\\r\\nConnection: close\\r\\n\\r\\n' >&3; head -n 1 <&3")
    for address in ("127.0.0.1", machine.GUEST):
        for route in ("init", "freeze", "unfreeze", "fsfreeze", "fsthaw", "collapse", "upgrade"):
            run = rpc.start({"process": {"cmd": "/bin/bash",
                                         "args": ["-c", ask.format(address, route)]}})
            run.finish()
            assert b" 404 " in run.output["stdout"], (address, route, run.output)
    assert init(sandbox, "life-0")


VSOCK = r"""
use Socket; use strict;
socket(my $s, 40, SOCK_STREAM, 0) or die "socket: $!\n";
my $to = pack("S S L L C x3", 40, 0, 49984, $ARGV[0]);
connect($s, $to) or do { print "refused\n"; exit };
syswrite($s, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
my $got = ""; 1 while sysread($s, $got, 4096, length $got);
print length $got ? $got : "closed\n";
"""


def test_vsock_from_inside_is_refused(folder):
    """The transport within the guest: its own id is not the host's."""
    import conftest
    with conftest.running(folder, "debian", sandbox=True) as made:
        made.tell(instanceID="sandbox-1", envID="template-1", address="")
        made.power_off()
        made.put("/etc/envd.conf", "listen-vsock = 49984\n")
        made.put("/root/vsock.pl", VSOCK)
        made.boot()
        made.await_answer()
        assert guest.sh("grep -c vsock /proc/modules") != "0\n"
        assert guest.sh("perl /root/vsock.pl 1") in ("closed\n", "refused\n")


def test_limits_of_the_workload(sandbox):
    """Memory and processes: what commands may use leaves something for the agent."""
    total, reserve = 0, 0
    for line in guest.sh("cat /proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) * 1024
    reserve = min(total // 8, 128 << 20)
    for name, weight, io in (("user", 50, 10), ("ptys", 200, 50)):
        values = guest.sh(f"cd /sys/fs/cgroup/{name}; cat cpu.weight memory.max memory.high pids.max; "
                          "cat io.weight").split()
        assert values[0] == str(weight)
        assert abs(int(values[1]) - (total - reserve)) < 4096 and values[1] == values[2]
        assert values[3].isdigit()
        assert values[4:] == ["default", str(io)]
    assert guest.sh("cat /sys/fs/cgroup/socats/memory.min").strip() == "5242880"
    eaten = rpc.start({"process": {"cmd": "/usr/bin/perl", "args": [
        "-e", "my @a; push @a, 'x' x 1048576 while 1"]}})
    assert eaten.finish()["status"] == "signal: killed"
    guest.sh("echo 8388608 >/sys/fs/cgroup/user/memory.max", tag="_system")
    small = rpc.start({"process": {"cmd": "/usr/bin/perl", "args": ["-e", "my $x = 'x' x 33554432"]}})
    assert small.finish()["status"] == "signal: killed"
    guest.sh(f"echo {total - reserve} >/sys/fs/cgroup/user/memory.max", tag="_system")
    forked = rpc.start(rpc.shell("i=0; while [ $i -lt 200000 ]; do sleep 100 & i=$((i+1)); done"))
    # The agent starts commands of its own cgroup whatever the others do.
    assert guest.sh("echo here", tag="_system") == "here\n"
    rpc.must("Process/SendSignal", {"process": {"pid": forked.pid}, "signal": "SIGNAL_SIGKILL"})
    forked.finish()
    assert guest.sh("echo again") == "again\n"


def mounted(made):
    """How often the volume was mounted, by its server."""
    with open(made.exported + ".mounted", encoding="ascii") as file:
        return len(file.readlines())


def test_volumes(sandbox):
    """NFS, mounted by the kernel; mounted anew when the host says it is another run."""
    with open(os.path.join(sandbox.exported, "file"), "w", encoding="ascii") as file:
        file.write("from the host")
    volumes = [{"nfs_target": f"{machine.EXPORTER}:/exported", "path": "/mnt/volume"}]
    init(sandbox, "life-0", volumeMounts=volumes)
    mounts = guest.sh("grep ' /mnt/volume ' /proc/mounts").splitlines()
    assert len(mounts) == 1 and mounts[0].split()[2] == "nfs"
    options = set(mounts[0].split()[3].split(","))
    assert {"sync", "hard", "vers=3", "noac", "lookupcache=none", "proto=tcp"} <= options
    assert guest.sh("cat /mnt/volume/file") == "from the host"
    guest.sh("echo from the guest >/mnt/volume/written")
    with open(os.path.join(sandbox.exported, "written"), encoding="ascii") as file:
        assert file.read() == "from the guest\n"

    assert mounted(sandbox) == 1
    init(sandbox, "life-0", volumeMounts=volumes)
    assert mounted(sandbox) == 1
    paused(sandbox)
    init(sandbox, "life-1", volumeMounts=volumes)
    assert mounted(sandbox) == 2
    assert len(guest.sh("grep ' /mnt/volume ' /proc/mounts").splitlines()) == 1
    assert guest.sh("cat /mnt/volume/file") == "from the host"


def test_two_hundred_attempts_while_a_volume_is_slow(sandbox):
    """The host gives up on each and comes again: one mount, and the thaw before the answer."""
    init(sandbox, "life-0")
    ticking = guest.Lines("ticking", rpc.shell("while :; do echo; sleep 0.02; done"))
    ticking.until(b"\n")
    assert wire.exchange("POST", "/freeze?maxWaitMs=5000").status == 200
    with open(sandbox.exported + ".slow", "w", encoding="ascii") as file:
        file.write("8")
    volumes = [{"nfs_target": f"{machine.EXPORTER}:/exported", "path": "/mnt/volume"}]

    def attempt(limit):
        return machine.answer(machine.post_init(lifecycleID="life-0", volumeMounts=volumes), limit)

    given_up = 0
    for _ in range(200):
        given_up += attempt(0.02) == b""
    assert given_up == 200
    assert attempt(guest.PATIENCE).startswith(b"HTTP/1.1 204 ")
    assert mounted(sandbox) == 1
    assert wire.exchange("GET", "/health").status == 204
    ticking.until(b"\n", len(ticking.received))
    ticking.until(b"\n", len(ticking.received))
