"""Each flavour of the image: boot, pause, a killed agent, power off and on."""

import pytest

import conftest
import guest
import machine
import rpc
import wire

MANAGER = {"debian": "/usr/bin/busybox", "systemd": "/usr/lib/systemd/systemd",
           "micro": "/run/envd/init"}
POWER_OFF = {"debian": 12, "systemd": 38, "micro": 38}  # the signals that ask these for it
# A second agent, asked by bash alone; a read that nothing answers is its nap.
SHARE = """
exec 4<> <(:)
for round in 1 2 3 4 5; do
begun=$EPOCHREALTIME
/usr/bin/envd -isnotfc -no-cgroups -port 50123 >/dev/null 2>&1 &
until { exec 3<>/dev/tcp/127.0.0.1/50123; } 2>/dev/null; do read -r -t 0.001 -u 4; done
printf 'GET /health HTTP/1.1\\r\\nHost: vm\\r\\n\\r\\n' >&3
read -r line <&3
ended=$EPOCHREALTIME
kill $!
wait $!
case $line in *' 204 '*) echo $(( ${ended/./} - ${begun/./} )) ;; esac
done
"""


@pytest.fixture(scope="module", params=conftest.FLAVOURS)
def flavour(request):
    return request.param


@pytest.fixture(scope="module")
def vm(folder, flavour, figure):
    """Booted as the host does it: the first answer is that of /init."""
    with conftest.running(folder, flavour) as made:
        seconds = made.await_answer(machine.post_init)
        figure(f"{flavour}: boot to the first 204 of /init: {seconds:.2f} s, "
               f"of /health: {made.await_answer():.2f} s")
        yield made


def test_init_system(vm, flavour):
    assert wire.exchange("GET", "/health").status == 204
    assert guest.sh("readlink /proc/1/exe").strip() == MANAGER[flavour]
    mounts = {line.split()[1]: line.split()[2] for line in guest.sh("cat /proc/mounts").splitlines()}
    assert {path: mounts.get(path) for path in ("/proc", "/sys", "/dev/pts", "/dev/shm", "/run",
                                                "/sys/fs/cgroup")} == {
        "/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs", "/run": "tmpfs",
        "/sys/fs/cgroup": "cgroup2"}
    assert {"cpu", "memory", "io", "pids"} <= set(guest.sh("cat /sys/fs/cgroup/cgroup.controllers").split())


def test_command_in_its_cgroup(vm):
    cgroup = guest.sh("cat /proc/self/cgroup")
    assert cgroup.startswith("0::/user/p"), cgroup


def test_the_users(vm):
    assert guest.sh("id -un; cd; pwd") == "root\n/root\n"
    as_user = {"Authorization": "Basic dXNlcjo="}
    assert guest.sh("id -un; pwd; echo $HOME", headers=as_user, cwd="") == "user\n/home/user\n/home/user\n"


def test_agent_in_figures(vm, flavour, figure):
    pid = guest.agent_pid()
    resident, proportional, private = guest.memory(pid)
    rounds = sorted(int(each) for each in guest.sh('exec bash -c "$SHARE"', envs={"SHARE": SHARE}).split())
    assert len(rounds) == 5
    figure(f"{flavour}: agent, exec to the first 204 inside the guest, best of 5: {rounds[0] / 1000:.1f} ms; "
           f"memory: RSS {resident} KiB, PSS {proportional} KiB, private {private} KiB")
    assert proportional < 4096


def test_pause_and_resume(vm, flavour, figure):
    counter = guest.Lines("counter", rpc.shell("n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done"))
    counter.until(b"3\n")
    vm.pause()
    counter.cut_off()
    vm.resume()
    seconds = vm.await_answer(machine.post_init)
    figure(f"{flavour}: resume to the first 204 of /init: {seconds:.2f} s")
    counter.reconnect()
    for _ in range(5):
        counter.next()
    rpc.must("Process/SendSignal", {"process": {"tag": "counter"}, "signal": "SIGNAL_SIGKILL"})
    counter.finish()
    numbers = counter.received.split()
    assert numbers == [str(n).encode() for n in range(1, len(numbers) + 1)]


def test_killed_agent_comes_back(vm):
    """Again and again, with no limit on how often."""
    for _ in range(6):
        pid = guest.agent_pid()
        with rpc.start(rpc.shell(f"kill -KILL {pid}; exec sleep 300")) as witness, \
                pytest.raises((EOFError, ConnectionError)):
            witness.finish()
        vm.await_answer()
        assert guest.agent_pid() != pid


def test_power_off_and_on(vm, flavour):
    guest.sh("mkdir -p /root/kept; echo unsynced >/root/kept/file")
    assert guest.upload("/root/kept/upload", b"x" * 100_000) == 200
    with rpc.start(rpc.shell(f"kill -{POWER_OFF[flavour]} 1")):
        vm.await_power_off()
    vm.boot()
    vm.await_answer(machine.post_init)
    assert guest.download("/root/kept/file") == b"unsynced\n"
    assert guest.download("/root/kept/upload") == b"x" * 100_000


def test_power_cut(vm):
    guest.sh("echo synced >/root/synced; sync; echo may be lost >/root/lost")
    vm.power_off()
    vm.boot()
    vm.await_answer(machine.post_init)
    assert guest.download("/root/synced") == b"synced\n"
