"""rootfs/bake on stand-ins for the trees that it may meet."""

import filecmp
import os
import stat

import pytest
import trees
from conftest import AGENT

RULE = "user ALL=(ALL:ALL) NOPASSWD: ALL"
ENABLED = "etc/systemd/system/multi-user.target.wants/envd.service"


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


def entry(bake, path, name):
    found = [line for line in bake.lines(path) if line.split(":")[0] == name]
    assert len(found) == 1
    return found[0]


# ---- every tree -------------------------------------------------------------


def test_the_agent_and_its_user(any_tree):
    any_tree()
    agent = any_tree.tree / "usr/bin/envd"
    assert filecmp.cmp(AGENT, agent, shallow=False)
    assert mode(agent) == 0o755
    fields = entry(any_tree, "etc/passwd", "user").split(":")
    assert fields[2:4] == ["1000", "1000"]
    assert fields[5] == "/home/user"
    home = os.stat(any_tree.tree / "home/user")
    assert (home.st_uid, home.st_gid) == (1000, 1000)


def test_the_second_time_changes_nothing(any_tree):
    any_tree("--set", "isnotfc=true")
    before = trees.content(any_tree.tree)
    told = any_tree("--set", "isnotfc=true").stdout
    assert trees.content(any_tree.tree) == before
    assert len(told.splitlines()) == 1  # what kind of tree it is


def test_remove_leaves_the_tree_as_it_was(any_tree):
    before = trees.content(any_tree.tree)
    any_tree("--set", "isnotfc=true")
    assert trees.content(any_tree.tree) != before
    any_tree("--remove")
    assert trees.content(any_tree.tree) == before


def test_options_go_to_the_file(any_tree):
    trees.write(any_tree.tree, "etc/envd.conf", "port = 5000\n")
    any_tree("--set", "isnotfc=true", "--set", "port=6000")
    assert any_tree.lines("etc/envd.conf") == ["port = 5000", "isnotfc = true"]


def test_without_the_user(any_tree):
    any_tree("--no-user")
    assert not (any_tree.tree / "home/user").exists()
    passwd = any_tree.tree / "etc/passwd"
    assert not passwd.exists() or "user:" not in passwd.read_text()


# ---- one kind each ----------------------------------------------------------


def test_systemd(debian):
    debian()
    assert os.readlink(debian.tree / ENABLED) == "/usr/lib/systemd/system/envd.service"
    for path in ("usr/lib/systemd/system/envd.service", "usr/lib/tmpfiles.d/envd.conf",
                 "usr/lib/systemd/system/envd.service.d/certificates.conf",
                 "usr/lib/sysusers.d/envd.conf"):
        assert mode(debian.tree / path) == 0o644
    assert debian.text("usr/lib/systemd/system-preset/00-envd.preset") == "enable envd.service\n"
    assert mode(debian.tree / "usr/lib/envd/seed-certs") == 0o755


def test_user_of_debian(debian):
    debian()
    assert entry(debian, "etc/passwd", "user").endswith(":/bin/bash")
    assert entry(debian, "etc/shadow", "user").split(":")[1] == "*"
    assert entry(debian, "etc/group", "sudo") == "sudo:x:27:user"
    assert entry(debian, "etc/gshadow", "sudo") == "sudo:*::user"
    assert entry(debian, "etc/subuid", "user") == "user:100000:65536"
    assert debian.text("etc/sudoers.d/envd") == RULE + "\n"
    assert mode(debian.tree / "etc/sudoers.d/envd") == 0o440
    assert mode(debian.tree / "etc/shadow") == 0o640
    profile = os.stat(debian.tree / "home/user/.profile")
    assert profile.st_uid == 1000


def test_sudoers_without_an_include(fedora):
    fedora()
    assert fedora.lines("etc/sudoers") == ["root ALL=(ALL) ALL", RULE]
    assert mode(fedora.tree / "etc/sudoers") == 0o440
    assert entry(fedora, "etc/group", "wheel") == "wheel:x:10:other,user"


def test_openrc(alpine):
    alpine()
    assert mode(alpine.tree / "etc/init.d/envd") == 0o755
    assert os.readlink(alpine.tree / "etc/runlevels/default/envd") == "/etc/init.d/envd"
    assert entry(alpine, "etc/passwd", "user").endswith(":/bin/sh")
    assert alpine.text("etc/doas.d/envd.conf") == "permit nopass keepenv user\n"
    assert "envd" not in alpine.text("etc/inittab")
    assert not (alpine.tree / "usr/lib/systemd").exists()


def test_inittab(busybox):
    busybox()
    assert busybox.lines("etc/inittab") == [
        "::sysinit:/etc/init.d/rcS", "::respawn:/usr/lib/envd/run"]
    assert mode(busybox.tree / "usr/lib/envd/run") == 0o755


def test_inittab_that_starts_an_agent_is_left(busybox):
    trees.write(busybox.tree, "etc/inittab", "::respawn:/usr/bin/envd -isnotfc\n")
    busybox()
    assert busybox.text("etc/inittab") == "::respawn:/usr/bin/envd -isnotfc\n"


def test_nothing_at_all(empty):
    empty()
    assert os.readlink(empty.tree / "sbin/init") == "/usr/bin/envd"
    assert entry(empty, "etc/passwd", "root") == "root:*:0:0:root:/root:/bin/sh"
    assert not (empty.tree / "etc/shadow").exists()


def test_an_init_of_its_own_is_left(empty):
    trees.write(empty.tree, "sbin/init", "#!/bin/sh\n", 0o755)
    assert "/sbin/init" in empty().stdout
    assert empty.text("sbin/init") == "#!/bin/sh\n"


def test_the_init_can_be_named(empty):
    empty("--init", "openrc")
    assert (empty.tree / "etc/init.d/envd").exists()
    assert empty("--init", "upstart", check=False).returncode != 0


# ---- what is there already --------------------------------------------------


def test_a_service_of_the_image_is_left(debian):
    trees.write(debian.tree, "etc/systemd/system/envd.service", "[Service]\n")
    debian()
    assert debian.text("etc/systemd/system/envd.service") == "[Service]\n"
    assert not os.path.lexists(debian.tree / ENABLED)


def test_a_script_of_the_image_is_left(alpine):
    trees.write(alpine.tree, "etc/init.d/envd", "#!/sbin/openrc-run\n", 0o755)
    alpine()
    assert alpine.text("etc/init.d/envd") == "#!/sbin/openrc-run\n"


def test_a_user_of_the_image_is_left(debian):
    line = "user:x:1234:1234:me:/srv/me:/bin/zsh"
    trees.write(debian.tree, "etc/passwd", trees.PASSWD + line + "\n")
    debian()
    assert entry(debian, "etc/passwd", "user") == line


def test_ids_that_are_taken(debian):
    trees.write(debian.tree, "etc/passwd",
                trees.PASSWD + "node:x:1000:1000::/home/node:/bin/sh\n")
    trees.write(debian.tree, "etc/group", trees.GROUP + "other:x:1001:\n")
    debian()
    assert entry(debian, "etc/passwd", "user").split(":")[2:4] == ["1002", "1002"]
    assert os.stat(debian.tree / "home/user").st_uid == 1002


def test_work_of_the_user_outlives_remove(debian):
    debian()
    trees.write(debian.tree, "home/user/.profile", "# mine\n")
    trees.write(debian.tree, "home/user/work", "mine\n")
    assert "not empty" in debian("--remove").stdout
    assert debian.text("home/user/.profile") == "# mine\n"
    assert debian.text("home/user/work") == "mine\n"


def test_remove_without_bake(debian):
    assert debian("--remove", check=False).returncode != 0


# ---- another agent's place --------------------------------------------------


def test_swap_and_back(debian):
    trees.write(debian.tree, "usr/bin/envd", "theirs", 0o777)
    trees.write(debian.tree, "etc/systemd/system/envd.service", "[Service]\n")
    before = trees.content(debian.tree)
    debian("--swap")
    debian("--swap")
    after = trees.content(debian.tree)
    assert filecmp.cmp(AGENT, debian.tree / "usr/bin/envd", shallow=False)
    assert {path for path in before if before[path] != after.get(path)} == {"usr/bin/envd"}
    debian("--remove")
    assert trees.content(debian.tree) == before


def test_all_of_it_in_another_agents_place(debian):
    trees.write(debian.tree, "usr/bin/envd", "theirs", 0o777)
    before = trees.content(debian.tree)
    debian()
    debian("--remove")
    assert trees.content(debian.tree) == before


def test_an_update_keeps_what_was_there_first(debian, tmp_path):
    trees.write(debian.tree, "usr/bin/envd", "theirs")
    older = tmp_path / "older"
    older.write_text("older")
    older.chmod(0o755)
    debian("--swap", "--binary", str(older))
    assert debian.text("usr/bin/envd") == "older"
    debian("--swap")
    assert filecmp.cmp(AGENT, debian.tree / "usr/bin/envd", shallow=False)
    debian("--remove")
    assert debian.text("usr/bin/envd") == "theirs"


# ---- trees that mean harm ---------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    for name in "passwd", "group", "shadow", "envd", "inittab":
        trees.write(folder, name, trees.PASSWD)
    return folder


def test_links_lead_nowhere_but_into_the_tree(debian, outside):
    """Absolute ones count from the tree; `..` ends at its top."""
    before = trees.content(outside)
    for path in "etc/passwd", "etc/group", "etc/shadow", "usr/bin/envd":
        place = debian.tree / path
        place.unlink(missing_ok=True)
        trees.link(debian.tree, path, f"{outside}/{place.name}")
    up = "../" * 20 + str(outside).lstrip("/")
    trees.link(debian.tree, "usr/lib/envd", up)
    trees.link(debian.tree, "usr/lib/tmpfiles.d", f"{outside}/deeper")
    trees.link(debian.tree, "etc/envd.conf", f"{up}/envd.conf")
    debian("--set", "isnotfc=true")
    assert trees.content(outside) == before
    inside = debian.tree / str(outside).lstrip("/")
    assert (inside / "baked").exists()
    assert (inside / "envd.conf").read_text() == "isnotfc = true\n"
    assert "user:" in (inside / "passwd").read_text()
    debian("--remove")
    assert trees.content(outside) == before


def test_planted_temporary_names(debian, outside):
    before = trees.content(outside)
    for path in "usr/bin/envd", "etc/passwd":
        trees.link(debian.tree, f"{path}.bake", str(outside / "passwd"))
    debian()
    assert trees.content(outside) == before


def test_links_in_a_circle(debian):
    (debian.tree / "etc/passwd").unlink()
    trees.link(debian.tree, "etc/passwd", "group.d")
    trees.link(debian.tree, "etc/group.d", "/etc/passwd")
    done = debian(check=False)
    assert done.returncode != 0
    assert "too many links" in done.stderr


@pytest.mark.parametrize("record", [
    "ours /../../../..{0}/passwd", "ours {0}/passwd", "kept /..", "kept /../x",
    "line {0}/passwd root:x:0:0:root:/root:/bin/sh", "dir /../../../..{0}",
    "member /up/group root", "made /up/envd", "ours /up/envd"])
def test_a_record_that_was_planted(debian, outside, record):
    """What is to be undone is read from the tree: it may say anything."""
    trees.link(debian.tree, "up", str(outside))
    trees.write(debian.tree, "usr/lib/envd/baked", record.format(outside) + "\n")
    before = trees.content(outside.parent / "outside")
    siblings = sorted(os.listdir(outside.parent))
    debian("--remove", check=False)
    assert trees.content(outside) == before
    assert sorted(os.listdir(outside.parent)) == siblings


def test_a_record_that_is_a_link(debian, outside):
    trees.link(debian.tree, "usr/lib/envd/baked", str(outside / "passwd"))
    assert debian(check=False).returncode != 0
    assert (outside / "passwd").read_text() == trees.PASSWD


def test_a_directory_in_the_agents_place(debian):
    (debian.tree / "usr/bin/envd").mkdir()
    assert debian(check=False).returncode != 0


def test_another_processor(debian):
    with open(AGENT, "rb") as ours:
        head = bytearray(ours.read(64))
    head[18] ^= 0xFF
    (debian.tree / "usr/bin/sh").write_bytes(head)
    before = trees.content(debian.tree)
    done = debian(check=False)
    assert done.returncode != 0
    assert "processor" in done.stderr
    assert trees.content(debian.tree) == before


def test_no_such_tree_or_agent(bake):
    assert bake(tree="/nonexistent", check=False).returncode != 0
    assert bake("--binary", "/nonexistent", check=False).returncode != 0
    assert bake("--frobnicate", check=False).returncode != 0
    assert not os.listdir(bake.tree)
