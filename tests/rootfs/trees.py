"""Stand-ins for unpacked root file systems, and what is in one."""

import hashlib
import os
import stat

PASSWD = "root:x:0:0:root:/root:/bin/sh\n"
GROUP = "root:x:0:\n"


def write(tree, path, text="", mode=0o644):
    place = tree / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)


def link(tree, path, target):
    place = tree / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def merged(tree):
    """/bin, /sbin and /lib as links into /usr."""
    for name in "bin", "sbin", "lib":
        (tree / "usr" / name).mkdir(parents=True)
        link(tree, name, f"usr/{name}")


def accounts(tree, group=""):
    write(tree, "etc/passwd", PASSWD)
    write(tree, "etc/group", GROUP + group)
    write(tree, "etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
    (tree / "home").mkdir()


def debian(tree):
    merged(tree)
    accounts(tree, "sudo:x:27:\n")
    write(tree, "etc/gshadow", "root:*::\nsudo:*::\n", 0o640)
    write(tree, "etc/subuid")
    write(tree, "etc/subgid")
    write(tree, "etc/os-release", 'PRETTY_NAME="Debian"\nID=debian\n')
    write(tree, "usr/lib/systemd/systemd", mode=0o755)
    link(tree, "usr/sbin/init", "/lib/systemd/systemd")
    write(tree, "usr/bin/bash", mode=0o755)
    write(tree, "usr/bin/sudo", mode=0o4755)
    write(tree, "etc/sudoers", "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n", 0o440)
    (tree / "etc/sudoers.d").mkdir(mode=0o750)
    write(tree, "etc/skel/.profile", "# profile\n")


def fedora(tree):
    merged(tree)
    accounts(tree, "wheel:x:10:other\n")
    write(tree, "usr/lib/os-release", 'ID="fedora"\n')
    link(tree, "etc/os-release", "../usr/lib/os-release")
    write(tree, "usr/lib/systemd/systemd", mode=0o755)
    write(tree, "usr/bin/bash", mode=0o755)
    write(tree, "usr/bin/sudo", mode=0o4755)
    write(tree, "etc/sudoers", "root ALL=(ALL) ALL", 0o440)  # no include, no last newline


def alpine(tree):
    accounts(tree, "wheel:x:10:root\n")
    write(tree, "etc/os-release", "ID=alpine\n")
    write(tree, "bin/busybox", mode=0o755)
    link(tree, "bin/sh", "/bin/busybox")
    link(tree, "sbin/init", "/bin/busybox")
    write(tree, "sbin/openrc-run", mode=0o755)
    write(tree, "etc/inittab", "::sysinit:/sbin/openrc sysinit\n")
    (tree / "etc/runlevels/default").mkdir(parents=True)
    write(tree, "usr/bin/doas", mode=0o4755)


def busybox(tree):
    accounts(tree)
    write(tree, "bin/busybox", mode=0o755)
    link(tree, "bin/sh", "busybox")
    link(tree, "sbin/init", "../bin/busybox")
    write(tree, "etc/inittab", "::sysinit:/etc/init.d/rcS")


def empty(tree):
    del tree


ALL = {f.__name__: f for f in (debian, fedora, alpine, busybox, empty)}


def content(tree):
    """Everything that there is to say about a tree, but for times."""
    found = {}
    for folder, folders, files in os.walk(tree):
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            what = None
            if stat.S_ISLNK(info.st_mode):
                what = os.readlink(path)
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as data:
                    what = hashlib.sha256(data.read()).hexdigest()
            found[os.path.relpath(path, tree)] = (
                oct(info.st_mode), info.st_uid, info.st_gid, what)
    return found
