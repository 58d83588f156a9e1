"""What a sandbox is for, from outside: the official SDKs, terminals, watching."""

import os
import subprocess
import sys

import pytest

import guest
import machine
import rpc
import watching


@pytest.mark.parametrize("suite", ["python", "js"])
def test_official_sdk(debian, figure, suite):
    done = subprocess.run([sys.executable, os.path.join(guest.SDK, "run"),
                           "--agent", f"http://127.0.0.1:{machine.PORT}", suite],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    figure(f"SDK suite, {done.stdout.splitlines()[-2]}")
    assert debian.running()


def test_terminal_of_a_user(debian):
    message = {"process": {"cmd": "/bin/bash", "args": ["-i", "-l"], "envs": {"PS1": "$ "}},
               "pty": {"size": {"cols": 90, "rows": 30}}, "tag": "terminal"}
    with rpc.start(message, {"Authorization": "Basic dXNlcjo="}) as shell:
        selector = {"process": {"tag": "terminal"}}
        rpc.must("Process/SendInput", {**selector, "input": {"pty": rpc.data(
            "stty size; id -un; pwd; exec sh -c 'tty; exec sleep 300'\n")}})
        shell.until(b"30 90\r\nuser\r\n/home/user\r\n", "pty")
        shell.until(b"\r\n/dev/pts/", "pty")
        rpc.must("Process/SendInput", {**selector, "input": {"pty": rpc.data(b"\3")}})
        assert shell.finish()["status"] == "signal: interrupt"


@pytest.mark.parametrize("form", watching.FORMS)
def test_watching_the_disk(debian, form):
    guest.sh("mkdir -p /root/watched")
    seen = watching.FORMS[form]("/root/watched", recursive=True)
    guest.sh("cd /root/watched; mkdir -p a/b/c; echo x >a/b/c/file; mv a z; rm -r z")
    seen.until_has("CREATE a", "CREATE a/b", "CREATE a/b/c", "RENAME a", "CREATE z", "REMOVE z")
    seen.close()
    guest.sh("rmdir /root/watched")
