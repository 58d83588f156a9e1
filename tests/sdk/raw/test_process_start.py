"""Start: what is refused, where and how a command runs."""

import os
import pwd

import pytest

from rpc import pids, run, shell, start, stream, stream_refused
from test_gates import basic

SPAWN = "fork/exec /bin/sh: "


def in_folder(path):
    return {"process": {"cmd": "true", "cwd": path}}


def test_missing_folder():
    stream_refused("Process/Start", in_folder("/no/such"), "invalid_argument",
                   "cwd '/no/such' does not exist")


def test_missing_relative_folder():
    stream_refused("Process/Start", in_folder("no-such/../folder"), "invalid_argument",
                   "cwd '/root/folder' does not exist")


def test_folder_of_another_home():
    stream_refused("Process/Start", in_folder("~nobody"), "invalid_argument",
                   "failed to expand path '' for user 'root': cannot expand user-specific home dir")


def test_folder_is_a_file():
    stream_refused("Process/Start", {"process": {"cmd": "ls", "args": ["-l"], "cwd": "/etc/passwd"}},
                   "invalid_argument", f"error starting process 'ls -l': {SPAWN}not a directory")


def test_folder_that_the_user_may_not_enter(scratch):
    os.chmod(scratch, 0o700)
    stream_refused("Process/Start", in_folder(scratch), "invalid_argument",
                   f"error starting process 'true': {SPAWN}permission denied", basic("nobody"))


def test_terminal_in_a_folder_that_is_a_file():
    message = {"process": {"cmd": "ls", "cwd": "/etc/passwd"}, "pty": {"size": {"cols": 70000, "rows": 3}}}
    stream_refused("Process/Start", message, "invalid_argument",
                   "error starting pty with command 'ls' in dir '/etc/passwd' with '70000' cols and "
                   f"'3' rows: {SPAWN}not a directory")


@pytest.mark.parametrize("members, cause", [
    ({"args": ["a\0b"]}, SPAWN + "invalid argument"),
    ({"envs": {"A": "a\0b"}}, "exec: environment variable contains NUL"),
    ({"envs": {"A": "x" * 200_000}}, SPAWN + "argument list too long"),
    ({"args": ["x" * 200_000]}, SPAWN + "argument list too long"),
])
def test_arguments_the_kernel_refuses(members, cause):
    text = stream_refused("Process/Start", {"process": {"cmd": "true", **members}}, "invalid_argument")
    assert text.startswith("error starting process 'true") and text.endswith(": " + cause)
    assert pids() == []


@pytest.mark.parametrize("cmd, code", [
    ("no-such-command", 127), ("/no/such/command", 127), ("./no-such", 127), ("/etc/passwd", 126),
    ("/etc", 126)])
def test_command_that_cannot_run_is_no_start_error(cmd, code):
    with start({"process": {"cmd": cmd}}) as done:
        end = done.finish()
    assert (end["exitCode"], end["status"], done.final) == (code, f"exit status {code}", {})
    assert cmd in done.output["stderr"].decode()


@pytest.mark.parametrize("message", [{}, {"process": {}}, {"process": {"cmd": ""}}])
def test_no_command_at_all(message):
    messages, final = stream("Process/Start", message)
    assert "start" in messages[0]["event"] and "end" in messages[-1]["event"]
    assert final == {}


def test_pid_of_the_event_is_the_pid_of_the_command():
    done = run("echo $$")
    assert int(done.output["stdout"]) == done.pid


def test_scheduling():
    """Nice 0, oom_score_adj 100, best-effort I/O at level 4."""
    done = run("cat /proc/self/oom_score_adj; cut -d' ' -f19 /proc/self/stat; ionice -p $$")
    assert done.output["stdout"].decode().split("\n")[:3] == ["100", "0", "best-effort: prio 4"]


def test_only_the_standard_descriptors_are_inherited():
    assert run("exec ls /proc/self/fd").output["stdout"] == b"0\n1\n2\n3\n"


def test_signals_are_at_their_defaults():
    done = run("grep -E '^Sig(Ign|Blk)' /proc/self/status")
    assert [int(line.split()[1], 16) for line in done.output["stdout"].decode().splitlines()] == [0, 0]


def test_umask():
    assert run("umask").output["stdout"] == b"0022\n"


@pytest.mark.parametrize("path, expected", [
    ("/usr", "/usr"), ("/usr/../tmp", "/tmp"), ("", "/root"), ("~", "/root"), ("~/", "/root"), (".", "/root"),
    ("..", "/")])
def test_folder(path, expected):
    assert run("pwd -P", cwd=path).output["stdout"].decode() == expected + "\n"


def test_folder_in_home(home_folder):
    for path in (home_folder, f"~/{home_folder}", f"./x/../{home_folder}"):
        assert run("pwd -P", cwd=path).output["stdout"].decode() == f"/root/{home_folder}\n"


def environment(envs, headers=()):
    with start({"process": {"cmd": "env", "args": ["-0"], "envs": envs, "cwd": "/"}}, headers) as done:
        done.finish()
    return dict(item.split("=", 1) for item in done.output["stdout"].decode().split("\0")[:-1])


def test_environment_is_complete_and_small():
    found = environment({})
    assert {"PATH", "HOME", "USER", "LOGNAME", "E2B_SANDBOX", "PWD"} <= set(found)
    assert set(found) <= {"PATH", "HOME", "USER", "LOGNAME", "E2B_SANDBOX", "PWD", "OLDPWD", "SHLVL", "_"}
    assert (found["HOME"], found["USER"], found["LOGNAME"]) == ("/root", "root", "root")
    assert (found["E2B_SANDBOX"], found["PWD"]) == ("false", "/")


def test_environment_of_a_user():
    found, user = environment({}, basic("nobody")), pwd.getpwnam("nobody")
    assert (found["HOME"], found["USER"], found["LOGNAME"]) == (user.pw_dir, "nobody", "nobody")


def test_environment_of_the_request_wins():
    found = environment({"HOME": "/h", "E2B_SANDBOX": "mine", "NEW": "ü ✓\n", "EMPTY": ""})
    assert (found["HOME"], found["E2B_SANDBOX"], found["NEW"], found["EMPTY"]) == ("/h", "mine", "ü ✓\n", "")


def test_path_of_the_request_finds_the_command(scratch):
    with open(f"{scratch}/unusual-name", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\necho found\n")
    os.chmod(f"{scratch}/unusual-name", 0o755)
    message = {"process": {"cmd": "unusual-name", "envs": {"PATH": f"{scratch}:/usr/bin:/bin"}}}
    with start(message) as done:
        done.finish()
    assert done.output["stdout"] == b"found\n"


def test_name_with_a_slash_is_taken_from_the_folder(scratch):
    with open(f"{scratch}/program", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\npwd -P\n")
    os.chmod(f"{scratch}/program", 0o755)
    with start({"process": {"cmd": "./program", "cwd": scratch}}) as done:
        done.finish()
    assert done.output["stdout"].decode() == scratch + "\n"


def test_script_without_interpreter_line(scratch):
    with open(f"{scratch}/script", "w", encoding="ascii") as file:
        file.write("echo by the shell: $1\n")
    os.chmod(f"{scratch}/script", 0o755)
    with start({"process": {"cmd": f"{scratch}/script", "args": ["a b"]}}) as done:
        done.finish()
    assert done.output["stdout"] == b"by the shell: a b\n"


def test_ids_of_a_user():
    user = pwd.getpwnam("nobody")
    done = run("id -u; id -g; id -G; id -ru; id -rg", basic("nobody"))
    uid, gid = str(user.pw_uid), str(user.pw_gid)
    assert done.output["stdout"].decode().split() == [uid, gid, gid, uid, gid]


@pytest.mark.parametrize("stdin, target", [(False, "/dev/null"), (True, "pipe:"), (None, "pipe:")])
def test_kind_of_stdin(stdin, target):
    message = shell("readlink /proc/self/fd/0")
    if stdin is not None:
        message["stdin"] = stdin
    with start(message) as done:
        done.finish()
    assert done.output["stdout"].decode().startswith(target)


def test_output_of_both_streams_is_kept_apart():
    done = run("echo out; echo err >&2; echo out; echo err >&2")
    assert done.output == {"stdout": b"out\nout\n", "stderr": b"err\nerr\n", "pty": b""}


@pytest.mark.ours
def test_command_that_begins_with_a_dash():
    with start({"process": {"cmd": "-x"}}) as done:
        end = done.finish()
    assert end["exitCode"] == 127 and b"-x" in done.output["stderr"]


@pytest.mark.ours
def test_long_command_lines_are_cut_in_errors():
    message = {"process": {"cmd": "true", "args": ["x" * 4_000_000]}}
    text = stream_refused("Process/Start", message, "invalid_argument")
    assert text.startswith("error starting process 'true xxx")
    assert len(text) < 100_000


@pytest.mark.ours
def test_tag_with_nul_is_refused():
    stream_refused("Process/Start", {"process": {"cmd": "true"}, "tag": "a\0b"},
                   "invalid_argument", "the tag holds a NUL byte")


@pytest.mark.ours
def test_every_command_has_a_session_of_its_own():
    done = run("cut -d' ' -f5,6 /proc/$$/stat")
    assert done.output["stdout"].decode().split() == [str(done.pid)] * 2
    assert run("kill -TERM 0").end["status"] == "signal: terminated"
    assert run("echo alive").output["stdout"] == b"alive\n"
