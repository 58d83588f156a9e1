"""GET and POST /files through sockets: tables of the REST contract, 8.4 and 8.5,
flat memory, and what is left when a client goes away."""

import concurrent.futures
import contextlib
import gzip
import hashlib
import base64
import http.client
import json
import os
import shutil
import socket
import stat
import tempfile
import time
from urllib.parse import quote, urlencode, urlsplit

import pytest

MIB = 1 << 20
SLICE = 256 * 1024
BIG = int(os.environ.get("ENVD_TEST_MIB", "512")) * MIB
RAW = "application/octet-stream"
FORM = "multipart/form-data; boundary=B"
pytestmark = pytest.mark.ours
ROOM = (4 if not os.environ["ENVD_SANITIZED"] else 512) * MIB
PART = 'Content-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'


class Agent:
    def __init__(self, url, pid=None):
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        self.pid = pid

    def connect(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def socket(self):
        return socket.create_connection((self.host, self.port), timeout=60)

    def ask(self, method, target, body=None, headers=None):
        with contextlib.closing(self.connect()) as c:
            c.request(method, target, body, headers or {})
            r = c.getresponse()
            r.content = r.read()
            return r

    def get(self, path=None, headers=None, **query):
        if path is not None:
            query["path"] = path
        return self.ask("GET", "/files?" + urlencode(query), None, headers)

    def post(self, body, path=None, ctype=RAW, headers=None, **query):
        if path is not None:
            query["path"] = path
        headers = {**({"Content-Type": ctype} if ctype else {}), **(headers or {})}
        return self.ask("POST", "/files?" + urlencode(query), body, headers)

    def memory_peak(self):
        with open(f"/proc/{self.pid}/status") as f:
            return next(int(v.split()[1]) * 1024 for v in f if v.startswith("VmHWM"))

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as f:
            f.write("5")

    def open_files(self, prefix):
        base = f"/proc/{self.pid}/fd"
        found = []
        for fd in os.listdir(base):
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(f"{base}/{fd}")
                if target.startswith(prefix):
                    found.append(target)
        return found


def until(condition, limit=30):
    """Wait until something holds that will hold soon."""
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def agent():
    return Agent("http://127.0.0.1:49983", int(os.environ["ENVD_PID"]))


@pytest.fixture
def dir():
    path = tempfile.mkdtemp(prefix="envd-files-", dir="/dev/shm")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def write(path, content, mode=0o644):
    with open(path, "wb") as f:
        f.write(content)
    os.chmod(path, mode)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def form(*parts, end="--B--\r\n"):
    """A multipart body of (head, content) pairs."""
    out = b""
    for head, content in parts:
        out += b"--B\r\n" + head.encode() + content + b"\r\n"
    return out + end.encode()


def named(path, content):
    return PART % path, content


def is_error(r, status, message):
    assert (r.status, json.loads(r.content)) == (
        status,
        {"code": status, "message": message},
    )
    assert r.getheader("Content-Type") == "application/json; charset=utf-8"
    assert r.getheader("X-Content-Type-Options") == "nosniff"
    assert r.content.endswith(b"}\n")


def stored(r, *paths):
    entries = [{"name": os.path.basename(p), "path": p, "type": "file"} for p in paths]
    assert (r.status, json.loads(r.content)) == (200, entries)
    assert r.getheader("Content-Type") == "application/json"


def is_text_error(r, text):
    assert (r.status, r.content.decode()) == (400, text + "\n")
    assert r.getheader("Content-Type") == "text/plain; charset=utf-8"


# ---- download ---------------------------------------------------------------


def test_get_small(agent, dir):
    path = write(dir + "/hello.txt", b"hello")
    os.utime(path, (1700000000, 1700000000))
    r = agent.get(path)
    assert (r.status, r.content) == (200, b"hello")
    assert r.getheader("Content-Length") == "5"
    assert r.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert r.getheader("Content-Disposition") == "inline; filename=hello.txt"
    assert r.getheader("Last-Modified") == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert r.headers.get_all("Vary") == ["Origin, Accept-Encoding"]


def test_get_empty_has_a_length(agent, dir):
    r = agent.get(write(dir + "/empty", b""))
    assert (r.status, r.content) == (200, b"")
    assert r.getheader("Content-Length") == "0"
    assert r.getheader("Content-Type") == "text/plain; charset=utf-8"


def test_get_epoch_has_no_last_modified(agent, dir):
    path = write(dir + "/old", b"x")
    os.utime(path, (0, 0))
    assert agent.get(path).getheader("Last-Modified") is None


@pytest.mark.parametrize(
    "name, content, ctype, disposition",
    [
        ("a.JSON", b"{}", "application/json", "a.JSON"),
        ("page", b"<html>", "text/html; charset=utf-8", "page"),
        ("bytes", b"\0\1", "application/octet-stream", "bytes"),
        (".env", b"A=b", "text/plain; charset=utf-8", ".env"),
        ("my doc.pdf", b"", "application/pdf", '"my doc.pdf"'),
        ('q"b\\.txt', b"", "text/plain; charset=utf-8", '"q\\"b\\\\.txt"'),
    ],
)
def test_get_types(agent, dir, name, content, ctype, disposition):
    r = agent.get(write(f"{dir}/{name}", content))
    assert (r.status, r.content) == (200, content)
    assert r.getheader("Content-Type") == ctype
    assert r.getheader("Content-Disposition") == "inline; filename=" + disposition


def test_get_unicode_name(agent, dir):
    r = agent.get(write(dir + "/文档.pdf", b"x"))
    assert (
        r.getheader("Content-Disposition")
        == "inline; filename*=utf-8''%E6%96%87%E6%A1%A3.pdf"
    )


@pytest.mark.parametrize("size", [65535, 65536, 65537, SLICE, 5 * MIB + 1])
def test_get_sizes(agent, dir, size):
    content = os.urandom(size)
    r = agent.get(write(dir + "/f", content))
    assert r.status == 200 and r.content == content
    assert r.getheader("Content-Length") == str(size)
    assert r.getheader("Content-Type") == "application/octet-stream"


def test_get_pipelined_keeps_the_connection(agent, dir):
    big, small = os.urandom(3 * MIB), b"small"
    paths = [write(dir + "/big", big), write(dir + "/small", small)]
    with contextlib.closing(agent.connect()) as c:
        for _ in range(3):
            for path, content in zip(paths, (big, small)):
                c.request("GET", "/files?path=" + path)
                r = c.getresponse()
                assert r.read() == content


def test_get_failures(agent, dir):
    write(dir + "/file", b"x")
    os.symlink("nothing", dir + "/dangling")
    os.symlink("loop", dir + "/loop")
    os.mkfifo(dir + "/fifo")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as s:
        s.bind(dir + "/socket")
    stat_error = "error checking if path exists '%s': stat %s: "
    for name, status, message in [
        ("missing", 404, "path '%s' does not exist"),
        ("dangling", 404, "path '%s' does not exist"),
        ("", 400, "path '%s' is a directory"),
        ("fifo", 400, "path '%s' is not a regular file"),
        ("socket", 400, "path '%s' is not a regular file"),
        ("file/x", 500, stat_error + "not a directory"),
        ("loop", 400, stat_error + "too many levels of symbolic links"),
        ("n" * 256, 400, stat_error + "file name too long"),
    ]:
        path = f"{dir}/{name}"
        is_error(agent.get(path), status, message.replace("%s", path))
    is_error(
        agent.get(dir + "/a\0b"),
        400,
        f"error expanding and resolving path '{dir}/a': the path holds a NUL byte: "
        "invalid argument",
    )


def test_get_paths(agent):
    is_error(agent.get(), 400, "path '/root' is a directory")
    is_error(agent.get("no/such"), 404, "path '/root/no/such' does not exist")
    is_error(agent.get("../no"), 404, "path '/no' does not exist")
    is_error(agent.get("~/no"), 404, "path '/root/no' does not exist")
    is_error(agent.get("/no/../such"), 404, "path '/no/../such' does not exist")
    is_error(
        agent.get("~bob/x"),
        400,
        "error expanding and resolving path '~bob/x': failed to expand path '' "
        "for user 'root': cannot expand user-specific home dir",
    )


def test_users(agent):
    for name in ("nosuch", "1500", ""):
        message = f"error looking up user '{name}': user: unknown user {name}"
        is_error(agent.get("/etc/passwd", username=name), 401, message)
        is_error(agent.post(b"", "/dev/null", username=name), 401, message)
    assert agent.get("/etc/passwd", username="root").status == 200


def test_query(agent):
    twice = "Invalid format for parameter %s: multiple values for single value "
    twice += "parameter '%s'"
    for method in ("GET", "POST"):
        r = agent.ask(method, "/files?path=a&path=b")
        is_text_error(r, twice % ("path", "path"))
        r = agent.ask(method, "/files?signature_expiration=x")
        is_text_error(
            r,
            "Invalid format for parameter signature_expiration: error binding "
            'string parameter: strconv.ParseInt: parsing "x": invalid syntax',
        )
    is_error(agent.ask("GET", "/files?path=/a;x=1"), 400, "path '/root' is a directory")


def test_get_codings(agent, dir):
    path = write(dir + "/f", b"x")
    none = "error parsing Accept-Encoding: no acceptable encoding found, "
    none += "supported: [gzip]"
    for accept in ("br, identity;q=0", "*;q=0"):
        is_error(agent.get(path, {"Accept-Encoding": accept}), 406, none)
    for accept in ("identity", "br", "*", "*;q=0, identity", "gzip;q=0, br"):
        r = agent.get(path, {"Accept-Encoding": accept})
        assert (r.status, r.content) == (200, b"x")
    r = agent.get(path, {"Accept-Encoding": "gzip; q=1,*; q=0", "Range": "bytes=0-1"})
    is_error(r, 406, "identity encoding not acceptable for Range or conditional request")
    # The file is looked at first.
    r = agent.get(dir + "/missing", {"Accept-Encoding": "*;q=0"})
    is_error(r, 404, f"path '{dir}/missing' does not exist")


def test_get_made_up_files(agent):
    assert agent.get("/proc/version").content == read("/proc/version")
    r = agent.get("/sys/kernel/mm/transparent_hugepage/enabled")
    assert r.status in (200, 404) and r.content
    assert agent.get("/dev/null").content == b""
    assert agent.get("/dev/zero").content == b"\0" * (16 * MIB)
    r = agent.get("/proc/kallsyms")
    assert r.status == 200 and len(r.content) > SLICE
    assert r.getheader("Transfer-Encoding") == "chunked"


def test_get_shrinking_file_is_cut(agent, dir):
    path = write(dir + "/f", b"")
    os.truncate(path, 256 * MIB)
    with contextlib.closing(agent.connect()) as c:
        c.request("GET", "/files?path=" + path)
        r = c.getresponse()
        assert len(r.read(MIB)) == MIB
        os.truncate(path, 2 * MIB)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            r.read()


def test_get_growing_file_is_not(agent, dir):
    path = write(dir + "/f", b"x" * (32 * MIB))
    with contextlib.closing(agent.connect()) as c:
        c.request("GET", "/files?path=" + path)
        r = c.getresponse()
        first = r.read(MIB)
        with open(path, "ab") as f:
            f.write(b"y" * MIB)
        assert first + r.read() == b"x" * (32 * MIB)


def test_get_client_gone(agent, dir):
    path = write(dir + "/f", b"")
    os.truncate(path, 64 * MIB)
    for taken in (0, 1, MIB, 8 * MIB):
        with contextlib.closing(agent.socket()) as s:
            s.sendall(f"GET /files?path={path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            while taken > 0:
                taken -= len(s.recv(min(taken, 65536)))
    if agent.pid:
        until(lambda: not agent.open_files(dir))


# ---- upload -----------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, SLICE - 1, SLICE, SLICE + 1, 3 * MIB + 7])
@pytest.mark.parametrize("old", [None, 10, 5 * MIB])
@pytest.mark.parametrize("how", ["raw", "chunked", "form", "gzip"])
def test_post_sizes(agent, dir, size, old, how):
    content, path, headers, body = os.urandom(size), dir + "/a/b/f", {}, None
    if old is not None:
        os.makedirs(dir + "/a/b")
        inode = os.stat(write(path, b"o" * old, 0o640)).st_ino
    ctype, body = RAW, content
    if how == "chunked":
        body = iter([content[i : i + 99999] for i in range(0, size, 99999)])
    elif how == "form":
        ctype, body = FORM, form(named("ignored", content))
    elif how == "gzip":
        headers, body = {"Content-Encoding": "gzip"}, gzip.compress(content, 1)
    stored(agent.post(body, path, ctype, headers), path)
    assert read(path) == content
    info = os.stat(path)
    assert stat.S_IMODE(info.st_mode) == (0o644 if old is None else 0o640)
    assert old is None or info.st_ino == inode
    assert os.listdir(dir + "/a/b") == ["f"]


def test_post_owner(agent, dir):
    with open("/etc/passwd") as f:
        users = [line.split(":") for line in f]
    name, _, uid, gid = next(u for u in users if u[2] not in ("", "0"))[:4]
    path = dir + "/new/f"
    stored(agent.post(b"x", path, username=name), path)
    for p in (path, dir + "/new"):
        assert (os.stat(p).st_uid, os.stat(p).st_gid) == (int(uid), int(gid))
    stored(agent.post(b"y" * MIB, path), path)
    assert os.stat(path).st_uid == 0


def test_post_refusals_before_the_body(agent, dir):
    unsupported = "unsupported content type: %s, expected multipart/form-data or "
    unsupported += "application/octet-stream"
    form_error = "error parsing multipart form: "
    for ctype, status, message in [
        ("application/json", 400, unsupported % "application/json"),
        (None, 400, unsupported % ""),
        ("/", 400, unsupported % "/"),
        (RAW + "; =", 400, "path query parameter is required for raw body upload"),
        (
            "multipart/form-data",
            500,
            form_error + "no multipart boundary param in Content-Type",
        ),
        (
            "multipart/related; boundary=B",
            500,
            form_error + "request Content-Type isn't multipart/form-data",
        ),
    ]:
        is_error(agent.post(b"x", None, ctype), status, message)
    is_error(
        agent.post(b"x", "/x", headers={"Content-Encoding": "br"}),
        400,
        "error decompressing request body: unsupported Content-Encoding: br, "
        "supported: [gzip]",
    )
    is_error(
        agent.post(b"x", "~bob"),
        400,
        "error resolving path: failed to expand path '' for user 'root': cannot "
        "expand user-specific home dir",
    )


def test_post_gzip_faults(agent, dir):
    path, good = dir + "/f", gzip.compress(os.urandom(MIB))
    head = "error decompressing request body: failed to create gzip reader: "
    old = write(path, b"old content")
    for body, status, message in [
        (b"", 400, head + "EOF"),
        (good[:5], 400, head + "unexpected EOF"),
        (b"no gzip at all", 400, head + "gzip: invalid header"),
        (good[:-9], 500, "error writing file: unexpected EOF"),
        (good + b"x", 500, None),
    ]:
        r = agent.post(body, path, headers={"Content-Encoding": "gzip"})
        if message:
            is_error(r, status, message)
        assert r.status == status
        assert read(old) == b"old content"
    stored(agent.post(good + good, path, headers={"Content-Encoding": "GZip"}), path)
    assert os.stat(path).st_size == 2 * MIB


def test_post_targets(agent, dir):
    write(dir + "/plain", b"x")
    ensuring = "error ensuring directories: "
    is_error(agent.post(b"x", dir), 400, "path is a directory: " + dir)
    is_error(
        agent.post(b"x", dir + "/new/"), 400, f"path is a directory: {dir}/new/"
    )
    is_error(
        agent.post(b"x", dir + "/plain/f"),
        500,
        f"{ensuring}path is a file: {dir}/plain",
    )
    r = agent.post(b"x", "/proc/no/such")
    assert r.status == 500 and json.loads(r.content)["message"].startswith(ensuring)
    is_error(
        agent.post(b"x", "/proc/invalid-filename"),
        500,
        "error opening file: open /proc/invalid-filename: no such file or directory",
    )
    is_error(
        agent.post(b"x", dir + "/missing/../f"),
        500,
        f"error opening file: open {dir}/missing/../f: no such file or directory",
    )
    long = dir + "/" + "n" * 256
    is_error(
        agent.post(b"x", long),
        400,
        f"error getting file info: stat {long}: file name too long",
    )
    is_error(
        agent.post(b"12345", "/dev/full"),
        507,
        "attempted to write 5 bytes: not enough disk space available",
    )
    stored(agent.post(b"x" * MIB, "/dev/null"), "/dev/null")


def test_post_refusal_needs_no_body(agent, dir):
    """A large upload to a bad target is refused while the client waits."""
    with contextlib.closing(agent.socket()) as s:
        s.sendall(
            f"POST /files?path={dir} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: {RAW}\r\nContent-Length: {MIB}\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert s.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_post_continue(agent, dir):
    with contextlib.closing(agent.socket()) as s:
        s.sendall(
            f"POST /files?path={dir}/f HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: {RAW}\r\nContent-Length: 5\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert s.recv(65536).startswith(b"HTTP/1.1 100 ")
        s.sendall(b"hello")
        assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert read(dir + "/f") == b"hello"


def test_post_full_disk_is_refused_at_once(agent, dir):
    path = write(dir + "/f", b"old content")
    size = 1 << 60
    with contextlib.closing(agent.socket()) as s:
        s.sendall(
            f"POST /files?path={path} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: {RAW}\r\nContent-Length: {size}\r\n\r\n".encode()
        )
        answer = s.recv(65536)
    assert answer.startswith(b"HTTP/1.1 507 ")
    assert b"attempted to write %d bytes: not enough disk space" % size in answer
    assert read(path) == b"old content"


# ---- multipart --------------------------------------------------------------


def test_form_names(agent, dir):
    paths = [f"{dir}/a", f"{dir}/deep/er/b", f"{dir}/ü \"q\""]
    heads = [
        PART % paths[0],
        PART % paths[1],
        'content-disposition: FORM-DATA; filename=x; NAME="file"; '
        f"filename*=UTF-8''{quote(paths[2], safe='')}\r\n\r\n",
    ]
    body = form(*((h, str(i).encode() * 10) for i, h in enumerate(heads)))
    stored(agent.post(body, None, FORM), *paths)
    for i, path in enumerate(paths):
        assert read(path) == str(i).encode() * 10


def test_form_many_small_files(agent, dir):
    paths = [f"{dir}/{i % 10}/{i}" for i in range(1000)]
    body = form(*(named(p, p.encode()) for p in paths))
    stored(agent.post(body, None, FORM), *paths)
    assert all(read(p) == p.encode() for p in paths)


def test_form_other_parts(agent, dir):
    path = dir + "/f"
    other = 'Content-Disposition: form-data; name="note"\r\n\r\n', b"text"
    stored(agent.post(form(other, named(path, b"x"), other), None, FORM), path)
    is_error(
        agent.post(form(other), None, FORM),
        400,
        "no file was uploaded: part 'note' is not a form-data part named 'file'",
    )
    stored(agent.post(form(), None, FORM))
    field = 'Content-Disposition: form-data; name="file"\r\n\r\n', b"y"
    stored(agent.post(form(field), path, FORM), path)
    assert read(path) == b"y"
    is_error(
        agent.post(form(named(dir + "/g", b"x"), field), None, FORM),
        400,
        "error getting multipart custom part file name: filename not found in "
        "Content-Disposition header",
    )
    assert read(dir + "/g") == b"x"


def test_form_same_path_twice(agent, dir):
    a, b, c = (f"{dir}/{n}" for n in "abc")
    text = f"you cannot upload multiple files to the same path '{a}' in one upload "
    text += "request, only the first specified file was uploaded"
    both = named(a, b"1"), named(a, b"2")
    is_error(agent.post(form(*both), None, FORM), 400, text)
    assert read(a) == b"1"
    one = named(a, b"1"), named(b, b"b"), named(a, b"2")
    is_error(agent.post(form(*one), None, FORM), 400, text)
    two = named(a, b"1"), named(b, b"b"), named(c, b"c"), named(a, b"2")
    also = f", also the following files were uploaded: {b}, {c}"
    is_error(agent.post(form(*two), None, FORM), 400, text + also)


def test_form_faults(agent, dir):
    path = write(dir + "/f", b"old content")
    one = form(named(path, b"new"), end="")
    for body, status, message in [
        (b"", 500, "error reading form: multipart: NextPart: EOF"),
        (b"no boundary", 500, "error reading form: multipart: NextPart: EOF"),
        (one[:-2], 500, "error writing file: unexpected EOF"),
        (b"--B\r\nno colon\r\n\r\n", 500, None),
        (b"--B\r\nX: " + b"x" * 70000, 500, "error reading form: multipart: message too large"),
    ]:
        r = agent.post(body, None, FORM)
        if message:
            is_error(r, status, message)
        assert r.status == status
        assert read(path) == b"old content"
    stored(agent.post(one + b"--B\r\n", None, FORM), path)
    assert read(path) == b"new"
    is_error(agent.post(form(named("", b"x")), None, FORM), 400, "path is a directory: /root")


def test_form_quoted_printable(agent, dir):
    path = dir + "/f"
    head = (PART % path)[:-2] + "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    stored(agent.post(form((head, b"a=3Db=\r\nc  \r\n=zz")), None, FORM), path)
    assert read(path) == b"a=bc\r\n=zz"


def test_form_content_like_boundaries(agent, dir):
    path = dir + "/f"
    content = b"\r\n--A\r\n-\r\n--Bx\r\r\n--B-x" * 40000
    stored(agent.post(form(named(path, content)), None, FORM), path)
    assert read(path) == content


# ---- two writers, and clients that go away ----------------------------------


def head_of(path, length, ctype=RAW):
    return (
        f"POST /files?path={path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"Content-Type: {ctype}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def status_of(s):
    answer = b""
    while part := s.recv(65536):
        answer += part
    return int(answer.split()[1])


def test_uploads_of_one_file_do_not_mix(agent, dir):
    path, size = dir + "/f", 3 * MIB
    for _ in range(5):
        clients = [agent.socket() for _ in range(4)]
        for s in clients:
            s.sendall(head_of(path, size))
        for _ in range(6):
            for i, s in enumerate(clients):
                s.sendall(bytes([65 + i]) * (size // 6))
        assert [status_of(s) for s in clients] == [200] * 4
        for s in clients:
            s.close()
        content = read(path)
        assert len(content) == size and len(set(content)) == 1


@pytest.mark.parametrize("old", [None, b"old content"])
@pytest.mark.parametrize("sent", [0, 1, 1000, SLICE, SLICE + 1, 2 * MIB])
@pytest.mark.parametrize("ctype", [RAW, FORM])
def test_client_gone_leaves_the_old(agent, dir, old, sent, ctype):
    path = dir + "/f"
    if old:
        write(path, old)
    pre = b"" if ctype == RAW else b"--B\r\n" + (PART % path).encode()
    with contextlib.closing(agent.socket()) as s:
        s.sendall(head_of(path, 4 * MIB, ctype) + pre + b"n" * sent)
        if sent > SLICE and agent.pid:
            until(lambda: agent.open_files("/dev/shm/"))
    # By then the loop has seen what the client sent, and its end.
    for _ in range(3):
        assert agent.ask("GET", "/health").status == 204
    until(lambda: (not agent.pid or not agent.open_files("/dev/shm/"))
          and os.listdir(dir) == (["f"] if old else []))
    assert not old or read(path) == old


def test_form_goes_on_when_its_file_is_free(agent, dir):
    """Its first file is another's for a while; what follows comes meanwhile."""
    first, second = dir + "/first", os.urandom(MIB)
    body = form(named(first, b"f" * 1000), named(dir + "/second", second))

    def turns():
        for _ in range(20):
            assert agent.ask("GET", "/health").status == 204

    with contextlib.closing(agent.socket()) as holder, contextlib.closing(agent.socket()) as s:
        holder.sendall(head_of(first, MIB) + b"h" * (MIB - 1))
        until(lambda: os.path.exists(first))
        s.sendall(head_of("", len(body), FORM).replace(b"?path=", b"") + body[:300_000])
        turns()
        s.sendall(body[300_000:-1])
        turns()
        holder.sendall(b"h")
        assert status_of(holder) == 200
        s.sendall(body[-1:])
        assert status_of(s) == 200
    assert read(first) == b"f" * 1000
    assert read(dir + "/second") == second


def test_half_closed_client_is_told(agent, dir):
    with contextlib.closing(agent.socket()) as s:
        s.sendall(head_of(dir + "/f", MIB) + b"n" * 1000)
        s.shutdown(socket.SHUT_WR)
        assert status_of(s) == 500
    until(lambda: os.listdir(dir) == [])


# ---- memory -----------------------------------------------------------------


def blocks(size, block=bytes(range(256)) * 4096):
    for _ in range(size // len(block)):
        yield block


@pytest.mark.parametrize("how", ["raw", "form"])
def test_big_transfer_takes_no_memory(agent, dir, how):
    if not agent.pid:
        pytest.skip("ENVD_PID is not set")
    if b"__asan_init" in read(f"/proc/{agent.pid}/exe"):
        pytest.skip("the sanitizer keeps what is freed")
    path, wrap = dir + "/big", (b"", b"")
    if how == "form":
        wrap = b"--B\r\n" + (PART % path).encode(), b"\r\n--B--\r\n"
    agent.forget_peak()
    before = agent.memory_peak()
    with contextlib.closing(agent.socket()) as s:
        ctype = RAW if how == "raw" else FORM
        s.sendall(head_of(path, BIG + len(wrap[0]) + len(wrap[1]), ctype) + wrap[0])
        for b in blocks(BIG):
            s.sendall(b)
        s.sendall(wrap[1])
        assert status_of(s) == 200
    assert os.stat(path).st_size == BIG
    with contextlib.closing(agent.connect()) as c:
        c.request("GET", "/files?path=" + path)
        r = c.getresponse()
        for b in blocks(BIG):
            assert r.read(len(b)) == b
        assert r.read() == b""
    assert agent.memory_peak() - before < ROOM


@pytest.mark.parametrize("how", ["raw", "form", "chunked"])
def test_parallel_uploads_take_no_memory(agent, dir, how):
    if b"__asan_init" in read(f"/proc/{agent.pid}/exe"):
        pytest.skip("the sanitizer keeps what is freed")
    count, size = 8, BIG // 8

    def upload(i):
        path, pre, post = f"{dir}/{i}", b"", b""
        if how == "form":
            pre, post = b"--B\r\n" + (PART % path).encode(), b"\r\n--B--\r\n"
        head = head_of(path, len(pre) + size + len(post), FORM if how == "form" else RAW)
        if how == "chunked":
            head = head.replace(b"Content-Length: %d" % size, b"Transfer-Encoding: chunked")
            pre, post = b"%x\r\n" % size, b"\r\n0\r\n\r\n"
        with contextlib.closing(agent.socket()) as s:
            s.sendall(head + pre)
            for b in blocks(size):
                s.sendall(b)
            s.sendall(post)
            return status_of(s)

    agent.forget_peak()
    before = agent.memory_peak()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        assert list(pool.map(upload, range(count))) == [200] * count
    assert [os.stat(f"{dir}/{i}").st_size for i in range(count)] == [size] * count
    assert agent.memory_peak() - before < ROOM


# ---- proofs -----------------------------------------------------------------


def signature(path, operation, user, expiration=None):
    text = f"{path}:{operation}:{user}:{TOKEN}"
    if expiration is not None:
        text += f":{expiration}"
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest())
    return "v1_" + digest.decode().rstrip("=")


TOKEN = "secret-access-token"


@pytest.fixture
def secured(own_agent):
    made = Agent(f"http://127.0.0.1:{own_agent.port}", own_agent.pid)
    assert made.ask("POST", "/init", json.dumps({"accessToken": TOKEN})).status == 204
    return made


def test_proofs(secured, dir):
    path = dir + "/f"
    missing = "missing signature query parameter"
    is_error(secured.get(path), 401, missing)
    is_error(secured.post(b"x", path), 401, missing)
    # The query comes before the proof, the proof before all else.
    is_text_error(
        secured.ask("GET", "/files?path=a&path=b"),
        "Invalid format for parameter path: multiple values for single value "
        "parameter 'path'",
    )
    is_error(secured.get(path, username="nosuch"), 401, missing)
    is_error(secured.post(b"x", path, "application/json"), 401, missing)
    wrong = "access token present in header but does not match"
    is_error(secured.get(path, {"X-Access-Token": "x"}), 401, wrong)
    is_error(secured.get(path, signature="v1_x"), 401, "invalid signature")

    good = signature(path, "write", "root")
    stored(secured.post(b"hello", path, username="root", signature=good), path)
    r = secured.get(path, username="root", signature=good)
    is_error(r, 401, "invalid signature")
    good = signature(path, "read", "")
    assert secured.get(path, signature=good).content == b"hello"
    past, future = 1700000000, int(time.time()) + 3600
    r = secured.get(
        path, signature=signature(path, "read", "", past), signature_expiration=past
    )
    is_error(r, 401, "signature is already expired")
    r = secured.get(
        path,
        signature=signature(path, "read", "", future),
        signature_expiration=f"00{future}",
    )
    assert r.content == b"hello"
    assert secured.get(path, {"X-Access-Token": TOKEN}, signature="x").status == 200
    # A signature over the empty path lets the parts name their files.
    body = form(named(path, b"from a part"))
    stored(secured.post(body, None, FORM, signature=signature("", "write", "")), path)
    assert read(path) == b"from a part"
