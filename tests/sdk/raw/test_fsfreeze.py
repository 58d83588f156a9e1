"""POST /fsfreeze and /fsthaw on a file system of the tests' own, and what waits meanwhile."""

import fcntl
import glob
import io
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from agent import Agent

import rpc
from conftest import OWN_PORT, eventually
from wire import Connection, exchange, request

FITHAW = 0xC0045878
DISK_BYTES = 96 << 20
OCTETS = {"Content-Type": "application/octet-stream"}
GATED_MAX = 1024  # WORKER_GATED_JOBS

pytestmark = pytest.mark.ours

needs_disk = pytest.mark.skipif(
    not os.environ["SDK_PRIVATE"] or not os.path.exists("/dev/loop-control")
    or not shutil.which("mkfs.ext4"),
    reason="needs root, loop devices, mkfs.ext4 and a mount namespace of its own")


def readable(conns):
    """Those that have an answer, or a part of it, now."""
    poll = select.poll()
    by_fd = {conn.socket.fileno(): conn for conn in conns}
    for fd in by_fd:
        poll.register(fd, select.POLLIN)
    return [by_fd[fd] for fd, _ in poll.poll(0)]


def thaw_by_hand(path):
    """Whatever state it is in."""
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, FITHAW, 0)
    except OSError:
        pass  # it was not frozen
    finally:
        os.close(fd)


@pytest.fixture
def run_folder():
    """A folder for the marker that nobody else has."""
    made = not os.path.isdir("/run/e2b")
    os.makedirs("/run/e2b", exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/e2b"], check=True)
    yield "/run/e2b"
    subprocess.run(["umount", "-l", "/run/e2b"], check=True)
    if made:
        os.rmdir("/run/e2b")


@pytest.fixture
def disk(scratch, run_folder):
    """An ext4 in a file; it is thawed whatever becomes of the test."""
    image, path = f"{scratch}/image", f"{scratch}/disk"
    os.mkdir(path)
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, path], check=False,
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no loop device can be mounted: {mounted.stderr}")
    yield path
    thaw_by_hand(path)
    subprocess.run(["umount", "-l", path], check=True)


class Freezer:
    """An agent that freezes the disk instead of the root file system."""

    def __init__(self, disk, scratch):
        self.disk, self._scratch = disk, scratch
        self.agent = None
        self.start()

    def start(self):
        self.agent = Agent(os.environ["ENVD_BIN"],
                           ["-isnotfc", "-no-cgroups", "-verbose", f"-fs-freeze-mount={self.disk}"],
                           OWN_PORT, f"{self._scratch}/stderr", stdout=f"{self._scratch}/stdout")

    def stop(self):
        agent, self.agent = self.agent, None
        return agent.stop() if agent else []

    def post(self, path):
        return exchange("POST", path, port=OWN_PORT)

    def states(self):
        """Of all threads of the agent."""
        found = []
        for path in glob.glob(f"/proc/{self.agent.pid}/task/*/stat"):
            with open(path, encoding="latin-1") as file:
                found.append(file.read().rpartition(")")[2].split()[0])
        return found


@pytest.fixture
def freezer(disk, scratch):
    made = Freezer(disk, scratch)
    yield made
    thaw_by_hand(disk)
    assert made.stop() == []


def begin(method, path, headers=(), body=None):
    conn = Connection(OWN_PORT)
    conn.send(request(method, path, headers, body))
    return conn


def begin_call(name, message):
    return begin("POST", rpc.route(name), rpc.JSON, rpc.encode(message))


def begin_json(path, message):
    return begin("POST", path, rpc.JSON, json.dumps({**message, "username": "root"}).encode())


def begin_upload(path, body):
    return begin("POST", f"/files?path={path}&username=root", OCTETS, body)


def reads_are_served(folder):
    """What changes nothing is done as ever, on the frozen disk and elsewhere."""
    assert exchange("GET", "/health", port=OWN_PORT).status == 204
    answer = exchange("GET", f"/files?path={folder}/kept&username=root", port=OWN_PORT)
    assert answer.body == b"kept"
    names = [e["name"] for e in rpc.must("Filesystem/ListDir", {"path": folder, "depth": 1},
                                         port=OWN_PORT)["entries"]]
    assert "kept" in names
    rpc.must("Filesystem/Stat", {"path": f"{folder}/kept"}, port=OWN_PORT)
    answer = exchange("GET", f"/files/tar?path={folder}/tree&username=root", port=OWN_PORT)
    assert answer.status == 200


def a_process_runs(folder):
    with rpc.start(rpc.shell(f"cat {folder}/kept"), port=OWN_PORT) as run:
        assert run.finish()["exited"]
    assert run.output["stdout"] == b"kept"


def fill(disk):
    with open(f"{disk}/kept", "wb") as file:
        file.write(b"kept")
    os.mkdir(f"{disk}/tree")
    for i in range(20):
        with open(f"{disk}/tree/{i}", "wb") as file:
            file.write(b"%d" % i)
    for name in ("one", "two", "moved", "removed", "owned", "over"):
        with open(f"{disk}/{name}", "wb") as file:
            file.write(name.encode())


def archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("a", "b/c"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"text"))
    return out.getvalue()


# ---- the two calls


@needs_disk
def test_writes_block_and_reads_work(disk, freezer):
    fill(disk)
    for _ in range(2):
        answer = freezer.post("/fsfreeze")
        assert (answer.status, answer.get("cache-control")) == (204, "no-store")
    with subprocess.Popen(["sh", "-c", f"echo late > {disk}/late"]) as writer:
        eventually(lambda: state_of(writer.pid) == "D")
        with open(f"{disk}/kept", "rb") as file:
            assert file.read() == b"kept"
        assert not os.path.exists(f"{disk}/late")
        for _ in range(2):
            answer = freezer.post("/fsthaw")
            assert (answer.status, answer.get("cache-control")) == (204, "no-store")
        assert writer.wait(30) == 0
    with open(f"{disk}/late", "rb") as file:
        assert file.read() == b"late\n"


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        return file.read().rpartition(")")[2].split()[0]


@needs_disk
def test_what_somebody_else_has_frozen_can_be_thawed(disk, freezer):
    fill(disk)
    subprocess.run(["fsfreeze", "-f", disk], check=True)
    assert freezer.post("/fsfreeze").status == 204
    assert freezer.post("/fsthaw").status == 204
    with open(f"{disk}/new", "wb") as file:
        file.write(b"new")


@pytest.mark.parametrize("mount, freeze, thaw", [
    ("/proc", "FIFREEZE /proc: operation not supported", None),
    ("/nowhere", "open /nowhere: no such file or directory",
     "open /nowhere: no such file or directory"),
    ("/etc/passwd", "open /etc/passwd: not a directory", "open /etc/passwd: not a directory"),
])
def test_failures_are_told_and_nothing_is_held(agent_with, scratch, mount, freeze, thaw):
    agent_with(f"-fs-freeze-mount={mount}")
    for path, text in (("/fsfreeze", freeze), ("/fsthaw", thaw)):
        answer = exchange("POST", path, port=OWN_PORT)
        if "operation not permitted" in str(answer.body):
            pytest.skip("freezing needs CAP_SYS_ADMIN")
        assert answer.get("cache-control") == "no-store"
        if text is None:
            assert answer.status == 204
            continue
        assert answer.status == 500
        assert json.loads(answer.body) == {"code": 500, "message": text}
    rpc.must("Filesystem/MakeDir", {"path": f"{scratch}/made"}, port=OWN_PORT)


# ---- what the agent does meanwhile


@needs_disk
def test_all_that_writes_waits_for_the_thaw(disk, freezer):
    fill(disk)
    assert freezer.post("/fsfreeze").status == 204
    large = os.urandom(3 << 20)
    calls = {
        "upload": begin_upload(f"{disk}/new", b"new"),
        "large upload": begin_upload(f"{disk}/large", large),
        "upload over": begin_upload(f"{disk}/over", b"changed"),
        "compose": begin_json("/files/compose", {"source_paths": [f"{disk}/one", f"{disk}/two"],
                                                 "destination": f"{disk}/composed"}),
        "copy": begin_json("/files/copy", {"source": f"{disk}/tree",
                                           "destination": f"{disk}/copied"}),
        "attributes": begin_json("/files/attributes", {"path": f"{disk}/owned", "mode": "0600"}),
        "tar": begin("POST", f"/files/tar?path={disk}/unpacked&username=root", (), archive()),
        "make": begin_call("Filesystem/MakeDir", {"path": f"{disk}/made/deep"}),
        "move": begin_call("Filesystem/Move", {"source": f"{disk}/moved",
                                               "destination": f"{disk}/there"}),
        "remove": begin_call("Filesystem/Remove", {"path": f"{disk}/removed"}),
    }
    for _ in range(3):
        reads_are_served(disk)
        a_process_runs(disk)
    assert readable(calls.values()) == []
    assert "D" not in freezer.states()

    assert freezer.post("/fsthaw").status == 204
    for what, conn in calls.items():
        answer = conn.answer()
        assert answer.status in (200, 204), (what, answer.body)
        conn.close()
    for name, content in (("new", b"new"), ("large", large), ("over", b"changed"),
                          ("composed", b"onetwo"), ("copied/19", b"19"), ("unpacked/b/c", b"text"),
                          ("there", b"moved")):
        with open(f"{disk}/{name}", "rb") as file:
            assert file.read() == content
    assert os.stat(f"{disk}/owned").st_mode & 0o777 == 0o600
    assert os.path.isdir(f"{disk}/made/deep") and not os.path.exists(f"{disk}/removed")


@needs_disk
def test_an_upload_that_runs_goes_on_behind_the_thaw(disk, freezer):
    fill(disk)
    body = os.urandom(8 << 20)
    with Connection(OWN_PORT) as conn:
        whole = request("POST", f"/files?path={disk}/big&username=root", OCTETS, body)
        cut = len(whole) - (6 << 20)
        conn.send(whole[:cut])
        eventually(lambda: os.path.exists(f"{disk}/big"))
        assert freezer.post("/fsfreeze").status == 204
        conn.send(whole[cut:cut + (64 << 10)])
        reads_are_served(disk)
        assert "D" not in freezer.states()
        assert freezer.post("/fsthaw").status == 204
        conn.send(whole[cut + (64 << 10):])
        assert conn.answer().status == 200
    with open(f"{disk}/big", "rb") as file:
        assert file.read() == body


@needs_disk
@pytest.mark.parametrize("what", ["copy", "remove", "attributes"])
def test_work_on_a_tree_stops_between_two_files(disk, freezer, what):
    fill(disk)
    for i in range(4000):
        with open(f"{disk}/tree/file-{i}", "wb") as file:
            file.write(b"x")
    if what == "copy":
        conn = begin_json("/files/copy", {"source": f"{disk}/tree",
                                          "destination": f"{disk}/copied"})
    elif what == "remove":
        conn = begin_call("Filesystem/Remove", {"path": f"{disk}/tree"})
    else:
        conn = begin_json("/files/attributes", {"path": f"{disk}/tree", "recursive": True,
                                                "mode": "0640"})
    assert freezer.post("/fsfreeze").status == 204
    for _ in range(3):
        assert exchange("GET", f"/files?path={disk}/kept&username=root",
                        port=OWN_PORT).body == b"kept"
        a_process_runs(disk)
    assert "D" not in freezer.states()
    assert freezer.post("/fsthaw").status == 204
    assert conn.answer().status in (200, 204)
    conn.close()
    if what == "copy":
        assert len(os.listdir(f"{disk}/copied")) == 4020
    elif what == "remove":
        assert not os.path.exists(f"{disk}/tree")
    else:
        assert os.stat(f"{disk}/tree/file-3999").st_mode & 0o777 == 0o640


@needs_disk
def test_again_and_again_under_load(disk, freezer):
    fill(disk)
    over = threading.Event()
    body = os.urandom(700 << 10)

    def load(worker):
        rounds = 0
        while not over.is_set():
            with begin_upload(f"{disk}/up-{worker}", body) as conn:
                assert conn.answer().status == 200
            with begin_json("/files/copy", {"source": f"{disk}/tree",
                                            "destination": f"{disk}/copy-{worker}"}) as conn:
                assert conn.answer().status == 200
            rpc.must("Filesystem/Remove", {"path": f"{disk}/copy-{worker}"}, port=OWN_PORT)
            rounds += 1
        return rounds

    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(load, worker) for worker in range(6)]
        try:
            for _ in range(15):
                assert freezer.post("/fsfreeze").status == 204
                for _ in range(3):
                    reads_are_served(disk)
                assert "D" not in freezer.states()
                assert freezer.post("/fsthaw").status == 204
        finally:
            over.set()
            thaw_by_hand(disk)
        assert min(job.result() for job in jobs) >= 1
    for worker in range(6):
        with open(f"{disk}/up-{worker}", "rb") as file:
            assert file.read() == body


@needs_disk
def test_memory_can_be_written_to(disk, freezer, scratch):
    fill(disk)
    memory = f"{scratch}/memory"
    os.mkdir(memory)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", memory], check=True)
    try:
        os.symlink(disk, f"{memory}/link")
        assert freezer.post("/fsfreeze").status == 204
        waits = begin_upload(f"{memory}/link/new", b"new")
        rpc.must("Filesystem/MakeDir", {"path": f"{memory}/made/deep"}, port=OWN_PORT)
        for size in (10, 1 << 20):
            with begin_upload(f"{memory}/made/file", b"x" * size) as conn:
                assert conn.answer().status == 200
            assert os.stat(f"{memory}/made/file").st_size == size
        rpc.must("Filesystem/Remove", {"path": f"{memory}/made"}, port=OWN_PORT)
        assert readable([waits]) == []
        assert "D" not in freezer.states()
        assert freezer.post("/fsthaw").status == 204
        assert waits.answer().status == 200
        waits.close()
    finally:
        subprocess.run(["umount", "-l", memory], check=True)


@needs_disk
def test_too_much_that_waits_is_refused(disk, freezer):
    fill(disk)
    assert freezer.post("/fsfreeze").status == 204
    calls, refused = [], []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, files[1]), files[1]))

    def some_refused():
        calls.extend([begin_call("Filesystem/MakeDir", {"path": f"{disk}/d{len(calls) + i}"})
                      for i in range(100)])
        refused.extend(readable(calls))
        return bool(refused)

    eventually(some_refused)
    assert len(calls) > GATED_MAX
    answer = refused[0].answer()
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "unavailable")
    upload = exchange("POST", f"/files?path={disk}/new&username=root", OCTETS, b"new", OWN_PORT)
    assert upload.status == 503
    reads_are_served(disk)
    assert freezer.post("/fsthaw").status == 204
    done = [conn.answer().status for conn in calls if conn is not refused[0]]
    assert done.count(200) >= GATED_MAX
    for conn in calls:
        conn.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


@needs_disk
def test_clients_that_leave_do_not_fill_the_queue(disk, freezer):
    fill(disk)
    assert freezer.post("/fsfreeze").status == 204
    for _ in range(GATED_MAX // 100 + 3):
        some = [begin_call("Filesystem/MakeDir", {"path": f"{disk}/d{i}"}) for i in range(100)]
        reads_are_served(disk)
        for conn in some:
            conn.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            conn.close()
        reads_are_served(disk)
    with begin_call("Filesystem/MakeDir", {"path": f"{disk}/made"}) as conn:
        reads_are_served(disk)
        assert "D" not in freezer.states()
        assert freezer.post("/fsthaw").status == 204
        assert conn.answer().status == 200


def content_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@needs_disk
def test_hosts_are_written_behind_the_thaw(disk, freezer):
    fill(disk)
    with open(f"{disk}/hosts", "w", encoding="ascii") as file:
        file.write("127.0.0.1 localhost\n")
    subprocess.run(["mount", "--bind", f"{disk}/hosts", "/etc/hosts"], check=True)
    try:
        assert freezer.post("/fsfreeze").status == 204
        answer = exchange("POST", "/init", rpc.JSON, b'{"hyperloopIP": "10.1.2.3"}', OWN_PORT)
        assert answer.status == 204
        for _ in range(3):
            reads_are_served(disk)
        assert "D" not in freezer.states()
        assert freezer.post("/fsthaw").status == 204
        eventually(lambda: "10.1.2.3" in content_of(f"{disk}/hosts"))
    finally:
        thaw_by_hand(disk)
        subprocess.run(["umount", "-l", "/etc/hosts"], check=True)


# ---- across a restart of the agent


@needs_disk
def test_a_frozen_disk_stays_so_for_the_next_agent(disk, freezer, run_folder):
    fill(disk)
    assert freezer.post("/fsfreeze").status == 204
    waits = begin_upload(f"{disk}/new", b"new")
    reads_are_served(disk)
    assert freezer.stop() == []
    waits.close()
    assert ".fsfreeze" in os.listdir(run_folder)
    freezer.start()
    with begin_call("Filesystem/MakeDir", {"path": f"{disk}/made"}) as conn:
        reads_are_served(disk)
        assert readable([conn]) == []
        assert "D" not in freezer.states()
        assert freezer.post("/fsthaw").status == 204
        assert conn.answer().status == 200
    assert ".fsfreeze" not in os.listdir(run_folder)


@needs_disk
@pytest.mark.parametrize("marker", [None, "another-boot /\n"])
def test_what_nobody_meant_to_freeze_is_thawed_at_the_start(disk, freezer, run_folder, marker):
    fill(disk)
    assert freezer.post("/fsfreeze").status == 204
    os.kill(freezer.agent.pid, signal.SIGKILL)
    assert freezer.stop() != []
    os.unlink(f"{run_folder}/.fsfreeze")
    if marker is not None:
        with open(f"{run_folder}/.fsfreeze", "w", encoding="ascii") as file:
            file.write(marker)
    with subprocess.Popen(["sh", "-c", f"echo late > {disk}/late"]) as writer:
        eventually(lambda: state_of(writer.pid) == "D")
        freezer.start()
        assert writer.wait(30) == 0
    rpc.must("Filesystem/MakeDir", {"path": f"{disk}/made"}, port=OWN_PORT)


@needs_disk
def test_a_log_on_the_frozen_disk_does_not_stop_the_agent(disk, freezer):
    fill(disk)
    assert freezer.stop() == []
    freezer.agent = Agent(os.environ["ENVD_BIN"],
                          ["-isnotfc", "-no-cgroups", "-verbose", f"-fs-freeze-mount={disk}"],
                          OWN_PORT, f"{disk}/stderr", stdout=f"{disk}/log")
    assert freezer.post("/fsfreeze").status == 204
    for _ in range(5):
        reads_are_served(disk)
    assert freezer.post("/fsthaw").status == 204
    with open(f"{disk}/log", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    texts = [line["message"] for line in lines]
    assert texts.index("file system frozen") < texts.index("file system thawed")
    assert freezer.post("/fsfreeze").status == 204
    reads_are_served(disk)
    assert freezer.stop() == []


# ---- /collapse


def test_collapse_counts():
    answer = exchange("POST", "/collapse", port=49983)
    assert (answer.status, answer.get("cache-control")) == (200, "no-store")
    assert answer.get("content-type") == "application/json" and answer.body.endswith(b"}\n")
    counts = json.loads(answer.body)
    assert list(counts) == ["alreadyHuge", "chunks", "collapsed", "elapsedMs", "regions", "skipped"]
    assert all(isinstance(n, int) and n >= 0 for n in counts.values())
    assert counts["regions"] >= 1
    assert counts["chunks"] == counts["collapsed"] + counts["alreadyHuge"] + counts["skipped"]


@pytest.mark.skipif(bool(os.environ["ENVD_SANITIZED"]), reason="the heap is the sanitizer's")
def test_collapse_takes_the_heap_as_one_window(scratch):
    agent = Agent(os.environ["ENVD_BIN"], ["-isnotfc", "-no-cgroups"], OWN_PORT,
                  f"{scratch}/stderr")
    try:
        first, second = (json.loads(exchange("POST", "/collapse", port=OWN_PORT).body)
                         for _ in range(2))
        assert first["chunks"] == second["chunks"] == 1
        if first["collapsed"] == 1:  # else there are no huge pages, or none is free
            assert second["alreadyHuge"] + second["collapsed"] == 1
            with open(f"/proc/{agent.pid}/smaps", encoding="ascii") as file:
                heap = file.read().partition("[heap]")[2]
            assert "AnonHugePages:      2048 kB" in heap.partition("[stack]")[0]
    finally:
        assert agent.stop() == []
