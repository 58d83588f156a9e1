"""What the first process makes of an image, also of one with nothing in it."""

import os
import stat

import pytest
import rpc
from conftest import eventually, healthy, run

CAP_SYS_RESOURCE = 24


def mounts(machine):
    with open(f"/proc/{machine.pid}/mounts", encoding="utf-8") as file:
        lines = [line.split() for line in file]
    return {line[1]: (line[2], set(line[3].split(","))) for line in lines}


def test_image_with_nothing_but_the_agent(machine, image):
    made = machine(binary="/envd", empty=True)
    assert run("/envd", "-version") == ("0.6.13\n", 0)
    assert run("/envd", "-nothing") == ("", 2)
    assert sorted(os.listdir(image)) == ["dev", "envd", "etc", "proc", "root", "run", "sys",
                                         "tmp"]
    assert made.read("/etc/passwd").startswith("root:x:0:0:root:/root:/bin/sh\n")
    assert made.read("/etc/group").startswith("root:x:0:\n")
    assert "127.0.0.1\tlocalhost\n" in made.read("/etc/hosts")
    assert stat.S_IMODE(os.stat(made.path("/root")).st_mode) == 0o700


def test_terminal_in_an_empty_image(machine):
    machine(binary="/envd", empty=True)
    messages, end = rpc.stream("Process/Start", {
        "process": {"cmd": "/envd", "args": ["-version"]},
        "pty": {"size": {"cols": 80, "rows": 24}}})
    assert end == {}
    output = b"".join(rpc.base64.b64decode(message["event"].get("data", {}).get("pty", ""))
                      for message in messages)
    assert output == b"0.6.13\r\n"


def test_mounts(machine):
    made = machine(empty=True, binary="/envd")
    found = mounts(made)
    expected = {"/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs", "/dev/pts": "devpts",
                "/dev/shm": "tmpfs", "/run": "tmpfs", "/tmp": "tmpfs"}
    assert {path: found[path][0] for path in expected} == expected
    assert "/sys/fs/cgroup" not in found  # -no-cgroups
    for path in expected:
        assert "nosuid" in found[path][1], path
        assert ("nodev" in found[path][1]) == (not path.startswith("/dev") or
                                               path == "/dev/shm"), path
    for path, mode in (("/tmp", 0o1777), ("/dev/shm", 0o1777), ("/run", 0o755), ("/dev", 0o755)):
        assert stat.S_IMODE(os.stat(made.path(path)).st_mode) == mode, path


def test_devices(machine):
    made = machine(empty=True, binary="/envd")
    numbers = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8),
               "urandom": (1, 9), "tty": (5, 0)}
    for name, number in numbers.items():
        found = os.stat(made.path(f"/dev/{name}"))
        assert stat.S_ISCHR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o666, name
        assert (os.major(found.st_rdev), os.minor(found.st_rdev)) == number
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
             "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
    for name, target in links.items():
        assert os.readlink(made.path(f"/dev/{name}")) == target


def test_loopback_is_up(machine):
    machine(empty=True, binary="/envd")
    assert healthy("127.0.0.1")
    assert healthy("::1")


def test_what_the_image_has_is_left_alone(machine, image):
    texts = {"/etc/passwd": "root:x:0:0::/:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n",
             "/etc/group": "root:x:0:\n", "/etc/hosts": "127.0.0.1 elsewhere\n",
             "/tmp/kept": "on disk\n"}
    for path, text in texts.items():
        os.makedirs(os.path.dirname(image + path), exist_ok=True)
        with open(image + path, "w", encoding="ascii") as file:
            file.write(text)
    made = machine(empty=True, binary="/envd")
    assert {path: made.read(path) for path in texts} == texts
    assert "/tmp" not in mounts(made)
    assert stat.S_IMODE(os.stat(made.path("/tmp")).st_mode) == 0o1777


def test_no_standard_descriptors(machine):
    made = machine(empty=True, binary="/envd", stdio=False)
    for pid in (made.pid, made.agent()):
        targets = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)}
        assert targets == {"/dev/null"}  # a container has no console
    assert run("/envd", "-version") == ("0.6.13\n", 0)


def test_one_process_goes_by_the_name_of_the_agent(machine):
    made = machine()

    def goes_by(pid, name):
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm, \
                open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            return name in (comm.read().strip(), os.path.basename(os.readlink(f"/proc/{pid}/exe")),
                            os.path.basename(cmdline.read().split(b"\0")[0].decode()))

    assert [pid for pid in made.processes() if goes_by(pid, "envd")] == [made.agent()]
    assert goes_by(made.pid, "init")


def test_host_name_of_the_image(machine, image):
    os.mkdir(f"{image}/etc")
    with open(f"{image}/etc/hostname", "w", encoding="ascii") as file:
        file.write("  sandbox \n")
    machine(hostname="(none)")
    assert run("uname", "-n") == ("sandbox\n", 0)


def test_host_name_that_is_known_already(machine, image):
    os.mkdir(f"{image}/etc")
    with open(f"{image}/etc/hostname", "w", encoding="ascii") as file:
        file.write("other\n")
    machine(hostname="instance")
    assert run("uname", "-n") == ("instance\n", 0)


def test_environment_of_commands(machine):
    made = machine()
    output, code = run("env")
    names = {line.split("=")[0] for line in output.splitlines()}
    assert code == 0
    assert names == {"E2B_SANDBOX", "HOME", "LOGNAME", "PATH", "PWD", "USER"}
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" in output
    assert run("sh", "-c", "ulimit -Sn; nice")[0] == "1024\n0\n"
    assert os.getpriority(os.PRIO_PROCESS, made.agent()) == -20


def test_what_only_the_privileged_give(machine):
    with open("/proc/self/status", encoding="ascii") as file:
        rights = int(next(line for line in file if line.startswith("CapEff:")).split()[1], 16)
    if not rights >> CAP_SYS_RESOURCE & 1:
        pytest.skip("CAP_SYS_RESOURCE is missing here")
    made = machine()
    assert run("sh", "-c", "ulimit -Hn")[0] == "524288\n"
    with open(f"/proc/{made.agent()}/oom_score_adj", encoding="ascii") as file:
        assert file.read() == "-1000\n"


def test_cgroups(machine, cgroup):
    made = machine("-start", "exec sleep 1000", cgroups=True, cgroup=cgroup)
    assert mounts(made)["/sys/fs/cgroup"][0] == "cgroup2"
    eventually(lambda: made.read("/sys/fs/cgroup/user/start/cgroup.procs") not in (None, ""))
    assert len(made.read("/sys/fs/cgroup/envd/cgroup.procs").split()) == 1
    assert run("sh", "-c", "cat /proc/self/cgroup")[0].splitlines()[-1] == "0::/user/p1"
