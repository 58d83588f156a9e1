"""Uploads that fail: disks that are full or read-only, clients that go away, content
that is not what was meant.  What was there before stays, or the answer says otherwise."""

import contextlib
import gzip
import hashlib
import json
import os
import subprocess

import pytest

from conftest import eventually
from test_compose import compose
from test_download import refused
from wire import Connection, chunked, exchange, request

MIB = 1 << 20
RAW = {"Content-Type": "application/octet-stream"}
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
pytestmark = pytest.mark.ours


def target(path):
    return f"/files?path={path}"


def post(path, body, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return exchange("POST", target(path), {**RAW, **headers}, body)


def post_form(*files):
    body = b"".join(b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
                    % (name.encode(), content) for name, content in files)
    return exchange("POST", "/files", FORM, body + b"--B--\r\n")


def post_chunked(path, *pieces, **headers):
    headers = {**RAW, "Transfer-Encoding": "chunked", **headers}
    return exchange("POST", target(path), headers, chunked(pieces))


def write(path, data):
    with open(path, "wb") as made:
        made.write(data)
    return path


def content(path):
    with open(path, "rb") as made:
        return made.read()


@pytest.fixture
def disk(scratch):
    """A function that mounts a tmpfs with options, for the agent and the test."""
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("no mount namespace of its own")
    mounted = []

    def mount(options):
        path = f"{scratch}/disk{len(mounted)}"
        os.mkdir(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], check=True)
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", path], check=True)


# ---- disks ------------------------------------------------------------------

FULL = "not enough disk space available"


def test_half_full_disk(disk):
    """A disk of 1 KiB is a page; a file of it is in the way of a new one."""
    path = disk("size=1k")
    assert post(f"{path}/old", b"x" * 512).status == 200
    refused(post(f"{path}/new", b"x" * 2048), 507, f"attempted to write 2048 bytes: {FULL}")
    refused(post_chunked(f"{path}/new", b"x" * 2048), 507, FULL)
    assert os.listdir(path) == ["old"]
    assert post(f"{path}/old", b"y" * 2048).status == 200
    assert content(f"{path}/old") == b"y" * 2048


@pytest.mark.parametrize("how", ["raw", "chunked", "form", "gzip"])
def test_full_disk_keeps_what_is_there(disk, how):
    path = disk("size=4m")
    write(f"{path}/old", b"o" * (3 * MIB))
    for name in ("new", "old"):
        body = b"n" * (5 * MIB)
        if how == "raw":
            answer = post(f"{path}/{name}", body)
        elif how == "chunked" and name == "new":
            answer = post_chunked(f"{path}/{name}", body)
        elif how == "form" and name == "new":
            answer = post_form((f"{path}/{name}", body))
        elif how == "gzip" and name == "new":
            answer = post(f"{path}/{name}", gzip.compress(body), Content_Encoding="gzip")
        else:
            continue
        assert answer.status == 507 and FULL in json.loads(answer.body)["message"]
        assert os.listdir(path) == ["old"]
        assert content(f"{path}/old") == b"o" * (3 * MIB)


def test_overwriting_what_fills_the_disk(disk):
    path = disk("size=4m")
    write(f"{path}/old", b"o" * (4 * MIB - 4096))
    assert post(f"{path}/old", b"n" * (4 * MIB - 4096)).status == 200
    assert content(f"{path}/old") == b"n" * (4 * MIB - 4096)


@pytest.mark.parametrize("how", ["raw", "chunked"])
def test_direct_write_that_fails_says_what_is_lost(disk, how):
    """There was no room beside the old content; the client stops in the middle."""
    path = disk("size=4m")
    file = write(f"{path}/old", b"o" * (3 * MIB))
    head, body = {"Content-Length": str(3 * MIB)}, b"n" * (2 * MIB)
    if how == "chunked":
        head, body = {"Transfer-Encoding": "chunked"}, b"%x\r\n" % (3 * MIB) + body
    with Connection() as conn:
        conn.send(request("POST", target(file), {**RAW, **head}) + body)
        conn.half_close()
        refused(conn.answer(), 500, f"error writing file: unexpected EOF; the old content of '{file}' is lost")
    assert set(content(file)) == {ord("n")}


def test_chunked_overwrite_that_outgrows_the_disk(disk):
    path = disk("size=4m")
    file = write(f"{path}/old", b"o" * (3 * MIB))
    answer = post_chunked(file, b"n" * (5 * MIB))
    refused(answer, 507, f"{FULL}; the old content of '{file}' is lost")
    assert os.stat(file).st_size <= 4 * MIB


def test_no_inodes(disk):
    path = disk("nr_inodes=3")
    assert post(f"{path}/a", b"a").status == 200
    assert post(f"{path}/b", b"b").status == 200
    reason = f"open {path}/c: no space left on device"
    refused(post(f"{path}/c", b"c"), 507, f"not enough inodes available: {reason}")
    refused(post_form((f"{path}/c", b"c")), 507, f"not enough inodes available: {reason}")
    answer = post(f"{path}/deep/c", b"c")
    refused(answer, 507, "error ensuring directories: failed to create directory: "
            f"mkdir {path}/deep: no space left on device")
    assert post(f"{path}/a", b"over what is there").status == 200


def test_read_only_disk(disk):
    path = disk("size=1m")
    write(f"{path}/old", b"old")
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    for name in ("new", "old"):
        reason = f"error opening file: open {path}/{name}: read-only file system"
        refused(post(f"{path}/{name}", b"x"), 500, reason)
        refused(post_form((f"{path}/{name}", b"x")), 500, reason)
    answer = post(f"{path}/deep/new", b"x")
    assert answer.status == 500
    assert json.loads(answer.body)["message"].startswith("error ensuring directories: ")
    assert content(f"{path}/old") == b"old" and os.listdir(path) == ["old"]


def test_parts_before_the_one_that_fails_stay(disk):
    path = disk("size=4m")
    answer = post_form((f"{path}/a", b"a"), (f"{path}/b", b"b" * (5 * MIB)), (f"{path}/c", b"c"))
    assert answer.status == 507
    assert os.listdir(path) == ["a"] and content(f"{path}/a") == b"a"


def test_compose_on_bad_disks(disk):
    full, sealed = disk("size=2m"), disk("size=1m")
    parts = [write(f"{full}/{name}", name.encode() * MIB) for name in "ab"]
    os.truncate(parts[1], MIB - 8192)
    refused(compose(parts, f"{full}/out"), 507, FULL)
    assert [os.stat(part).st_size for part in parts] == [MIB, MIB - 8192]
    assert content(parts[0]) == b"a" * MIB
    old = write(f"{sealed}/old", b"old")
    subprocess.run(["mount", "-o", "remount,ro", sealed], check=True)
    for out in (old, f"{sealed}/new"):
        answer = compose(parts, out)
        refused(answer, 500, f"error creating destination file: open {out}: read-only file system")
    assert sorted(os.listdir(full)) == ["a", "b"] and content(old) == b"old"


# ---- metadata ---------------------------------------------------------------


def test_metadata_is_kept_when_an_upload_fails(scratch):
    path = f"{scratch}/file"
    assert post(path, b"old", X_Metadata_Key="old").status == 200
    broken = gzip.compress(os.urandom(MIB))[:-20]
    assert post(path, broken, X_Metadata_Key="new", Content_Encoding="gzip").status == 500
    assert os.getxattr(path, "user.e2b.key") == b"old" and content(path) == b"old"


def test_metadata_without_room(scratch):
    """The attributes of one inode have a block; another's fill it."""
    path = write(f"{scratch}/file", b"old")
    try:
        os.setxattr(path, "user.theirs", b"x" * 3000)
        os.setxattr(path, "user.e2b.old", b"old")
        os.setxattr(path, "user.probe", b"x" * 4000)
    except OSError:
        answer = post(path, b"new", X_Metadata_Key="v" * 3000)
        refused(answer, 507, "not enough space for file metadata: no space left on device")
        assert content(path) == b"old" and os.getxattr(path, "user.e2b.old") == b"old"
    else:
        pytest.skip("attributes of any size find room here")


def test_metadata_of_each_part_and_of_form_and_gzip(scratch):
    files = [(f"{scratch}/{name}", b"x") for name in "ab"]
    body = b"".join(b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nx\r\n'
                    % name.encode() for name, _ in files) + b"--B--\r\n"
    answer = exchange("POST", "/files", {**FORM, "X-Metadata-K": "v", "Content-Encoding": "gzip"},
                      gzip.compress(body))
    assert [entry["metadata"] for entry in json.loads(answer.body)] == [{"k": "v"}] * 2


def test_metadata_where_there_is_none():
    answer = post("/proc/self/comm", b"envd", X_Metadata_Key="v")
    assert (answer.status, json.loads(answer.body)) == (
        200, [{"name": "comm", "path": "/proc/self/comm", "type": "file"}])


# ---- checksums --------------------------------------------------------------


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("size", [0, 5, MIB])
@pytest.mark.parametrize("how", ["raw", "chunked", "gzip", "form"])
def test_checksum(scratch, size, how):
    path, data = f"{scratch}/file", os.urandom(size)

    def send(digest):
        digest = {"X-Envd-Sha256": digest}
        if how == "chunked":
            return post_chunked(path, data, **digest)
        if how == "gzip":
            return exchange("POST", target(path), {**RAW, **digest, "Content-Encoding": "gzip"},
                            gzip.compress(data))
        if how == "form":
            return exchange("POST", target(path), {**FORM, **digest},
                            b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
                            + data + b"\r\n--B--\r\n")
        return exchange("POST", target(path), {**RAW, **digest}, data)

    refused(send(sha256(data + b"x")), 400, "the content does not match X-Envd-Sha256")
    assert os.listdir(scratch) == []
    write(path, b"old content")
    refused(send(sha256(data + b"x")), 400, "the content does not match X-Envd-Sha256")
    assert content(path) == b"old content"
    assert send(sha256(data).upper()).status == 200
    assert content(path) == data


def test_checksum_of_other_forms(scratch):
    for digest in ("", "abc", "g" * 64, "0" * 65):
        answer = exchange("POST", target(f"{scratch}/file"), {**RAW, "X-Envd-Sha256": digest}, b"x")
        refused(answer, 400, "X-Envd-Sha256: not 64 hexadecimal digits")
    body = b"".join(b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nx\r\n'
                    % f"{scratch}/{name}".encode() for name in "ab") + b"--B--\r\n"
    answer = exchange("POST", "/files", {**FORM, "X-Envd-Sha256": sha256(b"x")}, body)
    refused(answer, 400, "X-Envd-Sha256 is for uploads of one file")
    assert os.listdir(scratch) == ["a"]


# ---- targets ----------------------------------------------------------------


def test_names_that_are_too_long_and_loops(scratch):
    os.symlink("loop", f"{scratch}/loop")
    for path, reason in [(f"{scratch}/{'n' * 256}/f", "file name too long"),
                         (f"{scratch}/loop/f", "too many levels of symbolic links")]:
        answer = post(path, b"x")
        assert answer.status == 400
        message = json.loads(answer.body)["message"]
        assert message.startswith("error ensuring directories: ") and message.endswith(reason)


def test_a_running_program(scratch):
    path = f"{scratch}/program"
    write(path, content("/bin/sleep"))
    os.chmod(path, 0o751)
    with subprocess.Popen([path, "1000"]) as running:
        try:
            eventually(lambda: os.readlink(f"/proc/{running.pid}/exe") == path)
            assert post(path, b"new", X_Metadata_Key="v").status == 200
            assert content(path) == b"new" and os.stat(path).st_mode & 0o7777 == 0o751
            assert os.getxattr(path, "user.e2b.key") == b"v"
        finally:
            running.kill()
    assert os.listdir(scratch) == ["program"]


# ---- clients that go away ---------------------------------------------------


def open_below(folder):
    """Files below a folder that the agent has open."""
    base, found = f"/proc/{os.environ['ENVD_PID']}/fd", []
    for fd in os.listdir(base):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"{base}/{fd}"))
    return [name for name in found if name.startswith(folder)]


def stages(body, head):
    """What a client has sent when it leaves, without the last byte at most."""
    return [0, 1, len(head), len(head) + 1, len(body) // 2, len(body) - 1]


@pytest.mark.parametrize("kind", ["raw", "chunked", "form", "gzip"])
@pytest.mark.parametrize("old", [None, b"old content"])
def test_client_gone_at_each_stage(scratch, kind, old):
    path = f"{scratch}/file"
    data = os.urandom(700_000)
    head, headers = b"", dict(RAW)
    if kind == "form":
        head, headers = b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\n', dict(FORM)
        data = head + data + b"\r\n--B--\r\n"
        data = data[:-8]  # without its end it is not complete
    elif kind == "gzip":
        headers["Content-Encoding"] = "gzip"
        data, head = gzip.compress(data, 1), b"x" * 10
    elif kind == "chunked":
        headers["Transfer-Encoding"] = "chunked"
        data, head = chunked([data[:300_000], data[300_000:]]), b"493e0\r\n"
    if kind != "chunked":
        headers["Content-Length"] = str(len(data) + 8)
    for sent in stages(data, head):
        if old:
            write(path, old)
        with contextlib.closing(Connection()) as conn:
            conn.send(request("POST", target(path), headers) + data[:sent])
        assert exchange("GET", "/health").status == 204
        eventually(lambda: not open_below(scratch)
                   and os.listdir(scratch) == (["file"] if old else []))
        assert not old or content(path) == old
