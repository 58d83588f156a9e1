"""What rootfs/build makes: reproducible, complete, and fit to be shipped."""

import hashlib
import os
import subprocess
import tarfile

import pytest
import trees
from conftest import AGENT, ROOT, TOP, Baker

OUT = os.path.join(TOP, "build", "rootfs")
FLAVOURS = ("debian", "systemd", "micro")
NAMES = [f"{flavour}.{kind}" for flavour in FLAVOURS for kind in ("tar", "ext4")]

pytestmark = pytest.mark.skipif(not ROOT, reason="the builder needs root")


def make(*flavours):
    subprocess.run([f"{TOP}/rootfs/build", *flavours], check=True, timeout=900,
                   capture_output=True, env={**os.environ, "AGENT": AGENT})


def sums(names):
    found = {}
    for name in names:
        with open(os.path.join(OUT, name), "rb") as data:
            found[name] = hashlib.file_digest(data, "sha256").hexdigest()
    return found


@pytest.fixture(scope="module", name="built")
def fixture_built():
    make(*FLAVOURS)
    return sums(NAMES)


def unpack(built, flavour, place):
    assert built
    subprocess.run(["tar", "-C", place, "--numeric-owner", "-xpf", f"{OUT}/{flavour}.tar"],
                   check=True)
    return place


def inside(tree, *words):
    """Status and output of a command in the tree, under the tree's host name."""
    done = subprocess.run(
        ["unshare", "-u", "sh", "-c", 'hostname localhost; exec chroot "$@"', "sh", tree, *words],
        capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def test_twice_the_same(built):
    make("debian", "micro")
    again = [name for name in NAMES if not name.startswith("systemd")]
    assert sums(again) == {name: built[name] for name in again}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_no_trace_of_the_building(built, flavour):
    assert built
    with tarfile.open(f"{OUT}/{flavour}.tar") as tar:
        members = {member.name: member for member in tar}
        for name in ("etc/hostname", "etc/resolv.conf"):
            text = tar.extractfile(f"./{name}").read()
            with open(f"{TOP}/rootfs/image/common/{name}", "rb") as ours:
                assert text == ours.read()
        if "./etc/machine-id" in members:
            assert members["./etc/machine-id"].size == 0
    assert max(member.mtime for member in members.values()) <= 1700000000
    assert list(members) == sorted(members, key=lambda name: name.split("/"))
    for folder in "./var/log/", "./var/cache/apt/", "./var/lib/apt/lists/", "./tmp/", "./run/":
        assert [name for name, member in members.items()
                if name.startswith(folder) and member.size > 0] == []
    writable = [member.name for member in members.values()
                if member.mode & 0o002 and not member.mode & 0o1000
                and (member.isfile() or member.isdir())]
    assert writable == []


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_image_is_sound(built, flavour):
    assert built
    done = subprocess.run(["e2fsck", "-fn", f"{OUT}/{flavour}.ext4"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    listed = subprocess.run(["debugfs", "-R", "stat /usr/bin/envd", f"{OUT}/{flavour}.ext4"],
                            capture_output=True, text=True, check=True).stdout
    assert f"Size: {os.path.getsize(AGENT)}" in listed
    assert "Mode:  0755" in listed


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_agent_and_its_options(built, flavour, tmp_path):
    tree = unpack(built, flavour, tmp_path)
    status, text = inside(tree, "/usr/bin/envd", "-dump-config")
    assert status == 0
    assert "isnotfc = true" in text.splitlines()
    assert inside(tree, "/usr/bin/envd", "-check-config") == (0, "")


@pytest.mark.parametrize("flavour", ("debian", "systemd"))
def test_accounts(built, flavour, tmp_path):
    tree = unpack(built, flavour, tmp_path)
    assert inside(tree, "pwck", "-rq")[0] in (0, 2)  # 2: homes that daemons lack
    assert inside(tree, "grpck", "-r") == (0, "")
    assert inside(tree, "visudo", "-cq")[0] == 0
    assert inside(tree, "id", "user")[1] == "uid=1000(user) gid=1000(user) groups=1000(user),27(sudo)"
    assert inside(tree, "su", "user", "-c", "sudo -n id -u") == (0, "0")
    assert inside(tree, "su", "-", "user", "-c", "touch x && stat -c %U x") == (0, "user")


def test_systemd_starts_it(built, tmp_path):
    tree = unpack(built, "systemd", tmp_path)
    assert inside(tree, "systemctl", "is-enabled", "envd.service") == (0, "enabled")
    status, text = inside(tree, "systemd-analyze", "verify", "--man=no",
                          "/usr/lib/systemd/system/envd.service",
                          "/usr/lib/systemd/system/sandbox-network.service")
    assert (status, text) == (0, "")
    assert inside(tree, "systemd-tmpfiles", "--create", "--dry-run",
                  "/usr/lib/tmpfiles.d/envd.conf")[0] in (0, 1)  # 1: no such option yet
    assert inside(tree, "systemd-sysusers", "--dry-run", "/usr/lib/sysusers.d/envd.conf")[0] == 0


def test_busybox_starts_it(built, tmp_path):
    tree = unpack(built, "debian", tmp_path)
    assert os.readlink(tree / "usr/sbin/init") == "../bin/busybox"
    assert "::respawn:/usr/lib/envd/run" in (tree / "etc/inittab").read_text().splitlines()
    for script in "usr/lib/envd/boot", "usr/lib/envd/network", "usr/lib/envd/seed-certs":
        assert inside(tree, "sh", "-n", f"/{script}") == (0, "")
        assert os.access(tree / script, os.X_OK)


def test_micro_has_a_shell(built, tmp_path):
    tree = unpack(built, "micro", tmp_path)
    assert inside(tree, "/bin/bash", "-l", "-c", "ls /usr/sbin/init") == (0, "/usr/sbin/init")
    assert inside(tree, "/bin/sh", "-n", "/sbin/init") == (0, "")


def test_baking_a_real_tree_and_back(tmp_path):
    """Debian's packages as they come, without anything of ours."""
    base = subprocess.run([f"{TOP}/rootfs/base", "debian"], check=True, timeout=600,
                          capture_output=True, text=True).stdout.strip()
    subprocess.run(["tar", "-C", tmp_path, "--numeric-owner", "-xpf", base], check=True)
    before = trees.content(tmp_path)
    bake = Baker(tmp_path)
    bake("--init", "systemd", "--set", "isnotfc=true")
    assert inside(tmp_path, "su", "user", "-c", "id -un") == (0, "user")
    assert inside(tmp_path, "visudo", "-cq")[0] == 0
    assert inside(tmp_path, "/usr/bin/envd", "-check-config") == (0, "")
    bake("--remove")
    assert trees.content(tmp_path) == before
