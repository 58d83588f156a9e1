"""POST /files/copy and POST /files/attributes."""

import json
import os
import socket

import pytest

from conftest import OWN_PORT
from wire import exchange

pytestmark = pytest.mark.ours


def post(what, body, headers=(), **options):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return exchange("POST", f"/files/{what}", headers, text, **options)


def refused(answer, status, text):
    assert answer.status == status, answer.body
    assert answer.get("content-type") == "application/json; charset=utf-8"
    body = json.loads(answer.body)
    assert body["code"] == status and text in body["message"], body


def copy(source, destination, **members):
    return post("copy", {"source": source, "destination": destination, **members})


def copied(source, destination, kind, **members):
    answer = copy(source, destination, **members)
    assert (answer.status, answer.get("content-type")) == (200, "application/json"), answer.body
    assert json.loads(answer.body) == {"name": os.path.basename(destination),
                                       "path": destination, "type": kind}


def attributes(path, **members):
    return post("attributes", {"path": path, **members})


def changed(path, **members):
    answer = attributes(path, **members)
    assert (answer.status, answer.body) == (204, b""), answer.body


def write(path, data="content"):
    with open(path, "w", encoding="utf-8") as made:
        made.write(data)


def read(path):
    with open(path, encoding="utf-8") as text:
        return text.read()


def mode(path):
    return os.lstat(path).st_mode & 0o7777


# ---- copy


def test_a_file(scratch):
    write(f"{scratch}/a")
    os.chmod(f"{scratch}/a", 0o640)
    os.utime(f"{scratch}/a", (5, 6))
    os.setxattr(f"{scratch}/a", "user.e2b.key", b"value")
    copied(f"{scratch}/a", f"{scratch}/new/parents/b", "file")
    assert read(f"{scratch}/new/parents/b") == read(f"{scratch}/a")
    info = os.stat(f"{scratch}/new/parents/b")
    assert (info.st_mode & 0o7777, info.st_mtime) == (0o640, 6)
    assert os.getxattr(f"{scratch}/new/parents/b", "user.e2b.key") == b"value"


def test_a_tree(scratch):
    os.makedirs(f"{scratch}/t/sub")
    write(f"{scratch}/t/sub/f")
    os.link(f"{scratch}/t/sub/f", f"{scratch}/t/g")
    os.symlink("sub/f", f"{scratch}/t/l")
    copied(f"{scratch}/t", f"{scratch}/u", "dir")
    assert sorted(os.listdir(f"{scratch}/u")) == ["g", "l", "sub"]
    assert os.stat(f"{scratch}/u/g").st_ino == os.stat(f"{scratch}/u/sub/f").st_ino
    assert os.stat(f"{scratch}/u/g").st_ino != os.stat(f"{scratch}/t/g").st_ino
    assert os.readlink(f"{scratch}/u/l") == "sub/f"
    assert sorted(os.listdir(scratch)) == ["t", "u"]


def test_a_link_is_copied_as_a_link(scratch):
    os.symlink("nowhere", f"{scratch}/l")
    copied(f"{scratch}/l", f"{scratch}/m", "symlink")
    assert os.readlink(f"{scratch}/m") == "nowhere"


def test_a_file_is_replaced(scratch):
    write(f"{scratch}/a", "new")
    write(f"{scratch}/b", "old and longer")
    os.link(f"{scratch}/b", f"{scratch}/other")
    copied(f"{scratch}/a", f"{scratch}/b", "file")
    assert read(f"{scratch}/b") == "new"
    assert read(f"{scratch}/other") == "old and longer"


def test_the_copy_belongs_to_the_user(scratch):
    os.mkdir(f"{scratch}/t")
    os.chmod(scratch, 0o777)
    write(f"{scratch}/t/f")
    os.chmod(f"{scratch}/t/f", 0o4755)
    copied(f"{scratch}/t", f"{scratch}/d/u", "dir", username="daemon")
    for name in ("d", "d/u", "d/u/f"):
        assert os.stat(f"{scratch}/{name}").st_uid == 1
    assert mode(f"{scratch}/d/u/f") == 0o755
    os.chown(f"{scratch}/t/f", 1, 2)
    os.chmod(f"{scratch}/t/f", 0o4755)
    copied(f"{scratch}/t", f"{scratch}/k", "dir", keepOwners=True)
    info = os.stat(f"{scratch}/k/f")
    assert (info.st_uid, info.st_gid, mode(f"{scratch}/k/f")) == (1, 2, 0o4755)
    copied(f"{scratch}/t", f"{scratch}/r", "dir")
    assert (os.stat(f"{scratch}/r/f").st_uid, mode(f"{scratch}/r/f")) == (0, 0o755)


def test_relative_paths_are_those_of_the_home(home_folder):
    home = os.path.expanduser("~root")
    write(f"{home}/{home_folder}/a")
    copied_to = f"{home}/{home_folder}/b"
    answer = copy(f"{home_folder}/a", f"~/{home_folder}/b")
    assert json.loads(answer.body)["path"] == copied_to
    assert os.path.exists(copied_to)


@pytest.mark.parametrize("source, destination, status, text", [
    ("none", "b", 404, "path '{}/none' does not exist"),
    ("none", "new/b", 404, "does not exist"),
    ("a", "a", 400, "are the same file"),
    ("a", "./sub/../a", 400, "are the same file"),
    ("a", "sub", 400, "destination '{}/sub' is a directory"),
    ("sub", "a", 400, "not a directory"),
    ("sub", "sub/below", 400, "invalid argument"),
    ("a", "a/below", 400, "not a directory"),
    ("sub", "a/below/b", 400, "not a directory"),
    ("sub", "x" * 300 + "/b", 400, "file name too long"),
    ("a", "x" * 300, 400, "file name too long"),
])
def test_refused_copies(scratch, source, destination, status, text):
    write(f"{scratch}/a")
    os.mkdir(f"{scratch}/sub")
    refused(copy(f"{scratch}/{source}", f"{scratch}/{destination}"), status,
            text.format(scratch))
    assert sorted(os.listdir(scratch)) == ["a", "sub"]
    assert os.listdir(f"{scratch}/sub") == []


@pytest.mark.parametrize("body, text", [
    (b"", "invalid request body: EOF"),
    (b"{", "invalid request body: "),
    (b'{"source":1}', "invalid request body: "),
    (b"{}", "source is required"),
    (b'{"source":"a"}', "destination is required"),
    (b'{"source":"/","destination":"/b"}', "the root directory"),
    (b'{"source":"~x","destination":"/b"}', "cannot expand user-specific home dir"),
    (b'{"source":"/a\\u0000","destination":"/b"}', "invalid"),
])
def test_bodies_of_copy(body, text):
    refused(post("copy", body), 400, text)


def test_unknown_user(scratch):
    refused(copy(scratch, f"{scratch}-x", username="nobody-here"), 401,
            "unknown user nobody-here")
    refused(attributes(scratch, mode="1", username=""), 401, "unknown user")


def test_large_bodies():
    refused(post("copy", b'{"source":"' + b"a" * (5 << 20) + b'"}'), 413, "larger than")


def test_token_is_needed(scratch, own_agent):
    assert exchange("POST", "/init", {"Content-Type": "application/json"},
                    b'{"accessToken":"secret"}', OWN_PORT).status == 204
    for what, body in (("copy", {"source": scratch, "destination": f"{scratch}/x"}),
                       ("attributes", {"path": scratch, "mode": "755"})):
        refused(post(what, body, port=OWN_PORT), 401, "unauthorized access")
    assert post("attributes", {"path": scratch, "mode": "755"}, {"X-Access-Token": "secret"},
                port=OWN_PORT).status == 204


# ---- attributes


def test_mode_and_owner(scratch):
    write(f"{scratch}/f")
    changed(f"{scratch}/f", mode="4711", owner="daemon", group="2")
    info = os.stat(f"{scratch}/f")
    assert (info.st_uid, info.st_gid, mode(f"{scratch}/f")) == (1, 2, 0o4711)
    changed(f"{scratch}/f", group="daemon")
    info = os.stat(f"{scratch}/f")
    assert (info.st_uid, info.st_gid) == (1, 1)
    changed(f"{scratch}/f", mode="000")
    changed(f"{scratch}/f", owner="4294967294")
    assert (os.stat(f"{scratch}/f").st_uid, mode(f"{scratch}/f")) == (4294967294, 0)


def test_a_link_at_the_path_is_followed(scratch):
    write(f"{scratch}/f")
    os.symlink("f", f"{scratch}/l")
    changed(f"{scratch}/l", mode="600", owner="daemon")
    assert (mode(f"{scratch}/f"), os.stat(f"{scratch}/f").st_uid) == (0o600, 1)
    assert os.lstat(f"{scratch}/l").st_uid == 0


def test_what_cannot_be_opened(scratch):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{scratch}/s")
    os.mkfifo(f"{scratch}/p")
    for name in "sp":
        changed(f"{scratch}/{name}", mode="701")
        assert mode(f"{scratch}/{name}") == 0o701


def test_recursive(scratch):
    os.makedirs(f"{scratch}/t/sub")
    os.mkdir(f"{scratch}/out")
    os.chmod(f"{scratch}/out", 0o755)
    write(f"{scratch}/outside")
    os.chmod(f"{scratch}/outside", 0o644)
    write(f"{scratch}/t/sub/f")
    os.symlink(f"{scratch}/outside", f"{scratch}/t/file")
    os.symlink(f"{scratch}/out", f"{scratch}/t/folder")
    changed(f"{scratch}/t", mode="600", directoryMode="711", owner="daemon", recursive=True)
    assert [mode(f"{scratch}/t/{n}") for n in ("", "sub", "sub/f")] == [0o711, 0o711, 0o600]
    for name in ("", "sub", "sub/f", "file", "folder"):
        assert os.lstat(f"{scratch}/t/{name}").st_uid == 1, name
    for name, was in (("out", 0o755), ("outside", 0o644)):
        assert (os.stat(f"{scratch}/{name}").st_uid, mode(f"{scratch}/{name}")) == (0, was)


def test_not_recursive(scratch):
    os.mkdir(f"{scratch}/t")
    write(f"{scratch}/t/f")
    os.chmod(f"{scratch}/t/f", 0o644)
    changed(f"{scratch}/t", mode="700")
    assert (mode(f"{scratch}/t"), mode(f"{scratch}/t/f")) == (0o700, 0o644)
    changed(f"{scratch}/t/f", directoryMode="700")  # which it is not
    assert mode(f"{scratch}/t/f") == 0o644


def test_what_takes_no_mode():
    refused(attributes("/proc/self/fdinfo", mode="700"), 500,
            "error changing mode: chmod /proc/self/fdinfo: operation not permitted")


@pytest.mark.parametrize("members, status, text", [
    ({}, 400, "one of mode, directoryMode, owner and group is required"),
    ({"mode": ""}, 400, "a mode is one to four octal digits"),
    ({"mode": "8"}, 400, "a mode is"), ({"mode": "00755"}, 400, "a mode is"),
    ({"mode": "-1"}, 400, "a mode is"), ({"directoryMode": "rwx"}, 400, "a mode is"),
    ({"mode": 644}, 400, "invalid request body"),
    ({"owner": "nobody-here"}, 400, "owner is neither a user nor a number"),
    ({"owner": ""}, 400, "owner is neither"), ({"owner": "4294967295"}, 400, "owner is neither"),
    ({"group": "none-such"}, 400, "group is neither a group nor a number"),
    ({"group": "-1"}, 400, "group is neither"),
    ({"path": "", "mode": "1"}, 400, "path is required"),
    ({"path": "/none/such", "mode": "1"}, 404, "path '/none/such' does not exist"),
    ({"path": "/etc/passwd/x", "mode": "1"}, 400, "not a directory"),
    ({"path": "~x", "mode": "1"}, 400, "cannot expand user-specific home dir"),
])
def test_refused_attributes(scratch, members, status, text):
    refused(post("attributes", {"path": scratch, **members}), status, text)
