"""Where options come from, and which counts."""

import os
import subprocess

import pytest

pytestmark = pytest.mark.ours


@pytest.fixture
def config(scratch):
    """Write the file; the flags that name it."""
    def write(text, mode=0o644):
        path = f"{scratch}/envd.conf"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return ["-config", path]

    return write


def run(*flags, **variables):
    return subprocess.run([os.environ["ENVD_BIN"], *flags], capture_output=True, text=True,
                          check=False, timeout=30, env={"PATH": "/usr/bin:/bin", **variables})


def dumped(*flags, **variables):
    """The options as they are after all that is said."""
    done = run("-dump-config", *flags, **variables)
    assert done.returncode == 0
    options = done.stdout.split("\n\n")[0]
    return dict(line.split(" = ", 1) for line in options.splitlines()), done.stderr


def test_defaults(config):
    options, errors = dumped()
    assert errors == ""
    assert options == {
        "cgroup-root": "/sys/fs/cgroup", "control-from": "auto", "file-access": "compat",
        "isnotfc": "false", "kill-scope": "tree", "linger-ms": "100", "listen-vsock": "0",
        "mmds-address": "169.254.169.254:80", "no-cgroups": "false", "no-forward": "false", "port": "49983", "replay": "resume",
        "ring-bytes": "1048576", "rings-bytes": "67108864",
        "seccomp": "off" if os.environ["ENVD_SANITIZED"] else "on",
        "seccomp-profiles": "/etc/envd/seccomp", "stall-ms": "10000",
        "start-restart": "on-failure", "stop-ms": "5000", "term-grace-ms": "0",
        "verbose": "false"}


@pytest.mark.parametrize("flag", ["-version", "-commit", "-dump-config"])
def test_what_cannot_be_printed_fails(flag):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([os.environ["ENVD_BIN"], flag], stdout=full, stderr=subprocess.PIPE,
                              check=False, timeout=30)
    assert (done.returncode, done.stderr) == (1, b"stdout: No space left on device\n")


def test_flag_over_environment_over_file(config):
    file = config("port = 1\nstall-ms = 11\nlinger-ms = 111\n")
    options, errors = dumped(*file, "-port", "3", ENVD_PORT="2", ENVD_STALL_MS="22")
    assert errors == ""
    assert (options["port"], options["stall-ms"], options["linger-ms"]) == ("3", "22", "111")


def test_forms_of_lines(config):
    options, errors = dumped(*config(
        "# a comment\n\n   \t\n  port=1  \r\nstart\t=  \"  a = b # c  \"\n"
        "isnotfc = true\nverbose=T\nkill-scope = leader\nreplay=none\n"
        "stop-ms = 7\nstop-ms = 8"))
    assert errors == ""
    assert (options["port"], options["start"], options["isnotfc"]) == ("1", "  a = b # c  ", "true")
    assert (options["verbose"], options["kill-scope"], options["replay"]) == ("true", "leader",
                                                                              "none")
    assert options["stop-ms"] == "8"


FAULTS = [("port", "not of the form key = value"), ("port = x", "invalid value"),
          ("port = 65536", "invalid value"), ("= 3", "no such option"),
          ("nothing = 3", "no such option"), ("version = true", "no such option"),
          ("init = true", "no such option"), ("config = /x", "no such option"),
          ("kill-scope = group", "invalid value"), ("start-restart =", "invalid value")]


@pytest.mark.parametrize("line,fault", FAULTS)
def test_faults_are_named_and_left_out(config, line, fault):
    file = config(f"stall-ms = 11\n{line}\nlinger-ms = 22\n")
    options, errors = dumped(*file)
    key = line.split("=")[0].strip()
    assert errors == f"{file[1]}:2: {key}: {fault}\n"
    assert (options["stall-ms"], options["linger-ms"], options["port"]) == ("11", "22", "49983")
    checked = run("-check-config", *file)
    assert (checked.returncode, checked.stdout, checked.stderr) == (1, "", errors)


def test_check(config):
    done = run("--check-config", *config("port = 1\n"), ENVD_STALL_MS="22")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("--check-config", *config("port = 1\n"), ENVD_STALL_MS="soon")
    assert (done.returncode, done.stderr) == (1, "ENVD_STALL_MS: invalid value\n")


def test_file_that_others_can_write(config):
    for mode in (0o664, 0o646):
        file = config("port = 1\n", mode)
        options, errors = dumped(*file)
        assert errors == f"{file[1]}: ignored: not a file that root alone can write\n"
        assert options["port"] == "49983"


def test_file_of_somebody_else(config):
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    file = config("port = 1\n")
    os.chown(file[1], 12345, 12345)
    assert "ignored" in dumped(*file)[1]


def test_files_that_are_none(scratch):
    assert dumped("-config", scratch)[1].endswith("not a file that root alone can write\n")
    missing = f"{scratch}/none"
    assert dumped("-config", missing)[1] == f"{missing}: no such file or directory\n"
    assert run("-check-config", "-config", missing).returncode == 1


def test_file_that_is_too_long(config):
    file = config("#" * 70000)
    assert dumped(*file)[1] == f"{file[1]}: file too large\n"


def test_flags_are_checked_first(config):
    done = run("-check-config", "-port", "x", *config("bad\n"))
    assert done.returncode == 2
    assert done.stderr.startswith('invalid value "x" for flag -port\n')
