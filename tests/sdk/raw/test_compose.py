"""POST /files/compose: order, sources, identities, what is left after a failure."""

import contextlib
import json
import os
import pwd
import socket

import pytest

from conftest import eventually
from test_download import refused
from wire import Connection, exchange, request

MIB = 1 << 20


def compose(sources, destination, port=49983, **members):
    body = {"source_paths": sources, "destination": destination, **members}
    return exchange("POST", "/files/compose", {}, json.dumps(body).encode(), port)


def composed(answer, path):
    assert (answer.status, answer.body.decode()) == (
        200, '{"name":"%s","path":"%s","type":"file"}\n' % (os.path.basename(path), path))
    assert answer.get("content-type") == "application/json"


def write(path, data, mode=0o644):
    with open(path, "wb") as made:
        made.write(data)
    os.chmod(path, mode)
    return path


def content(path):
    with open(path, "rb") as made:
        return made.read()


def names(scratch):
    return sorted(os.listdir(scratch))


@pytest.fixture
def parts(scratch):
    return [write(f"{scratch}/{name}", name.encode() * 3) for name in "abc"]


def test_order_is_kept_and_sources_go(scratch, parts):
    a, b, c = parts
    composed(compose([c, a, b], f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"cccaaabbb"
    assert names(scratch) == ["out"]
    info = os.stat(f"{scratch}/out")
    assert (info.st_mode & 0o7777, info.st_uid) == (0o644, 0)
    answer = exchange("GET", f"/files?path={scratch}/out")
    assert (answer.status, answer.body) == (200, b"cccaaabbb")


def test_single_source(scratch, parts):
    composed(compose(parts[:1], f"{scratch}/deep/er/out"), f"{scratch}/deep/er/out")
    assert content(f"{scratch}/deep/er/out") == b"aaa"
    assert names(scratch) == ["b", "c", "deep"]


def test_a_source_twice(scratch, parts):
    a, b, _ = parts
    composed(compose([a, b, a], f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"aaabbbaaa"
    assert names(scratch) == ["c", "out"]


def test_ten_large_parts(scratch):
    blocks = [os.urandom(MIB) for _ in range(10)]
    parts = [write(f"{scratch}/{i}", block) for i, block in enumerate(blocks)]
    composed(compose(parts, f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"".join(blocks)
    assert names(scratch) == ["out"]


def test_empty_parts_and_holes(scratch):
    parts = [write(f"{scratch}/{name}", b"") for name in "ab"]
    with open(f"{scratch}/c", "wb") as made:
        made.truncate(3 * MIB)
    write(f"{scratch}/d", b"end")
    composed(compose([*parts, f"{scratch}/c", f"{scratch}/d"], f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == bytes(3 * MIB) + b"end"


def test_relative_paths_and_user(home_folder):
    home = os.path.expanduser("~root")
    write(f"{home}/{home_folder}/a", b"a")
    write(f"{home}/{home_folder}/b", b"b")
    composed(compose([f"{home_folder}/a", f"~/{home_folder}/b"], f"{home_folder}/out", username="root"),
             f"{home}/{home_folder}/out")
    assert content(f"{home}/{home_folder}/out") == b"ab"


def test_owner(scratch, parts):
    user = next(u for u in pwd.getpwall() if u.pw_uid not in (0, 65534))
    composed(compose(parts, f"{scratch}/new/out", username=user.pw_name), f"{scratch}/new/out")
    for path in (f"{scratch}/new", f"{scratch}/new/out"):
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == (user.pw_uid, user.pw_gid)


def test_keys_in_any_case_and_what_follows(scratch, parts):
    body = json.dumps({"SOURCE_paths": parts, "Destination": f"{scratch}/out", "more": [1]})
    answer = exchange("POST", "/files/compose", {"Content-Type": "text/plain"},
                      body.encode() + b" {trailing")
    composed(answer, f"{scratch}/out")


@pytest.mark.parametrize("body, start", [
    (b"", "invalid request body: EOF"), (b"{", "invalid request body: "),
    (b"[]", "invalid request body: "), (b'{"source_paths":"x"}', "invalid request body: "),
    (b'{"source_paths":[1]}', "invalid request body: "),
    (b"null", "source_paths must not be empty"), (b"{}", "source_paths must not be empty"),
    (b'{"source_paths":["x"]}', "destination is required"),
    (b'{"source_paths":["x"],"destination":"~bob"}',
     "error resolving destination path: failed to expand path '' for user 'root': "
     "cannot expand user-specific home dir"),
    (b'{"source_paths":["~bob/x"],"destination":"/tmp/envd-none"}',
     "error resolving source path \"~bob/x\": failed to expand path '' for user 'root': "
     "cannot expand user-specific home dir")])
def test_refused_requests(body, start):
    answer = exchange("POST", "/files/compose", {}, body)
    error = json.loads(answer.body)
    assert answer.status == 400 and error["code"] == 400
    assert error["message"].startswith(start)


@pytest.mark.ours
def test_large_requests_are_refused_at_once(conn):
    size = 4 * MIB + 1
    conn.send(request("POST", "/files/compose", {"Content-Length": str(size)}))
    refused(conn.answer(), 413, "request body is larger than 4194304 bytes")


def test_unknown_user(scratch, parts):
    for name in ("ghost", ""):
        refused(compose(parts, f"{scratch}/out", username=name), 401,
                f"error looking up user '{name}': user: unknown user {name}")
    assert names(scratch) == ["a", "b", "c"]


def test_refused_sources(scratch, parts):
    a, b, _ = parts
    os.mkdir(f"{scratch}/dir")
    os.mkfifo(f"{scratch}/fifo")
    os.symlink("nothing", f"{scratch}/dangling")
    for source, status, message in [
            (f"{scratch}/none", 404, "source file not found: %s"),
            (f"{scratch}/dangling", 404, "source file not found: %s"),
            (f"{a}/", 404, "source file not found: %s"),
            (f"{scratch}/dir", 400, "source path is not a regular file: %s"),
            (f"{scratch}/fifo", 400, "source path is not a regular file: %s"),
            (f"{scratch}/out", 400, 'source path "%s" cannot be the same as destination')]:
        refused(compose([b, source], f"{scratch}/out"), status, message % source)
    assert content(a) == b"aaa" and content(b) == b"bbb"
    assert "out" not in names(scratch)


def test_refused_destinations(scratch, parts):
    a, b, _ = parts
    os.mkdir(f"{scratch}/dir")
    answer = compose([a], f"{b}/out")
    refused(answer, 500, f"error ensuring directories: path is a file: {b}")
    answer = compose([a], "/proc/envd-none/out")
    assert answer.status == 500
    assert json.loads(answer.body)["message"].startswith("error ensuring directories: ")
    answer = compose([a], "/proc/envd-none")
    assert answer.status == 500
    assert json.loads(answer.body)["message"].startswith("error creating destination file: ")
    assert content(a) == b"aaa" and content(b) == b"bbb"


@pytest.mark.ours
def test_directories_and_devices_are_no_destination(scratch, parts):
    os.mkdir(f"{scratch}/dir")
    refused(compose(parts, f"{scratch}/dir"), 400, f"path is a directory: {scratch}/dir")
    refused(compose(parts, f"{scratch}/dir/"), 400, f"path is a directory: {scratch}/dir/")
    refused(compose(parts, "/dev/null"), 400, "destination is not a regular file: /dev/null")
    assert names(scratch) == ["a", "b", "c", "dir"]


# ---- who is who -------------------------------------------------------------


@pytest.mark.ours
@pytest.mark.parametrize("destination", ["{}/./a", "{}//a", "{}/sub/../a", "{}/linked/a", "{}/to-a"])
def test_a_source_under_another_spelling_is_the_destination(scratch, parts, destination):
    os.mkdir(f"{scratch}/sub")
    os.symlink(scratch, f"{scratch}/linked")
    os.symlink("a", f"{scratch}/to-a")
    before = names(scratch)
    for sources in ([parts[0]], [parts[1], parts[0]]):
        refused(compose(sources, destination.format(scratch)), 400,
                f'source path "{parts[0]}" cannot be the same as destination')
    assert names(scratch) == before
    assert content(parts[0]) == b"aaa" and content(parts[1]) == b"bbb"


def test_a_hard_link_of_the_destination(scratch, parts):
    os.link(parts[0], f"{scratch}/hard")
    composed(compose([f"{scratch}/hard", parts[1]], parts[0]), parts[0])
    assert content(parts[0]) == b"aaabbb"
    assert names(scratch) == ["a", "c"]


def test_a_link_as_source_goes_and_its_target_stays(scratch, parts):
    os.symlink("a", f"{scratch}/link")
    composed(compose([f"{scratch}/link", parts[1]], f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"aaabbb"
    assert names(scratch) == ["a", "c", "out"]


@pytest.mark.ours
def test_what_exists_keeps_inode_mode_and_links(scratch, parts):
    out = write(f"{scratch}/out", b"old content, longer than the new", 0o640)
    os.link(out, f"{scratch}/other")
    os.symlink("out", f"{scratch}/link")
    os.setxattr(out, "user.e2b.old", b"x")
    os.setxattr(out, "user.theirs", b"y")
    before = os.stat(out)
    composed(compose(parts, f"{scratch}/link"), f"{scratch}/link")
    after = os.stat(out)
    assert (after.st_ino, after.st_mode, after.st_nlink) == (before.st_ino, before.st_mode, 2)
    assert content(f"{scratch}/other") == b"aaabbbccc"
    assert os.listxattr(out) == ["user.theirs"]
    assert names(scratch) == ["link", "other", "out"]


@pytest.mark.ours
def test_the_first_source_is_renamed_when_it_can_be(scratch, parts):
    inode = os.stat(parts[0]).st_ino
    os.chmod(parts[0], 0o4750)
    os.setxattr(parts[0], "user.e2b.key", b"value")
    os.utime(parts[0], (0, 0))
    composed(compose(parts, f"{scratch}/out"), f"{scratch}/out")
    info = os.stat(f"{scratch}/out")
    assert (info.st_ino, info.st_mode & 0o7777) == (inode, 0o644)
    assert info.st_mtime > 1e9
    assert os.listxattr(f"{scratch}/out") == []


def test_files_with_other_names_or_attributes_are_copied(scratch, parts):
    os.link(parts[0], f"{scratch}/hard")
    composed(compose(parts[:2], f"{scratch}/out"), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"aaabbb" and content(f"{scratch}/hard") == b"aaa"
    os.setxattr(parts[2], "user.theirs", b"y")
    composed(compose(parts[2:], f"{scratch}/out2"), f"{scratch}/out2")
    assert content(f"{scratch}/out2") == b"ccc" and os.listxattr(f"{scratch}/out2") == []
    assert names(scratch) == ["hard", "out", "out2"]


@pytest.mark.ours
def test_a_file_being_uploaded_is_waited_for(scratch, parts):
    target = f"{scratch}/slow"
    with Connection() as upload, Connection() as waiting:
        size = MIB
        upload.send(request("POST", f"/files?path={target}",
                            {"Content-Type": "application/octet-stream", "Content-Length": str(size)}))
        upload.send(b"n" * (size - 1))
        eventually(lambda: os.path.exists(target))
        body = json.dumps({"source_paths": [target, parts[0]], "destination": f"{scratch}/out"})
        waiting.send(request("POST", "/files/compose", {}, body.encode()))
        upload.send(b"n")
        assert upload.answer().status == 200
        composed(waiting.answer(), f"{scratch}/out")
    assert content(f"{scratch}/out") == b"n" * size + b"aaa"


@pytest.mark.ours
def test_client_that_leaves_changes_nothing(scratch):
    """It is held up by an upload of its second source, and then leaves."""
    parts = [write(f"{scratch}/a", b"a" * MIB), f"{scratch}/slow"]
    with Connection() as upload:
        upload.send(request("POST", f"/files?path={parts[1]}",
                            {"Content-Type": "application/octet-stream", "Content-Length": str(MIB)}))
        upload.send(b"n" * (MIB - 1))
        eventually(lambda: os.path.exists(parts[1]))
        for destination in ("new", "a-link"):
            with contextlib.closing(socket.create_connection(("127.0.0.1", 49983))) as leaving:
                body = json.dumps({"source_paths": parts, "destination": f"{scratch}/{destination}"})
                leaving.sendall(request("POST", "/files/compose", {}, body.encode()))
            assert exchange("GET", "/health").status == 204
        upload.send(b"n")
        assert upload.answer().status == 200
    assert names(scratch) == ["a", "slow"]
    assert content(parts[0]) == b"a" * MIB and content(parts[1]) == b"n" * MIB


def test_needs_the_token(own_agent, scratch, parts):
    body = json.dumps({"accessToken": "secret"}).encode()
    assert exchange("POST", "/init", {}, body, own_agent.port).status == 204
    assert compose(parts, f"{scratch}/out", own_agent.port).status == 401
    body = json.dumps({"source_paths": parts, "destination": f"{scratch}/out"}).encode()
    answer = exchange("POST", "/files/compose", {"X-Access-Token": "secret"}, body, own_agent.port)
    composed(answer, f"{scratch}/out")
