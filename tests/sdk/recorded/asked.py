"""What is asked: named cases, each a few requests to a fresh folder.

`{root}` in a path, a header or a body is that folder, which `make_tree` fills.
A case whose name begins with `token-` goes to an agent with the token `secret`.

An agent may do what it is asked, and works as root: no case names a source, or
something to be removed or written, outside of its folder.  The empty path, `.`
and `~` are the home of root.
"""

import base64
import gzip
import hashlib
import json
import os
from urllib.parse import quote

TOKEN = "secret"
TIME = 1_600_000_000  # of everything in the folder


def make_tree(root):
    os.makedirs(f"{root}/dir/sub")
    files = {"file.txt": b"0123456789abcdefghij\n", "empty": b"", "dir/inner.txt": b"inner\n",
             "page.html": b"<!DOCTYPE html><p>page\n", "data": bytes(range(256)),
             "a b;c.json": b"{}", "dir/sub/deep": b"deep", "old": b"old content\n",
             "part1": b"one,", "part2": b"two"}
    for name, data in files.items():
        with open(f"{root}/{name}", "wb") as made:
            made.write(data)
        os.chmod(f"{root}/{name}", 0o644)
    os.mkfifo(f"{root}/fifo", 0o644)
    links = {"link": "file.txt", "dirlink": "dir", "dangling": "nowhere", "loop": "loop",
             "chain": "link"}
    for name, target in links.items():
        os.symlink(target, f"{root}/{name}")
    os.mkdir(f"{root}/void")
    for folder, folders, names in os.walk(root, topdown=False):
        for name in [*names, *folders]:
            os.utime(f"{folder}/{name}", (TIME, TIME), follow_symlinks=False)
    os.utime(root, (TIME, TIME))


# ---- ways to ask


def ask(method, path, headers=(), body=None):
    return {"method": method, "path": path, "headers": dict(headers), "body": body}


def get(path, headers=(), query="", method="GET"):
    return ask(method, f"/files?path={path if '%' in path else quote(path, safe='/{}~')}{query}",
               headers)


def raw(path, body=b"new content\n", headers=(), query=""):
    return ask("POST", f"/files?path={path}{query}",
               {"Content-Type": "application/octet-stream", **dict(headers)}, body)


def part(head, content=b"form content\n"):
    return b"--B\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def named(filename, content=b"form content\n", name="file"):
    return part(f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'.encode(),
                content)


FORM = {"Content-Type": "multipart/form-data; boundary=B"}
END = b"--B--\r\n"


def form(body, query="", headers=FORM):
    return ask("POST", f"/files{query}", headers, body)


def compose(body):
    return ask("POST", "/files/compose", {"Content-Type": "application/json"},
               body if isinstance(body, bytes) else json.dumps(body).encode())


def rpc(name, message, headers=()):
    service, method = name.split("/")
    return ask("POST", f"/{service.lower()}.{service}/{method}",
               {"Content-Type": "application/json", **dict(headers)},
               message if isinstance(message, bytes) else json.dumps(message).encode())


def stream(name, message, headers=()):
    service, method = name.split("/")
    body = json.dumps(message).encode()
    return ask("POST", f"/{service.lower()}.{service}/{method}",
               {"Content-Type": "application/connect+json", **dict(headers)},
               b"\0" + len(body).to_bytes(4, "big") + body)


def start(cmd, *args, **members):
    process = {"cmd": cmd, "args": list(args), **members.pop("process", {})}
    return stream("Process/Start", {"process": process, **members})


def stat(path):
    return rpc("Filesystem/Stat", {"path": path})


def basic(name):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:".encode()).decode()}


CASES = {}


def harmless(request):
    """Whether a request to change something names places in the folder alone."""
    body = request["body"]
    if not request["path"].startswith("/filesystem.Filesystem/") or body is None:
        return True
    if not request["path"].endswith(("/Move", "/Remove", "/MakeDir")):
        return True
    paths = [value for key, value in json.loads(body).items()
             if key in ("path", "source", "destination")]
    return all(p.startswith(("{root}/", "~daemon")) for p in paths)


def case(name, *requests):
    assert name not in CASES, name
    assert all(map(harmless, requests)), name
    CASES[name] = requests


# ---- gates and routes (chapter 2)

for path in ("/nothing", "/health/", "//health", "/fil%65s", "/files/", "/"):
    case(f"route-{path}", ask("GET", path))
for method, path in (("POST", "/health"), ("HEAD", "/health"), ("DELETE", "/files"),
                     ("GET", "/init"), ("PUT", "/metrics"), ("GET", "/files/compose"),
                     ("TRACE", "/envs"), ("OPTIONS", "/files"), ("FOO", "/health"),
                     ("GET", "/process.Process/List"), ("HEAD", "/filesystem.Filesystem/Stat")):
    case(f"method-{method}-{path}", ask(method, path))
case("health", ask("GET", "/health"))
case("envs", ask("GET", "/envs"))
ORIGIN = {"Origin": "http://example.org"}
case("cors-origin", ask("GET", "/health", ORIGIN))
case("cors-origin-404", ask("GET", "/nothing", ORIGIN))
case("cors-origin-405", ask("POST", "/health", ORIGIN))
PREFLIGHT = {**ORIGIN, "Access-Control-Request-Method": "POST"}
case("cors-preflight", ask("OPTIONS", "/files", PREFLIGHT))
case("cors-preflight-headers", ask("OPTIONS", "/files", {
    **PREFLIGHT, "Access-Control-Request-Headers": "x-access-token, content-type"}))
case("cors-preflight-unknown-path", ask("OPTIONS", "/nothing", PREFLIGHT))
case("cors-preflight-unknown-method", ask("OPTIONS", "/files", {
    **ORIGIN, "Access-Control-Request-Method": "TRACE"}))
case("cors-preflight-no-origin", ask("OPTIONS", "/files", {
    "Access-Control-Request-Method": "GET"}))
case("basic-unknown-rest", ask("GET", "/health", basic("nobody-here")))
case("basic-unknown-rpc", rpc("Filesystem/Stat", {"path": "/"}, basic("nobody-here")))
case("basic-unknown-rpc-stream", stream("Process/Start", {}, basic("nobody-here")))
case("basic-unknown-unknown-rpc", ask("POST", "/process.Process/Nothing", basic("nobody-here")))
case("basic-malformed", rpc("Process/List", {}, {"Authorization": "Basic !"}))
case("basic-root", rpc("Filesystem/Stat", {"path": "{root}/file.txt"}, basic("root")))
for name, body in {"no-json": b"x", "array": b"[]", "token-empty": b'{"accessToken":""}',
                   "token-number": b'{"accessToken":1}', "token-escape": b'{"accessToken":"\\u0061"}',
                   "timestamp": b'{"timestamp":"yesterday"}', "trailing": b"{} {}",
                   "empty": b"", "null": b"null", "object": b"{}"}.items():
    case(f"init-{name}", ask("POST", "/init", {"Content-Type": "application/json"}, body))

# ---- query parameters (2.5)

case("query-twice", ask("GET", "/files?path=a&path=b"))
case("query-user-twice", ask("GET", "/files?path=a&username=a&username=b"))
for value in ("x", "", "9223372036854775808", "1.5"):
    case(f"query-expiration-{value}", ask("GET", f"/files?path=a&signature_expiration={value}"))
case("query-expiration-zeros", get("{root}/file.txt", query="&signature_expiration=007"))
case("query-semicolon", ask("GET", "/files?path={root}/file.txt;x=1"))
case("query-bad-escape", ask("GET", "/files?path=%zz"))
case("query-plus", get("%7Broot%7D/none", query=""))
case("query-escaped", ask("GET", "/files?p%61th={root}/a+b%3Bc.json"))
case("query-unknown", get("{root}/file.txt", query="&whatever=1&x"))
case("query-user-empty", get("{root}/file.txt", query="&username="))
case("query-user-unknown", get("{root}/file.txt", query="&username=nobody-here"))
case("query-user-number", get("{root}/file.txt", query="&username=0"))
case("query-user-given", get("{root}/file.txt", query="&username=daemon"))

# ---- GET /files (8.4)

for name in ("file.txt", "empty", "page.html", "data", "a b;c.json", "link", "chain",
             "dir/../file.txt", "dir//inner.txt", "dirlink/inner.txt"):
    case(f"get-{name}", get("{root}/" + name))
for name in ("none", "dangling", "dir", "dirlink", "void/", "loop", "file.txt/below",
             "file.txt/", "x" * 300):
    case(f"get-refused-{name[:20]}", get("{root}/" + name))
case("get-refused-no-path", ask("GET", "/files"))
case("get-refused-empty-path", ask("GET", "/files?path="))
case("get-refused-nul", ask("GET", "/files?path={root}/a%00b"))
case("get-refused-other-home", get("~daemon/x"))
case("get-home", get("~/envd-none"))
case("get-relative", get("envd-none/../envd-nothing"))
case("get-proc", get("/proc/self/comm"))
for value in ("bytes=0-4", "bytes=5-", "bytes=-5", "bytes=0-0", "bytes=20-20", "bytes=20-900",
              "bytes=21-", "bytes=5-2", "bytes=-0", "bytes=", "items=0-1", "bytes=a-b",
              "bytes=0-1,4-5", "bytes=0-1,90-", "bytes=90-,80-", "bytes=0-,0-,0-", " bytes=0-4",
              "bytes=0-1, 3-4 ,6-"):
    case(f"get-range-{value}", get("{root}/file.txt", {"Range": value}))
case("get-range-of-empty", get("{root}/empty", {"Range": "bytes=0-1"}))
SAME, LATER, EARLIER = ("Sun, 13 Sep 2020 12:26:40 GMT", "Mon, 14 Sep 2020 12:26:40 GMT",
                        "Sat, 12 Sep 2020 12:26:40 GMT")
for name, headers in {
        "since-same": {"If-Modified-Since": SAME}, "since-later": {"If-Modified-Since": LATER},
        "since-earlier": {"If-Modified-Since": EARLIER},
        "since-rubbish": {"If-Modified-Since": "soon"},
        "none-match-any": {"If-None-Match": "*"}, "none-match-tag": {"If-None-Match": '"x"'},
        "none-match-and-since": {"If-None-Match": '"x"', "If-Modified-Since": SAME},
        "match-any": {"If-Match": "*"}, "match-tag": {"If-Match": '"x"'},
        "unmodified-same": {"If-Unmodified-Since": SAME},
        "unmodified-earlier": {"If-Unmodified-Since": EARLIER},
        "range-if-same": {"Range": "bytes=0-3", "If-Range": SAME},
        "range-if-other": {"Range": "bytes=0-3", "If-Range": EARLIER},
        "range-if-tag": {"Range": "bytes=0-3", "If-Range": '"x"'}}.items():
    case(f"get-if-{name}", get("{root}/file.txt", headers))
for value in ("gzip", "identity", "br", "*", "gzip;q=0", "gzip;q=0, identity;q=0", "*;q=0",
              "br, *;q=0", "gzip, identity", "identity, gzip", "gzip;q=0.5, identity;q=0.9",
              "GZIP", "gzip;q=x", "identity;q=0", "", "deflate, gzip;q=1.0, *;q=0.5",
              "gzip;q=-1"):
    case(f"get-coding-{value}", get("{root}/file.txt", {"Accept-Encoding": value}))
for name, headers in {"range": {"Range": "bytes=0-3"}, "since": {"If-Modified-Since": SAME}}.items():
    case(f"get-gzip-and-{name}", get("{root}/file.txt", {"Accept-Encoding": "gzip", **headers}))
    case(f"get-only-gzip-and-{name}", get("{root}/file.txt", {
        "Accept-Encoding": "gzip, identity;q=0", **headers}))
case("get-gzip-match", get("{root}/file.txt", {"Accept-Encoding": "gzip", "If-Match": '"x"'}))
case("get-gzip-sniffed", get("{root}/dir/sub/deep", {"Accept-Encoding": "gzip"}))
case("head-file", get("{root}/file.txt", method="HEAD"))

# ---- POST /files (8.5)

for name in ("new", "old", "link", "new/parents/f", "dir/../up", "dirlink/through"):
    case(f"post-{name}", raw("{root}/" + name), get("{root}/" + name), stat("{root}/" + name))
case("post-dangling", raw("{root}/dangling"), get("{root}/nowhere"))
case("post-empty-body", raw("{root}/old", b""), get("{root}/old"))
case("post-as-user", raw("{root}/d/f", query="&username=daemon"), stat("{root}/d"),
     stat("{root}/d/f"))
for name in ("dir", "dirlink", "void/", "new/", "file.txt/below", "loop", "x" * 300,
             "missing/../f"):
    case(f"post-refused-{name[:20]}", raw("{root}/" + name))
case("post-refused-nul", raw("{root}/a%00b"))
case("post-refused-no-path", ask("POST", "/files", {"Content-Type": "application/octet-stream"}, b"x"))
case("post-refused-user", raw("{root}/f", query="&username=nobody-here"))
case("post-refused-home", raw("~daemon/x"))
case("post-refused-twice", raw("{root}/f", query="&path=x"))
for value in ("text/plain", "", "application/json", "rubbish", "application/octet-stream; x"):
    case(f"post-type-{value}", ask("POST", "/files?path={root}/f", {"Content-Type": value}, b"x"))
case("post-type-none", ask("POST", "/files?path={root}/f", {}, b"x"))
ZIPPED = gzip.compress(b"zipped content\n", mtime=0)
GZIP = {"Content-Encoding": "gzip"}
case("post-gzip", raw("{root}/f", ZIPPED, GZIP), get("{root}/f"))
case("post-gzip-members", raw("{root}/f", ZIPPED + ZIPPED, GZIP), get("{root}/f"))
case("post-gzip-parameters", raw("{root}/f", ZIPPED, {"Content-Encoding": "GZip ; x=1"}))
case("post-gzip-empty", raw("{root}/f", b"", GZIP))
case("post-gzip-short", raw("{root}/f", ZIPPED[:5], GZIP))
case("post-gzip-none", raw("{root}/f", b"not compressed at all", GZIP))
case("post-gzip-cut", raw("{root}/f", ZIPPED[:-3], GZIP))
case("post-gzip-rubbish-behind", raw("{root}/f", ZIPPED + b"rubbish", GZIP))
for value in ("br", "gzip, gzip", "identity"):
    case(f"post-coding-{value}", raw("{root}/f", b"x", {"Content-Encoding": value}))
case("post-form", form(named("{root}/f") + END), get("{root}/f"))
case("post-form-two", form(named("{root}/f") + named("{root}/g", b"2") + END), get("{root}/g"))
case("post-form-path", form(named("ignored") + END, "?path={root}/f"), get("{root}/f"))
case("post-form-same-path", form(named("a") + named("b") + END, "?path={root}/f"))
case("post-form-same-name", form(named("{root}/f") + named("{root}/f") + END))
case("post-form-same-name-later", form(named("{root}/f") + named("{root}/g") + named("{root}/h") +
                                       named("{root}/f") + END))
case("post-form-no-filename", form(part(b'Content-Disposition: form-data; name="file"') + END))
case("post-form-empty-filename", form(named("") + END))
case("post-form-other-name", form(named("{root}/f", name="other") + END))
case("post-form-no-parts", form(END))
case("post-form-no-boundary", form(END, headers={"Content-Type": "multipart/form-data"}))
case("post-form-mixed", form(named("{root}/f") + END, headers={
    "Content-Type": "multipart/mixed; boundary=B"}))
case("post-form-alternative", form(named("{root}/f") + END, headers={
    "Content-Type": "multipart/alternative; boundary=B"}))
case("post-form-cut", form(named("{root}/f")[:-6]))
case("post-form-no-end", form(named("{root}/f") + b"--B"), get("{root}/f"))
case("post-form-nothing", form(b""))
case("post-form-lines", form((named("{root}/f") + END).replace(b"\r\n", b"\n")))
case("post-form-star", form(part(
    b"Content-Disposition: form-data; name=\"file\"; filename=\"x\"; "
    b"filename*=UTF-8''{root}/%C3%A4") + END))
case("post-form-quoted-printable", form(part(
    b'Content-Disposition: form-data; name="file"; filename="{root}/f"\r\n'
    b"Content-Transfer-Encoding: quoted-printable", b"a=3Db=\r\nc") + END), get("{root}/f"))
case("post-form-preamble", form(b"preamble\r\n" + named("{root}/f") + END + b"epilogue"))
META = {"X-Metadata-Author": "me", "X-Metadata-Empty": ""}
case("post-metadata", raw("{root}/f", headers=META), stat("{root}/f"))
case("post-metadata-replaced", raw("{root}/old", headers=META), raw("{root}/old"),
     stat("{root}/old"))
case("post-metadata-long-key", raw("{root}/f", headers={"X-Metadata-" + "k" * 247: "v"}))
case("post-metadata-bad-value", raw("{root}/f", headers={"X-Metadata-K": "a\tb"}))
case("post-metadata-too-much", raw("{root}/f", headers={"X-Metadata-K": "v" * 4090}))

# ---- POST /files/compose (8.6)


def parts(*names):
    return ["{root}/" + name for name in names]


def composed(sources, destination="{root}/out", **members):
    return compose({"source_paths": sources, "destination": destination, **members})


case("compose", composed(parts("part1", "part2")), get("{root}/out"), get("{root}/part1"),
     stat("{root}/out"))
case("compose-one", composed(parts("part1")), get("{root}/out"))
case("compose-parents", composed(parts("part1"), "{root}/n/e/w"), stat("{root}/n/e"))
case("compose-replace", composed(parts("part1"), "{root}/old"), get("{root}/old"))
case("compose-link-source", composed(parts("link")), get("{root}/out"), stat("{root}/file.txt"))
for name, body in {"empty": b"", "rubbish": b"x", "null": b"null", "array": b"[]",
                   "number": b'{"source_paths":1}', "behind": b"{} x"}.items():
    case(f"compose-body-{name}", compose(body))
case("compose-no-sources", composed([]))
case("compose-no-destination", composed(parts("part1"), ""))
case("compose-user", composed(parts("part1"), username="nobody-here"))
case("compose-missing", composed(parts("part1", "none")), stat("{root}/part1"))
case("compose-directory-source", composed(parts("dir")))
case("compose-fifo", composed(parts("fifo")))
case("compose-same", composed(parts("part1", "out"), "{root}/out"))
case("compose-home", composed(["~daemon/x"]))
case("compose-home-destination", composed(parts("part1"), "~daemon/x"))
case("compose-parent-is-file", composed(parts("part1"), "{root}/file.txt/x"))
case("compose-destination-is-directory", composed(parts("part1"), "{root}/dir"),
     stat("{root}/part1"))

# ---- filesystem.Filesystem (chapters 2 to 7)

for name in ("file.txt", "dir", "link", "dirlink", "dirlink/", "chain", "dangling", "loop", "fifo",
             "dir/", "dir/../empty", "none", "none/below", "file.txt/below", "link/", "x" * 300):
    case(f"stat-{name[:20]}", stat("{root}/" + name))
case("stat-other-home", stat("~daemon"))
case("stat-nul", stat("{root}/a\0b"))
case("stat-relative", stat("envd-none/../envd-nothing"))
for depth in (0, 1, 2, 3):
    case(f"list-{depth}", rpc("Filesystem/ListDir", {"path": "{root}", "depth": depth}))
for name in ("dir", "dirlink", "void", "none", "dangling", "file.txt", "link", "loop",
             "file.txt/below", "dir/"):
    case(f"list-{name}", rpc("Filesystem/ListDir", {"path": "{root}/" + name}))
case("list-other-home", rpc("Filesystem/ListDir", {"path": "~daemon"}))
for name in ("made", "made/below/deep", "dir", "dirlink", "file.txt", "file.txt/below", "dangling",
             "dangling/below", "missing/../x", "made/"):
    case(f"make-{name}", rpc("Filesystem/MakeDir", {"path": "{root}/" + name}))
case("make-as-user", rpc("Filesystem/MakeDir", {"path": "{root}/u/v"}, basic("daemon")),
     stat("{root}/u"))
case("make-other-home", rpc("Filesystem/MakeDir", {"path": "~daemon/x"}))


def move(source, destination):
    return rpc("Filesystem/Move", {"source": source, "destination": destination})


for source, destination in (
        ("file.txt", "moved"), ("file.txt", "new/parents/f"), ("file.txt", "old"), ("dir", "moved"),
        ("file.txt", "void"), ("dir", "void"), ("none", "moved"), ("none", "void"),
        ("dir", "file.txt"), ("dir", "dir/below"), ("file.txt", "file.txt"), ("dir", "dir"),
        ("link", "moved"), ("file.txt", "empty/below"), ("dangling", "moved")):
    case(f"move-{source}-{destination}", move("{root}/" + source, "{root}/" + destination))
case("move-other-home", move("~daemon/x", "{root}/x"))
case("move-to-other-home", move("{root}/file.txt", "~daemon/x"))
for name in ("file.txt", "dir", "dirlink", "dangling", "none", "none/below", "void/", "dir/.",
             "file.txt/below"):
    case(f"remove-{name}", rpc("Filesystem/Remove", {"path": "{root}/" + name}),
         stat("{root}/" + name), stat("{root}/dir"))
case("remove-other-home", rpc("Filesystem/Remove", {"path": "~daemon/x"}))
for name in ("dir", "none", "file.txt", "loop", "file.txt/below"):
    case(f"watcher-{name}", rpc("Filesystem/CreateWatcher", {"path": "{root}/" + name}))
case("watcher-other-home", rpc("Filesystem/CreateWatcher", {"path": "~daemon"}))
case("watcher-recursive-link", rpc("Filesystem/CreateWatcher", {
    "path": "{root}/dirlink", "recursive": True}))
for name in ("", "w-none"):
    case(f"watcher-events-{name}", rpc("Filesystem/GetWatcherEvents", {"watcherId": name}))
    case(f"watcher-remove-{name}", rpc("Filesystem/RemoveWatcher", {"watcherId": name}))
for name in ("none", "file.txt", "loop"):
    case(f"watch-{name}", stream("Filesystem/WatchDir", {"path": "{root}/" + name}))
case("rpc-unknown-field", rpc("Filesystem/Stat", {"path": "{root}/file.txt", "x": 1}))
case("rpc-wrong-type", rpc("Filesystem/Stat", {"path": 1}))
case("rpc-not-json", rpc("Filesystem/Stat", b"{"))
case("rpc-empty-body", rpc("Filesystem/Stat", b""))
case("rpc-media-type", ask("POST", "/filesystem.Filesystem/Stat", {"Content-Type": "text/plain"}, b"{}"))
case("rpc-unknown-method", rpc("Filesystem/Nothing", {}))

# ---- process.Process (chapters 2 to 6)

case("start-true", start("/bin/true"))
case("start-exit", start("/bin/sh", "-c", "echo out; echo err >&2; exit 3"))
case("start-killed", start("/bin/sh", "-c", "kill -9 $$"))
case("start-terminated", start("/bin/sh", "-c", "kill $$"))
case("start-cwd", start("/bin/pwd", process={"cwd": "{root}/dir"}))
case("start-cwd-missing", start("/bin/pwd", process={"cwd": "{root}/none"}))
case("start-cwd-file", start("/bin/pwd", process={"cwd": "{root}/file.txt"}))
case("start-cwd-home", start("/bin/pwd", process={"cwd": "~daemon"}))
case("start-env", start("/bin/sh", "-c", "echo $A $HOME $USER", process={"envs": {"A": "b"}}))
case("start-stdin-off", start("/bin/cat", stdin=False))
case("start-nul-argument", start("/bin/echo", "a\0b"))
case("start-nul-variable", start("/bin/true", process={"envs": {"A": "a\0b"}}))
case("start-pty", start("/bin/echo", "hi", pty={"size": {"cols": 80, "rows": 24}}))
case("start-pty-cwd-file", start("/bin/pwd", process={"cwd": "{root}/file.txt"},
                                 pty={"size": {"cols": 80, "rows": 24}}))
case("start-timeout-rubbish", stream("Process/Start", {"process": {"cmd": "true"}},
                                     {"Connect-Timeout-Ms": "x"}))
case("start-wrong-type", stream("Process/Start", {"process": 1}))
case("start-output", start("/bin/sh", "-c", "i=0; while [ $i -lt 200 ]; do echo line $i; "
                                            "i=$((i+1)); done"))
NOBODY = {"pid": {"process": {"pid": 999999999}}, "tag": {"process": {"tag": "none-such"}},
          "zero": {"process": {"pid": 0}}, "empty-tag": {"process": {"tag": ""}},
          "nothing": {}, "empty": {"process": {}}}
INPUT = {"input": {"stdin": base64.b64encode(b"x").decode()}}
for name, selector in NOBODY.items():
    case(f"process-connect-{name}", stream("Process/Connect", selector))
    for method, more in (("SendInput", INPUT), ("SendSignal", {"signal": 9}), ("Update", {}),
                         ("CloseStdin", {})):
        case(f"process-{method}-{name}", rpc(f"Process/{method}", {**selector, **more}))
case("process-list", rpc("Process/List", {}))

# The folder's own command, by its tag: `held` has standard input, `off` has
# none, `screen` has a terminal.
HELD = {"held": start("/bin/sh", "-c", "cat >/dev/null; exec sleep 600", tag="held"),
        "off": start("/bin/sleep", "600", stdin=False, tag="off"),
        "screen": start("/bin/sleep", "600", tag="screen", pty={"size": {"cols": 80, "rows": 24}})}


def of(tag, **members):
    return {"process": {"tag": tag}, **members}


PTY_INPUT = {"input": {"pty": base64.b64encode(b"x").decode()}}
SIZE = {"pty": {"size": {"cols": 100, "rows": 30}}}
for tag in HELD:
    case(f"live-{tag}-SendInput", rpc("Process/SendInput", of(tag, **INPUT)))
    case(f"live-{tag}-SendInput-pty", rpc("Process/SendInput", of(tag, **PTY_INPUT)))
    case(f"live-{tag}-SendInput-none", rpc("Process/SendInput", of(tag)))
    case(f"live-{tag}-SendInput-empty", rpc("Process/SendInput", of(tag, input={})))
    case(f"live-{tag}-CloseStdin", rpc("Process/CloseStdin", of(tag)),
         rpc("Process/CloseStdin", of(tag)))
    case(f"live-{tag}-Update", rpc("Process/Update", of(tag)))
    case(f"live-{tag}-Update-pty", rpc("Process/Update", of(tag, **SIZE)))
    case(f"live-{tag}-SendSignal-0", rpc("Process/SendSignal", of(tag)))
    case(f"live-{tag}-SendSignal-2", rpc("Process/SendSignal", of(tag, signal=2)))
    case(f"live-{tag}-SendSignal-99", rpc("Process/SendSignal", of(tag, signal=99)))
    case(f"live-{tag}-List", rpc("Process/List", {}))

# ---- with a token (2.2 and 5)


def signed(operation, path="{root}/file.txt", user="", expiration=None, token=TOKEN):
    """What stands for a signature until the folder's name is known."""
    return {"operation": operation, "path": path, "user": user, "expiration": expiration,
            "token": token}


def signature(claim, root):
    words = [claim["path"].replace("{root}", root), claim["operation"], claim["user"],
             claim["token"]]
    if claim["expiration"] is not None:
        words.append(str(claim["expiration"]))
    digest = hashlib.sha256(":".join(words).encode()).digest()
    return "v1_" + base64.b64encode(digest).decode().rstrip("=")


def with_signature(request, claim):
    return {**request, "sign": claim}


KEY = {"X-Access-Token": TOKEN}
for name, headers in {"none": {}, "wrong": {"X-Access-Token": "wrong"}, "right": KEY,
                      "empty": {"X-Access-Token": ""}}.items():
    for method, path in (("GET", "/health"), ("GET", "/envs"), ("GET", "/nothing"),
                         ("DELETE", "/files"), ("HEAD", "/health"), ("OPTIONS", "/files"),
                         ("POST", "/files/compose"), ("GET", "/files/"), ("GET", "/fil%65s"),
                         ("POST", "/filesystem.Filesystem/Stat")):
        case(f"token-{name}-{method}-{path}", ask(method, path, headers))
    case(f"token-{name}-get", get("{root}/file.txt", headers))
    case(f"token-{name}-post", raw("{root}/f", headers=headers))
    case(f"token-{name}-stat", rpc("Filesystem/Stat", {"path": "{root}/file.txt"}, headers))
    case(f"token-{name}-start", stream("Process/Start", {"process": {"cmd": "/bin/true"}}, headers))
case("token-query-first", ask("GET", "/files?path=a&path=b"))
FUTURE, PAST = 4_000_000_000, 1_500_000_000
for name, claim, query in (
        ("right", signed("read"), ""), ("write", signed("write"), ""),
        ("other-path", signed("read", "{root}/other"), ""),
        ("other-token", signed("read", token="x"), ""),
        ("user", signed("read", user="daemon"), "&username=daemon"),
        ("other-user", signed("read", user="daemon"), "&username=root"),
        ("user-not-substituted", signed("read", user="root"), ""),
        ("future", signed("read", expiration=FUTURE), f"&signature_expiration={FUTURE}"),
        ("future-zeros", signed("read", expiration=FUTURE), f"&signature_expiration=00{FUTURE}"),
        ("past", signed("read", expiration=PAST), f"&signature_expiration={PAST}"),
        ("expiration-not-signed", signed("read"), f"&signature_expiration={FUTURE}"),
        ("expiration-not-given", signed("read", expiration=FUTURE), "")):
    case(f"token-signature-{name}", with_signature(get("{root}/file.txt", query=query), claim))
case("token-signature-rubbish", get("{root}/file.txt", query="&signature=v1_x"))
case("token-signature-and-wrong-token",
     with_signature(get("{root}/file.txt", {"X-Access-Token": "wrong"}), signed("read")))
case("token-signature-upload", with_signature(raw("{root}/f"), signed("write", "{root}/f")))
case("token-signature-upload-read", with_signature(raw("{root}/f"), signed("read", "{root}/f")))
case("token-signature-form", with_signature(form(named("{root}/f") + END, "?x"),
                                            signed("write", "")))
case("token-signature-missing-file", with_signature(get("{root}/none"), signed("read", "{root}/none")))
case("token-init-other", ask("POST", "/init", {}, b'{"accessToken":"other"}'))
case("token-init-none", ask("POST", "/init", {}, b"{}"))
case("token-init-same", ask("POST", "/init", {}, b'{"accessToken":"secret"}'))
