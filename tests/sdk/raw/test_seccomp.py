"""What the agent's threads and its commands may call."""

import base64
import glob
import json
import os
import resource
import shutil
import sys

import pytest

from conftest import OWN_PORT
from rpc import Run, run, shell, stream_refused
from wire import exchange

pytestmark = pytest.mark.ours

HARDENED = {"X-Envd-Profile": "hardened"}
unsanitized = pytest.mark.skipif(bool(os.environ["ENVD_SANITIZED"]),
                                 reason="builds with sanitizers run without filters")
NOBODY = {"Authorization": "Basic " + base64.b64encode(b"nobody:").decode()}


def output(script, headers=()):
    done = run(script, headers)
    return done.output["stdout"].decode(), done.output["stderr"].decode()


def status(text):
    """The lines of /proc/PID/status."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def thread_filters(pid):
    """The mode of each thread of a process."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        with open(path, encoding="utf-8") as file:
            found.append(int(status(file.read())["Seccomp"]))
    return sorted(found)


def own_threads(scratch):
    """Of the agent on OWN_PORT, once it has workers and has made a command."""
    assert exchange("GET", f"/files?path={scratch}/stderr&username=root", port=OWN_PORT).status == 200
    with Run(shell("echo $PPID; cat /proc/self/status"), port=OWN_PORT) as done:
        done.finish()
    agent, text = done.output["stdout"].decode().split("\n", 1)
    return thread_filters(agent), status(text)


# ---- an ordinary command -----------------------------------------------------

def test_a_command_has_no_filter():
    found = status(output("cat /proc/self/status")[0])
    assert (found["Seccomp"], found["NoNewPrivs"]) == ("0", "0")


def test_a_terminal_has_no_filter():
    done = run("grep -E 'Seccomp|NoNew' /proc/self/status", pty={"size": {"cols": 80, "rows": 24}})
    found = status(done.output["pty"].decode().replace("\r", ""))
    assert (found["Seccomp"], found["NoNewPrivs"]) == ("0", "0")


@pytest.fixture
def setuid_id(scratch):
    """A program that says whose rights it has got: root's, if that is allowed."""
    if os.geteuid() != 0 or os.statvfs(scratch).f_flag & os.ST_NOSUID:
        pytest.skip("no place for a program that is root's for everybody")
    path = f"{scratch}/id"
    shutil.copy(shutil.which("id"), path)
    os.chmod(path, 0o4755)
    return path


def test_a_command_becomes_root(setuid_id):
    assert output(f"{setuid_id} -u", NOBODY) == ("0\n", "")


@pytest.mark.skipif(not shutil.which("sudo"), reason="sudo is not installed")
def test_a_command_uses_sudo():
    assert output("sudo -n id -u") == ("0\n", "")


TRACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
pid = os.fork()
if pid == 0:
    if libc.ptrace(0, 0, None, None) != 0:
        os._exit(ctypes.get_errno())
    os.execv('/bin/true', ['true'])
status = os.waitpid(pid, 0)[1]
print('traced' if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))
if os.WIFSTOPPED(status):
    libc.ptrace(7, pid, None, None)
    os.waitpid(pid, 0)
"""


def test_a_command_traces():
    assert output(f'{sys.executable} -c "{TRACE}"') == ("traced\n", "")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_command_uses_strace():
    assert "exited with 0" in output("strace true")[1]


def test_a_command_makes_namespaces():
    assert output("unshare -U -r -m -n -p -f id -u") == ("0\n", "")


# ---- the agent ---------------------------------------------------------------

@unsanitized
def test_all_threads_but_one_are_filtered(agent_with, scratch):
    agent_with()
    modes, child = own_threads(scratch)
    assert modes[:2] == [0, 2] and set(modes[1:]) == {2} and len(modes) >= 3
    assert child["Seccomp"] == "0"


@unsanitized
def test_log_filters_too(agent_with, scratch):
    agent_with("-seccomp=log")
    modes, child = own_threads(scratch)
    assert modes[:2] == [0, 2] and set(modes[1:]) == {2}
    assert child["Seccomp"] == "0"


def test_off_filters_nothing(agent_with, scratch):
    agent_with("-seccomp=off")
    modes, child = own_threads(scratch)
    assert set(modes) == {0} and child["Seccomp"] == "0"


@unsanitized  # AddressSanitizer has a limit on cores of its own
def test_cores_are_for_commands(agent_with):
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    if hard == 0:
        pytest.skip("nobody may write cores here")
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        agent_with()
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    with Run(shell("grep core /proc/$PPID/limits /proc/self/limits"), port=OWN_PORT) as done:
        done.finish()
    agent, command = (line.split()[4:6] for line in done.output["stdout"].decode().splitlines())
    word = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    assert (agent, command) == (["0", word], [word, word])


# ---- hardened ----------------------------------------------------------------

def test_hardened_is_for_good():
    found = status(output("cat /proc/self/status", HARDENED)[0])
    assert (found["Seccomp"], found["NoNewPrivs"]) == ("2", "1")


def test_hardened_does_not_become_root(setuid_id):
    nobody = output("id -u", NOBODY)
    assert output(f"{setuid_id} -u", {**NOBODY, **HARDENED}) == nobody


@pytest.mark.parametrize("what", ["-U", "-m", "-n", "-i", "-u", "-p", "-C"])
def test_hardened_makes_no_namespaces(what):
    out, err = output(f"unshare {what} -f true || echo $?", HARDENED)
    assert out == "1\n" and "Operation not permitted" in err


def test_hardened_does_not_trace():
    assert output(f'{sys.executable} -c "{TRACE}"', HARDENED) == ("1\n", "")


@pytest.mark.parametrize("script", [
    "mount -t tmpfs none /mnt", "umount /proc", "chroot / true", "swapoff -a -v /nonexistent"])
def test_hardened_changes_no_machine(script):
    done = run(f"{script} || exit 9", HARDENED)
    assert done.end.get("exitCode") == 9 and done.output["stderr"] != b""


def test_hardened_runs_what_is_usual():
    script = ("import threading, subprocess, socket\n"
              "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
              "socket.socket().close()\n"
              "print(subprocess.run(['sh', '-c', 'echo child | cat'], capture_output=True).stdout)\n")
    assert output(f'{sys.executable} -u -c "{script}"', HARDENED) == ("thread\nb'child\\n'\n", "")


def test_hardened_terminal():
    done = run("tty -s && grep NoNewPrivs /proc/self/status", HARDENED,
               pty={"size": {"cols": 80, "rows": 24}})
    assert done.output["pty"] == b"NoNewPrivs:\t1\r\n"


@pytest.mark.parametrize("name", ["nosuch", "Hardened", "../hardened", ".", "a/b", "x" * 200])
def test_unknown_profile(name):
    text = stream_refused("Process/Start", shell("true"), "invalid_argument",
                          headers={"X-Envd-Profile": name})
    assert f'unknown profile "{name[:64]}"' in text


def test_empty_profile():
    stream_refused("Process/Start", shell("true"), "invalid_argument",
                   headers={"X-Envd-Profile": ""})


# ---- profiles from files -----------------------------------------------------

@pytest.fixture
def profile(agent_with, scratch):
    """Write a profile; an agent on OWN_PORT knows it."""
    os.mkdir(f"{scratch}/profiles", 0o755)
    agent_with("-seccomp-profiles", f"{scratch}/profiles")

    def write(name, content, mode=0o644):
        path = f"{scratch}/profiles/{name}.json"
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        os.chmod(path, mode)

    return write


def refusing(*names, **more):
    return {"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": list(names), "action": "SCMP_ACT_ERRNO", **more}]}


def under(name, script):
    with Run(shell(script), {"X-Envd-Profile": name}, port=OWN_PORT) as done:
        done.finish()
    return done.output["stdout"].decode(), done.output["stderr"].decode(), done.end


def refused(name, code, part):
    text = stream_refused("Process/Start", shell("true"), code,
                          headers={"X-Envd-Profile": name}, port=OWN_PORT)
    assert part in text


def test_profile_of_a_file(profile):
    profile("quiet", refusing("mkdir", "mkdirat", errnoRet=28))
    out, err, end = under("quiet", "grep -E 'Seccomp:|NoNew' /proc/self/status; mkdir /tmp/never")
    assert status(out) == {"NoNewPrivs": "1", "Seccomp": "2"}
    assert "No space left on device" in err and end["exitCode"] == 1


def test_profile_changes(profile):
    profile("quiet", refusing("mkdir", "mkdirat", errnoRet=28))
    assert "No space left" in under("quiet", "mkdir /tmp/never")[1]
    profile("quiet", refusing("mkdir", "mkdirat", errnoRet=122))
    assert "quota" in under("quiet", "mkdir /tmp/never")[1]
    refused("later", "invalid_argument", 'unknown profile "later"')
    profile("later", refusing("nosuch"))
    assert under("later", "echo on")[:2] == ("on\n", "")


def test_profile_that_lets_nothing_run(profile):
    profile("shut", refusing("execve"))
    _, err, end = under("shut", "true")
    assert end["exitCode"] == 126 and "operation not permitted" in err


def test_profile_that_kills(profile):
    profile("deadly", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]})
    assert under("deadly", "mkdir /tmp/never; echo $?")[0].endswith("159\n")


def test_docker_s_own_form(profile):
    allowed = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
               "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                           {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
               "syscalls": [{"names": every_name(), "action": "SCMP_ACT_ALLOW"},
                            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ALLOW",
                             "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}
    profile("docker", allowed)
    out, err, _ = under("docker", "echo fine; mkdir /tmp/never")
    assert out == "fine\n" and "Operation not permitted" in err


def every_name():
    """What a shell and mkdir need, and more; without the calls that make directories."""
    return """access arch_prctl brk capget close clone clone3 connect dup dup2 dup3 execve exit exit_group
        faccessat faccessat2 fadvise64 fcntl fstat fstatfs futex getcwd getdents64 getegid geteuid getgid
        getpgrp getpid getppid getrandom gettid getuid ioctl lseek lstat madvise mmap mprotect mremap munmap
        newfstatat open openat pipe pipe2 poll ppoll pread64 prctl prlimit64 read readlink rseq
        rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list set_tid_address setsid socket stat statfs
        statx sysinfo umask uname vfork wait4 write writev chown32 _llseek""".split()


@pytest.mark.parametrize("content, part", [
    ("{", "unexpected"), ({}, 'unsupported action: ""'),
    ({"defaultAction": "SCMP_ACT_NOTIFY"}, 'unsupported action: "SCMP_ACT_NOTIFY"'),
    ({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]},
     "no rules for this machine"),
    (" " * (128 * 1024 + 1), "file too large")])
def test_bad_profile(profile, content, part):
    profile("bad", content)
    refused("bad", "failed_precondition", part)
    refused("bad", "failed_precondition", "/profiles/bad.json: ")


def test_profile_of_others(profile, scratch):
    profile("open", refusing("nosuch"), 0o666)
    refused("open", "failed_precondition", "not a file that root alone can write")
    os.symlink("/etc/passwd", f"{scratch}/profiles/link.json")
    refused("link", "failed_precondition", "open")
    os.mkdir(f"{scratch}/profiles/folder.json")
    refused("folder", "failed_precondition", "not a file")
    os.mkfifo(f"{scratch}/profiles/fifo.json")
    refused("fifo", "failed_precondition", "not a file")
    profile("shut", refusing("nosuch"))
    os.chmod(f"{scratch}/profiles", 0o777)
    refused("shut", "failed_precondition", "not a file that root alone can write")
