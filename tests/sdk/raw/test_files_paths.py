"""How paths are resolved, and what Stat says about a path."""

import os
import pwd
import socket
import stat

import pytest

from rpc import must, refused
from test_gates import basic

STAT = "Filesystem/Stat"


def info(path, headers=()):
    return must(STAT, {"path": path}, headers)["entry"]


def touch(path, mode=0o644):
    with open(path, "w", encoding="ascii"):
        pass
    os.chmod(path, mode)


@pytest.mark.parametrize("given, path", [
    ("", "/root"), ("~", "/root"), ("~/", "/root"), ("~/.", "/root"), (".", "/root"), ("./", "/root"),
    ("..", "/"), ("../etc", "/etc"), ("~/../etc/", "/etc"), ("/", "/"), ("/etc", "/etc"),
    ("/etc/", "/etc/"), ("//etc", "//etc"), ("/etc/.", "/etc/."), ("/etc/../etc", "/etc/../etc")])
def test_resolution(given, path):
    assert info(given)["path"] == path


def test_resolution_for_another_user():
    home = pwd.getpwnam("nobody").pw_dir
    refused(STAT, {"path": "~/x"}, "not_found",
            f"file not found: lstat {home}/x: no such file or directory", basic("nobody"))
    refused(STAT, {"path": "a/../b"}, "not_found",
            f"file not found: lstat {home}/b: no such file or directory", basic("nobody"))


@pytest.mark.parametrize("name", [STAT, "Filesystem/ListDir", "Filesystem/MakeDir", "Filesystem/Remove"])
def test_home_of_somebody_else(name):
    refused(name, {"path": "~nobody/x"}, "invalid_argument",
            "failed to expand path '' for user 'root': cannot expand user-specific home dir")


def test_backslash_behind_the_tilde_is_part_of_the_name():
    refused(STAT, {"path": "~\\x"}, "not_found",
            "file not found: lstat /root/\\x: no such file or directory")


@pytest.mark.parametrize("path, code, text", [
    ("/no/such", "not_found", "file not found: lstat /no/such: no such file or directory"),
    ("/etc/passwd/x", "internal", "error getting file info: lstat /etc/passwd/x: not a directory"),
    ("/etc/passwd/", "internal", "error getting file info: lstat /etc/passwd/: not a directory"),
    ("/" + "x" * 300, "internal",
     f"error getting file info: lstat /{'x' * 300}: file name too long"),
])
def test_errors(path, code, text):
    refused(STAT, {"path": path}, code, text)


@pytest.mark.parametrize("path, name", [("/", "/"), ("//", "/"), ("/etc", "etc"), ("/etc///", "etc")])
def test_names(path, name):
    assert info(path)["name"] == name


MODES = [
    (0o644, "-rw-r--r--"), (0o444, "-r--r--r--"), (0o755, "-rwxr-xr-x"), (0o200, "--w-------"),
    (0o000, "----------"), (0o4755, "urwxr-xr-x"), (0o2755, "grwxr-xr-x"), (0o1644, "trw-r--r--"),
    (0o7777, "ugtrwxrwxrwx")]


@pytest.mark.parametrize("mode, text", MODES)
def test_modes_of_files(scratch, mode, text):
    touch(f"{scratch}/file", mode)
    entry = info(f"{scratch}/file")
    assert (entry.get("mode", 0), entry["permissions"]) == (mode & 0o777, text)


@pytest.mark.parametrize("mode, text", [(0o755, "drwxr-xr-x"), (0o1777, "dtrwxrwxrwx"),
                                        (0o2775, "dgrwxrwxr-x")])
def test_modes_of_directories(scratch, mode, text):
    os.mkdir(f"{scratch}/dir")
    os.chmod(f"{scratch}/dir", mode)
    entry = info(f"{scratch}/dir")
    assert (entry["type"], entry["permissions"]) == ("FILE_TYPE_DIRECTORY", text)


def test_fifo_socket_and_device(scratch):
    os.mkfifo(f"{scratch}/fifo")
    os.chmod(f"{scratch}/fifo", 0o644)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{scratch}/socket")
        os.chmod(f"{scratch}/socket", 0o755)
        expected = {f"{scratch}/fifo": "prw-r--r--", f"{scratch}/socket": "Srwxr-xr-x",
                    "/dev/null": "Dcrw-rw-rw-"}
        for path, text in expected.items():
            entry = info(path)
            assert "type" not in entry and entry["permissions"] == text


def test_owner_and_group(scratch):
    touch(f"{scratch}/file")
    user = pwd.getpwnam("nobody")
    os.chown(f"{scratch}/file", user.pw_uid, user.pw_gid)
    entry = info(f"{scratch}/file")
    assert (entry["owner"], entry["group"]) == ("nobody", "nogroup")
    os.chown(f"{scratch}/file", 54321, 54322)
    entry = info(f"{scratch}/file")
    assert (entry["owner"], entry["group"]) == ("54321", "54322")


def test_link_chain(scratch):
    touch(f"{scratch}/file", 0o640)
    os.symlink("file", f"{scratch}/one")
    os.symlink(f"{scratch}/one", f"{scratch}/two")
    entry = info(f"{scratch}/two")
    assert entry["type"] == "FILE_TYPE_FILE" and entry["mode"] == 0o640
    assert entry["permissions"] == "Lrwxrwxrwx"
    assert entry["symlinkTarget"] == f"{scratch}/file"
    assert entry["size"] == str(len(f"{scratch}/one"))


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_link_that_leads_nowhere(scratch, target):
    os.symlink(target, f"{scratch}/link")
    entry = info(f"{scratch}/link")
    assert not {"type", "mode"} & set(entry)
    assert entry["symlinkTarget"] == f"{scratch}/link"
    assert entry["permissions"] == "Lrwxrwxrwx"


def test_slash_behind_a_link(scratch):
    os.mkdir(f"{scratch}/dir")
    os.symlink("dir", f"{scratch}/link")
    touch(f"{scratch}/file")
    os.symlink("file", f"{scratch}/other")
    entry = info(f"{scratch}/link/")
    assert (entry["name"], entry["type"]) == ("link", "FILE_TYPE_DIRECTORY")
    assert entry["permissions"].startswith("d") and "symlinkTarget" not in entry
    refused(STAT, {"path": f"{scratch}/other/"}, "internal",
            f"error getting file info: lstat {scratch}/other/: not a directory")


def test_link_to_a_device(scratch):
    os.symlink("/dev/null", f"{scratch}/link")
    entry = info(f"{scratch}/link")
    assert "type" not in entry and entry["mode"] == 0o666


def attributes_work(path):
    try:
        os.setxattr(path, "user.e2b.probe", b"x")
        os.removexattr(path, "user.e2b.probe")
    except OSError:
        return False
    return True


def test_metadata(scratch):
    touch(f"{scratch}/file")
    os.symlink("file", f"{scratch}/link")
    if not attributes_work(f"{scratch}/file"):
        pytest.skip("the scratch folder has no extended attributes")
    for name, value in (("user.e2b.Key", b"value"), ("user.e2b.empty", b""), ("user.e2b.bad", b"\xff"),
                        ("user.other", b"x")):
        os.setxattr(f"{scratch}/file", name, value)
    for path in ("file", "link"):
        assert info(f"{scratch}/{path}")["metadata"] == {"Key": "value", "empty": ""}


def test_everything_is_visible_to_a_plain_user(scratch):
    os.mkdir(f"{scratch}/private")
    touch(f"{scratch}/private/file", 0o600)
    os.chmod(f"{scratch}/private", 0o700)
    assert stat.S_IMODE(os.stat(f"{scratch}/private").st_mode) == 0o700
    assert info(f"{scratch}/private/file", basic("nobody"))["name"] == "file"


def test_legacy_client_gets_the_old_fields(scratch):
    touch(f"{scratch}/file")
    entry = info(f"{scratch}/file", {"User-Agent": "connect-python"})
    assert entry == {"name": "file", "type": "FILE_TYPE_FILE", "path": f"{scratch}/file"}
    assert "owner" in info(f"{scratch}/file", {"User-Agent": "connect-python/1"})
