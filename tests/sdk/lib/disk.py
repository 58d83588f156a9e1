"""The files of the machine that the agent runs on, seen past the SDKs.

It is this machine, or, with SDK_AGENT (tests/sdk/run --agent), another one that
is reached through the agent itself.  As a program: run a script there.
"""

import os
import subprocess
import sys
from urllib.parse import urlsplit

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "raw"))

import rpc  # noqa: E402
import wire  # noqa: E402

AGENT = os.environ.get("SDK_AGENT")
PATIENCE = 180 if AGENT else 30  # that machine may be an emulated one
wire.PATIENCE = PATIENCE


def sh(script, *words):
    """Run a script there, the words being its `$@`; gives what it wrote."""
    command = ["/bin/sh", "-c", f"set -eu; {script}", "sh", *words]
    if not AGENT:
        return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    message = {"process": {"cmd": command[0], "args": command[1:]}}
    with rpc.start(message, port=urlsplit(AGENT).port) as done:
        assert done.finish()["status"] == "exit status 0", bytes(done.output["stderr"])
    return bytes(done.output["stdout"])


def content(path):
    return sh('cat "$1"', path)


def plant(root, *names):
    """Make files, their names in them; directories where the name ends in a slash."""
    sh('cd "$1"; shift; for name; do'
       '  case $name in */*) mkdir -p "${name%/*}" ;; esac;'
       '  case $name in */) ;; *) printf %s "$name" >"$name" ;; esac; done', root, *names)


def symlink(target, path):
    sh('ln -s "$1" "$2"', target, path)


def chmod(path, mode):
    sh('chmod "$1" "$2"', f"{mode:o}", path)


def stat(path):
    """Mode in octal, owner and group."""
    return tuple(sh('stat -c "%a %U %G" "$1"', path).decode().split())


def exists(path):
    return sh('test ! -e "$1" || echo yes', path) != b""


def names(path):
    return sh('ls -A "$1"', path).decode().splitlines()


def scratch(parent):
    """A new folder that everyone may enter."""
    return sh('path=$(mktemp -d "$1/envd-sdk-XXXXXX"); chmod 755 "$path"; echo "$path"',
              parent).decode().strip()


def remove(path):
    sh('rm -rf "$1"', path)


if __name__ == "__main__":
    sys.stdout.buffer.write(sh(*sys.argv[1:]))
