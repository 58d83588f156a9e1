"""GET and POST /files/tar, against tar(1) and Python's tarfile."""

import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time

import pytest

from conftest import OWN_PORT, eventually
from wire import Connection, chunked, exchange, request

pytestmark = pytest.mark.ours


def get(path, headers=(), query="", **options):
    return exchange("GET", f"/files/tar?path={path}{query}", headers, **options)


def post(path, body, headers=(), query="", **options):
    return exchange("POST", f"/files/tar?path={path}{query}", headers, body, **options)


def packed(path, headers=()):
    answer = get(path, headers)
    assert answer.status == 200, answer.body
    assert answer.get("content-type") == "application/x-tar"
    return answer.body


def unpacked(path, body, headers=()):
    answer = post(path, body, headers)
    assert (answer.status, answer.get("content-type")) == (200, "application/json"), answer.body
    return json.loads(answer.body)


def refused(answer, status, text):
    assert answer.status == status, answer.body
    assert answer.get("content-type") == "application/json; charset=utf-8"
    body = json.loads(answer.body)
    assert body["code"] == status and text in body["message"], body


def member(name, kind=tarfile.REGTYPE, data=b"", **fields):
    made = tarfile.TarInfo(name)
    made.type, made.size = kind, len(data)
    for key, value in fields.items():
        setattr(made, key, value)
    return made, data


def archive(*members, form=tarfile.PAX_FORMAT, **options):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, **options) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tree(root):
    """What is below a folder, to compare: everything an archive keeps."""
    found = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files, "."]:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            kind = info.st_mode & 0o170000
            found[os.path.normpath(os.path.relpath(path, root))] = (
                info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns,
                os.readlink(path) if os.path.islink(path) else None,
                open(path, "rb").read() if kind == 0o100000 else None,
                info.st_nlink if kind == 0o100000 else None)
    return found


LONG = "n" * 130


@pytest.fixture
def source(scratch):
    """A folder with one of everything that is packed."""
    root = f"{scratch}/source"
    os.makedirs(f"{root}/sub/empty")
    os.makedirs(f"{root}/{LONG}/{LONG}")
    for name, data in {"file": b"content\n", "sub/zero": b"", f"{LONG}/{LONG}/deep": b"x" * 511,
                       "sub/block": b"y" * 512, "größe": b"z" * 513,
                       "sub/large": os.urandom(700_000)}.items():
        with open(f"{root}/{name}", "wb") as made:
            made.write(data)
    os.symlink("file", f"{root}/link")
    os.symlink("/nowhere/" + "t" * 200, f"{root}/sub/dangling")
    os.link(f"{root}/file", f"{root}/sub/second")
    os.chmod(f"{root}/sub/zero", 0o640)
    os.chmod(f"{root}/sub/empty", 0o700)
    os.utime(f"{root}/file", ns=(0, 1_234_567_890_123_456_789))
    os.utime(f"{root}/sub", (1, 1))
    return root


def test_there_and_back(source, scratch):
    os.utime(f"{source}/sub/zero", ns=(0, -4_500_000_000))  # before the epoch
    answer = unpacked(f"{scratch}/copy", packed(source))
    assert tree(f"{scratch}/copy") == tree(source)
    assert answer == {"path": f"{scratch}/copy", "files": 6, "directories": 5, "links": 3,
                      "bytes": 700_000 + 8 + 511 + 512 + 513}


def test_gnu_tar_reads_it(source, scratch):
    os.mkdir(f"{scratch}/copy")
    done = subprocess.run(["tar", "-xpf", "-", "-C", f"{scratch}/copy"], input=packed(source),
                          capture_output=True, check=True)
    assert done.stderr == b""
    assert tree(f"{scratch}/copy") == tree(source)


def test_tarfile_reads_it(source):
    with tarfile.open(fileobj=io.BytesIO(packed(source))) as tar:
        members = {m.name: m for m in tar}
        assert tar.extractfile("sub/large").read() == open(f"{source}/sub/large", "rb").read()
    assert sorted(members) == sorted([
        ".", "file", "größe", "link", LONG, f"{LONG}/{LONG}", f"{LONG}/{LONG}/deep", "sub",
        "sub/block", "sub/dangling", "sub/empty", "sub/large", "sub/second", "sub/zero"])
    assert members["sub/second"].islnk() and members["sub/second"].linkname == "file"
    assert members["file"].mtime == pytest.approx(1_234_567_890.123456789)
    assert members["file"].uname == "root" and members["file"].mode == 0o644


def test_order_is_that_of_a_listing(source):
    with tarfile.open(fileobj=io.BytesIO(packed(source))) as tar:
        names = tar.getnames()
    assert names[0] == "."
    top = [n for n in names[1:] if "/" not in n]
    assert top == sorted(os.listdir(source), key=os.fsencode)


@pytest.mark.parametrize("flags", [[], ["--format=gnu"], ["--format=pax"], ["--format=posix"],
                                   ["--format=oldgnu"]])
def test_archives_of_gnu_tar(source, scratch, flags):
    made = subprocess.run(["tar", *flags, "-cf", "-", "-C", source, "."], capture_output=True,
                          check=True).stdout
    unpacked(f"{scratch}/copy", made)
    ours, theirs = tree(f"{scratch}/copy"), tree(source)
    if "pax" not in str(flags) and "posix" not in str(flags):  # only whole seconds
        ours, theirs = ({name: (*e[:3], e[3] // 10**9, *e[4:]) for name, e in t.items()}
                        for t in (ours, theirs))
    assert ours == theirs


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_archives_of_tarfile(scratch, form):
    body = archive(member("a/b/c", data=b"123", mode=0o600, mtime=77),
                   member("a/b", tarfile.DIRTYPE, mode=0o711, mtime=78),
                   member("a/l", tarfile.SYMTYPE, linkname="../x"), form=form)
    assert unpacked(f"{scratch}/t", body)["files"] == 1
    info = os.stat(f"{scratch}/t/a/b/c")
    assert (info.st_mode & 0o7777, info.st_mtime) == (0o600, 77)
    folder = os.stat(f"{scratch}/t/a/b")
    assert (folder.st_mode & 0o7777, folder.st_mtime) == (0o711, 78)
    assert os.readlink(f"{scratch}/t/a/l") == "../x"


@pytest.mark.parametrize("how", ["header", "sniffed", "members"])
def test_gzip_bodies(source, scratch, how):
    body = packed(source)
    half = len(body) // 2
    zipped = gzip.compress(body[:half]) + gzip.compress(body[half:]) if how == "members" else \
        gzip.compress(body)
    unpacked(f"{scratch}/copy", zipped, {"Content-Encoding": "gzip"} if how == "header" else {})
    assert tree(f"{scratch}/copy") == tree(source)


def test_gzip_answer(source):
    answer = get(source, {"Accept-Encoding": "gzip"})
    assert answer.get("content-encoding") == "gzip"
    assert "Accept-Encoding" in answer.get("vary")
    assert gzip.decompress(answer.body) == packed(source)


def test_no_acceptable_coding(source):
    refused(get(source, {"Accept-Encoding": "br, identity;q=0"}), 406, "no acceptable encoding")


def test_special_files_are_left_out(scratch):
    os.makedirs(f"{scratch}/s/in")
    os.mkfifo(f"{scratch}/s/fifo")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{scratch}/s/socket")
        with tarfile.open(fileobj=io.BytesIO(packed(f"{scratch}/s"))) as tar:
            assert tar.getnames() == [".", "in"]


def test_virtual_file_systems_below_are_left_out(scratch):
    os.makedirs(f"{scratch}/m/proc")
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("needs a mount namespace of its own")
    mounted = subprocess.run(["mount", "-t", "proc", "proc", f"{scratch}/m/proc"],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mount is not allowed here")
    try:
        with tarfile.open(fileobj=io.BytesIO(packed(f"{scratch}/m"))) as tar:
            assert tar.getnames() == [".", "proc"]
    finally:
        subprocess.run(["umount", f"{scratch}/m/proc"], check=True)


def test_sparse_ends_and_large_offsets(scratch):
    os.mkdir(f"{scratch}/s")
    with open(f"{scratch}/s/holes", "wb") as made:
        made.truncate(5_000_000)
        made.seek(4_000_000)
        made.write(b"here")
    unpacked(f"{scratch}/copy", packed(f"{scratch}/s"))
    assert open(f"{scratch}/copy/holes", "rb").read() == open(f"{scratch}/s/holes", "rb").read()


def test_files_that_shrink_and_vanish_do_not_break_it(scratch):
    """The sender is held up behind the first file; then the others change."""
    os.mkdir(f"{scratch}/s")
    size = 64 << 20  # far more than all queues on the way hold
    for name in ("1", "2", "3", "4"):
        with open(f"{scratch}/s/{name}", "wb") as made:
            made.truncate(size)
    with Connection(receive_buffer=4096) as conn:
        conn.send(request("GET", f"/files/tar?path={scratch}/s"))
        assert conn.head().status == 200
        first = conn.chunk()
        os.truncate(f"{scratch}/s/1", 100)
        os.remove(f"{scratch}/s/2")
        os.truncate(f"{scratch}/s/3", 10)
        with open(f"{scratch}/s/5", "wb") as made:
            made.write(b"new: not in the listing that is under way")
        rest = [first]
        while chunk := conn.chunk():
            rest.append(chunk)
        trailers = dict(conn.fields())
    with tarfile.open(fileobj=io.BytesIO(b"".join(rest))) as tar:
        sizes = {m.name: m.size for m in tar}
        assert tar.extractfile("1").read() == bytes(size)  # filled up
    assert sizes == {".": 0, "1": size, "3": 10, "4": size}
    assert trailers == {"x-envd-incomplete": "1"}


def test_unreadable_trees_deeper_than_paths(scratch):
    here = os.open(scratch, os.O_RDONLY)
    os.mkdir("deep", dir_fd=here)
    fd = os.open("deep", os.O_RDONLY, dir_fd=here)
    for _ in range(40):  # deeper than the directories a walk holds open
        os.mkdir("d" * 90, dir_fd=fd)
        below = os.open("d" * 90, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("bottom", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)
    os.close(here)
    body = packed(f"{scratch}/deep")
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        assert tar.getnames()[-1] == "/".join(["d" * 90] * 40) + "/bottom"
    assert unpacked(f"{scratch}/copy", body)["directories"] == 41


def test_checks_of_get(scratch):
    open(f"{scratch}/file", "w").close()
    refused(get(f"{scratch}/none"), 404, f"path '{scratch}/none' does not exist")
    refused(get(f"{scratch}/file"), 400, f"path '{scratch}/file' is not a directory")
    refused(get("~nobody"), 400, "cannot expand user-specific home dir")
    refused(get(scratch, query="&username=nobody-here"), 401, "unknown user nobody-here")
    answer = exchange("GET", f"/files/tar?path={scratch}&path=/tmp")
    assert answer.status == 400 and b"multiple values" in answer.body


def test_checks_of_post(scratch):
    open(f"{scratch}/file", "w").close()
    body = archive(member("x"))
    refused(exchange("POST", "/files/tar", {}, body), 400, "path query parameter is required")
    refused(post(f"{scratch}/file", body), 400, "is not a directory")
    refused(post(f"{scratch}/t", body, query="&username=nobody-here"), 401, "unknown user")
    refused(post(f"{scratch}/t", body, {"Content-Encoding": "br"}), 400,
            "unsupported Content-Encoding: br")
    assert not os.path.exists(f"{scratch}/t")


def test_empty_archive(scratch):
    assert unpacked(f"{scratch}/t", archive())["files"] == 0
    assert os.listdir(f"{scratch}/t") == []


def corrupt(body, at, value):
    return body[:at] + value + body[at + len(value):]


@pytest.mark.parametrize("body, text", [
    (b"", "the archive is empty"),
    (b"hello" * 200, "not a tar archive"),
    (archive(member("a", data=b"x" * 2000))[:1500], "unexpected end of the archive"),
    (archive(member("a"))[:500], "unexpected end of the archive"),
    (corrupt(archive(member("a"), member("b")), 512, b"c"), "not a header where one should be"),
    (gzip.compress(archive(member("a", data=os.urandom(3000))))[:-9], "error decompressing"),
    (gzip.compress(archive(member("a"))) + b"rubbish", "error decompressing"),
    (archive(member("a" * 5000)), "a name is too long"),
    (archive(member("a", pax_headers={"comment": "c" * 300_000})), "extended header is too long"),
    (archive(member("a", pax_headers={"GNU.sparse.major": "1"})), "sparse members"),
    (archive(member("a", pax_headers={"size": "x"})), "bad number"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_broken_archives(scratch, body, text):
    refused(post(f"{scratch}/t", body), 400, text)


@pytest.mark.parametrize("info, text", [
    (member("/absolute"), "the name is absolute"),
    (member("../up"), "leads out of the directory"),
    (member("a/../../up"), "leads out of the directory"),
    (member("a/.."), "leads out of the directory"),
    (member(""), "the name is empty"),
    (member("x" * 256), "the name is too long"),
    (member("."), "it is the directory itself"),
    (member("dev", tarfile.CHRTYPE), "only files, directories and links"),
    (member("dev", tarfile.BLKTYPE), "only files, directories and links"),
    (member("fifo", tarfile.FIFOTYPE), "only files, directories and links"),
    (member("odd", b"Z"), "only files, directories and links"),
    (member("h", tarfile.LNKTYPE, linkname="../outside"), "leads out of the directory"),
    (member("h", tarfile.LNKTYPE, linkname="/etc/passwd"), "the name is absolute"),
    (member("h", tarfile.LNKTYPE, linkname="missing"), "what is not there"),
    (member("there"), "it is there, and is a directory"),
    (member("there", tarfile.SYMTYPE, linkname="x"), "it is there, and is a directory"),
    (member("plain", tarfile.DIRTYPE), "it is there, and is no directory"),
    (member("plain/below"), "a directory on its way is a link or a file"),
    (member("out/below", data=b"x"), "a directory on its way is a link or a file"),
    (member("out/below", tarfile.DIRTYPE), "a directory on its way is a link or a file"),
    (member("out", tarfile.DIRTYPE), "it is there, and is no directory"),
    (member("h", tarfile.LNKTYPE, linkname="out/secret"), "what is not there"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_what_is_refused(scratch, info, text):
    os.makedirs(f"{scratch}/t/there")
    os.mkdir(f"{scratch}/outside")
    with open(f"{scratch}/outside/secret", "w") as made:
        made.write("secret")
    before = tree(f"{scratch}/outside")
    body = archive(member("plain", data=b"p"), member("out", tarfile.SYMTYPE,
                                                      linkname=f"{scratch}/outside"), info)
    refused(post(f"{scratch}/t", body), 400, text)
    assert tree(f"{scratch}/outside") == before
    assert sorted(os.listdir(scratch)) == ["outside", "t"]
    assert sorted(os.listdir(f"{scratch}/t")) == ["out", "plain", "there"]


def test_a_file_replaces_a_link_and_does_not_write_through_it(scratch):
    os.mkdir(f"{scratch}/t")
    with open(f"{scratch}/outside", "w") as made:
        made.write("kept")
    os.symlink(f"{scratch}/outside", f"{scratch}/t/f")
    os.link(f"{scratch}/outside", f"{scratch}/t/h")
    unpacked(f"{scratch}/t", archive(member("f", data=b"new"), member("h", data=b"new")))
    assert open(f"{scratch}/outside").read() == "kept"
    assert open(f"{scratch}/t/f").read() == "new" and not os.path.islink(f"{scratch}/t/f")
    assert open(f"{scratch}/t/h").read() == "new"


def test_links_replace_files(scratch):
    os.mkdir(f"{scratch}/t")
    for name in ("s", "h"):
        open(f"{scratch}/t/{name}", "w").close()
    body = archive(member("f", data=b"1"), member("s", tarfile.SYMTYPE, linkname="f"),
                   member("h", tarfile.LNKTYPE, linkname="f"),
                   member("f", tarfile.LNKTYPE, linkname="./f"))
    unpacked(f"{scratch}/t", body)
    assert os.readlink(f"{scratch}/t/s") == "f"
    assert os.stat(f"{scratch}/t/h").st_ino == os.stat(f"{scratch}/t/f").st_ino
    unpacked(f"{scratch}/t", body)  # again, over what is there
    assert open(f"{scratch}/t/h").read() == "1"


def test_directory_that_was_there_keeps_its_mode(scratch):
    os.mkdir(f"{scratch}/t")
    os.chmod(f"{scratch}/t", 0o1777)
    unpacked(f"{scratch}/t", archive(member("./", tarfile.DIRTYPE, mode=0o700)))
    assert os.stat(f"{scratch}/t").st_mode & 0o7777 == 0o1777


def test_closed_directories_are_filled_first(scratch):
    body = archive(member("d", tarfile.DIRTYPE, mode=0o555, mtime=5),
                   member("d/e", tarfile.DIRTYPE, mode=0o500, mtime=6),
                   member("d/e/f", data=b"x", mtime=7))
    unpacked(f"{scratch}/t", body)
    assert os.stat(f"{scratch}/t/d").st_mtime == 5
    assert os.stat(f"{scratch}/t/d/e").st_mode & 0o7777 == 0o500


def test_owner_is_the_user(scratch):
    os.chmod(scratch, 0o777)
    body = archive(member("d", tarfile.DIRTYPE), member("new/f", data=b"x", uid=0, mode=0o6755),
                   member("l", tarfile.SYMTYPE, linkname="f"))
    answer = post(f"{scratch}/t", body, query="&username=daemon")
    assert answer.status == 200, answer.body
    for name in ("", "d", "new", "new/f", "l"):
        info = os.lstat(f"{scratch}/t/{name}")
        assert (info.st_uid, info.st_gid) == (1, 1), name
    assert os.stat(f"{scratch}/t/new/f").st_mode & 0o7777 == 0o755  # set-id for root, not for him


def test_what_came_before_a_failure_stays(scratch):
    body = archive(member("one", data=b"1"), member("two", data=b"2" * 4000))
    refused(post(f"{scratch}/t", body[:2000]), 400, "unexpected end")
    assert os.listdir(f"{scratch}/t") == ["one"]


def test_client_that_leaves_leaves_no_half_files(scratch):
    body = archive(member("one", data=b"1"), member("two", data=bytes(3_000_000)))
    with Connection() as conn:
        conn.send(request("POST", f"/files/tar?path={scratch}/t",
                          {"Content-Length": str(len(body))}) + body[:2_000_000])
        eventually(lambda: os.path.exists(f"{scratch}/t/two"))
    eventually(lambda: os.listdir(f"{scratch}/t") == ["one"])


def test_full_disk(scratch):
    if not os.environ["SDK_PRIVATE"]:
        pytest.skip("needs a mount namespace of its own")
    os.mkdir(f"{scratch}/m")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", f"{scratch}/m"],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("mount is not allowed here")
    try:
        body = archive(member("one", data=b"1"), member("two", data=bytes(8 << 20)))
        refused(post(f"{scratch}/m/t", body), 507, "no space left on device")
        assert os.listdir(f"{scratch}/m/t") == ["one"]
    finally:
        subprocess.run(["umount", f"{scratch}/m"], check=True)


def test_chunked_body_in_small_pieces(source, scratch):
    body = packed(source)[:20_480] + bytes(1024)
    pieces = [body[at:at + 37] for at in range(0, len(body), 37)]
    answer = exchange("POST", f"/files/tar?path={scratch}/t", {"Transfer-Encoding": "chunked"},
                      chunked(pieces))
    assert answer.status in (200, 400)
    assert open(f"{scratch}/t/file").read() == "content\n"


def test_token_is_needed(scratch, own_agent):
    assert exchange("POST", "/init", {"Content-Type": "application/json"},
                    b'{"accessToken":"secret"}', OWN_PORT).status == 204
    for answer in (get(scratch, port=OWN_PORT), post(scratch, archive(), port=OWN_PORT)):
        refused(answer, 401, "unauthorized access")
    token = {"X-Access-Token": "secret"}
    assert get(scratch, token, port=OWN_PORT).status == 200
    assert post(scratch, archive(), token, port=OWN_PORT).status == 200


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as text:
        return int(text.read().split()[1]) * 4096


@pytest.mark.skipif(os.environ.get("ENVD_SANITIZED") == "1", reason="sanitizers keep memory")
def test_memory_is_flat(scratch):
    """A gigabyte out to a slow reader and back in: the agent holds a few slices of it."""
    pid = int(os.environ["ENVD_PID"])
    os.mkdir(f"{scratch}/s")
    with open(f"{scratch}/s/large", "wb") as made:
        made.truncate(1 << 30)
    before = resident(pid)
    most = 0
    with Connection() as out, Connection() as back:
        out.send(request("GET", f"/files/tar?path={scratch}/s"))
        assert out.head().status == 200
        back.send(request("POST", f"/files/tar?path={scratch}/t",
                          {"Transfer-Encoding": "chunked"}))
        while chunk := out.chunk():
            back.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            most = max(most, resident(pid))
        back.send(b"0\r\n\r\n")
        assert back.answer("POST").status == 200
    assert os.stat(f"{scratch}/t/large").st_size == 1 << 30
    assert most - before < 8 << 20


def test_many_at_once_are_bounded(scratch, agent_with):
    """Streams that nobody reads hold a place each; the next one is told so."""
    agent_with()
    os.mkdir(f"{scratch}/s")
    with open(f"{scratch}/s/large", "wb") as made:
        made.truncate(1 << 30)
    held = []
    try:
        for _ in range(64):
            held.append(Connection(OWN_PORT, receive_buffer=4096))
            held[-1].send(request("GET", f"/files/tar?path={scratch}/s"))
            assert held[-1].head().status == 200
        refused(get(f"{scratch}/s", port=OWN_PORT), 503, "more than 64 archives at once")
        held.pop().close()
        eventually(lambda: exchange("POST", f"/files/tar?path={scratch}/t", {}, archive(),
                                    OWN_PORT).status == 200)
    finally:
        for conn in held:
            conn.close()
