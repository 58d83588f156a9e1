"""POST /init on the wire: who may, what is done in which order, what a resume does."""

import json
import os
import select
import shlex
import subprocess
import time

import pytest

import rpc
from agent import Agent
from cgroups import Tree, agent_on
from conftest import OWN_PORT, eventually
from mmds import NO_TOKEN, Metadata, token_hash
from rpc import start
from wire import PATIENCE, Connection, exchange, request

pytestmark = pytest.mark.ours
private = pytest.mark.skipif(not os.environ["SDK_PRIVATE"],
                             reason="needs root and namespaces of its own")

VERSION = "0.6.13"
RESET = b"access token reset not authorized"
MISMATCH = b"access token validation failed"


def body_of(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def init(body=b"", status=204, headers=()):
    answer = exchange("POST", "/init", dict(headers), body_of(body), OWN_PORT)
    assert answer.status == status, answer.body
    assert answer.get("x-envd-version") == VERSION
    return answer


def envs(token=None):
    answer = exchange("GET", "/envs", {"X-Access-Token": token} if token else {}, port=OWN_PORT)
    return json.loads(answer.body) if answer.status == 200 else answer.status


def stamp(ms):
    seconds = time.time() + ms / 1000
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"


def resumed(answer):
    """What the answer says of a resume, None when it was none."""
    text = answer.get("x-agent-resume")
    return None if text is None else json.loads(text)


@pytest.fixture
def machine(scratch):
    """Folders that /init writes to, in this mount namespace alone."""
    def mount(*words):
        subprocess.run(["mount", *words], check=True)

    over = f"{scratch}/over"
    os.mkdir(over)
    mount("-t", "tmpfs", "tmpfs", over)
    done = [over]
    for path in ("/etc", "/usr/local/share"):
        name = path.replace("/", "-")
        for part in ("upper", "work"):
            os.makedirs(f"{over}/{name}/{part}")
        mount("-t", "overlay", "overlay", "-o", f"lowerdir={path},upperdir={over}/{name}/upper,"
              f"workdir={over}/{name}/work", path)
        done.append(path)
    os.makedirs("/run/e2b", exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", "/run/e2b")
    done.append("/run/e2b")
    yield
    for path in reversed(done):
        subprocess.run(["umount", "-l", path], check=True)


class Sandbox:
    """An agent in Firecracker mode with a metadata service; both can be made anew."""

    def __init__(self, scratch, **document):
        self.scratch = scratch
        self.metadata = Metadata(host="127.0.0.1", port=0, **document)
        self.agent = None
        self.start()

    def start(self):
        arguments = [a for a in shlex.split(os.environ["ENVD_ARGS"]) if a != "-isnotfc"]
        self.agent = Agent(os.environ["ENVD_BIN"], [
            *arguments, "-control-from", "anyone",
            "-mmds-address", f"127.0.0.1:{self.metadata.port}"], OWN_PORT,
            f"{self.scratch}/stderr")

    def stop(self):
        self.metadata.silent = False
        assert self.agent.stop() == []

    def close(self):
        self.stop()
        self.metadata.close()


@pytest.fixture
def sandbox_with(scratch, machine):
    made = []

    def make(**document):
        made.append(Sandbox(scratch, **document))
        return made[-1]

    yield make
    for each in made:
        each.close()


# ---- the answer ------------------------------------------------------------


def test_version_whatever_comes(own_agent):
    init()
    init({"accessToken": "T"})
    init(b"{not json", 400)
    init({}, 401)
    answer = exchange("POST", "/init", {}, b" " * (4 << 20) + b"{}", OWN_PORT)
    assert (answer.status, answer.get("x-envd-version")) == (413, VERSION)


def test_phases_in_milliseconds(own_agent):
    times = json.loads(init({"envVars": {"A": "b"}}).get("x-agent-init-ms"))
    assert all(isinstance(value, (int, float)) and value >= 0 for value in times.values())
    assert {"authorise", "queue", "settings", "thaw", "total"} <= set(times)
    assert sum(times.values()) - times["total"] <= times["total"] + 0.1
    refused = init(b"[", 400)
    assert refused.get("x-agent-init-ms") is None
    for name in ("x-agent-resume", "x-envd-freeze-audit", "x-envd-handover"):
        assert refused.get(name) is None


def test_stale_changes_nothing(own_agent):
    init({"timestamp": stamp(0), "envVars": {"A": "1"}, "defaultUser": "root"})
    answer = init({"timestamp": stamp(-1000), "envVars": {"A": "2"}, "accessToken": "T",
                   "lifecycleID": "other", "caBundle": "rubbish"})
    assert answer.get("cache-control") == "no-store"
    assert "settings" not in json.loads(answer.get("x-agent-init-ms"))
    assert envs()["A"] == "1"
    init({"timestamp": stamp(1000), "lifecycleID": "first"})


@pytest.mark.parametrize("wrong, text", [
    ({"caBundle": "no certificate"}, b"failed to install CA bundle: "),
    ({"caBundle": "-----BEGIN CERTIFICATE-----\nAAAA\n"}, b"failed to install CA bundle: "),
    ({"volumeMounts": [{"nfs_target": "192.0.2.1:/a", "path": "relative"}]},
     b"failed to setup NFS volumes: "),
    ({"volumeMounts": [{"nfs_target": "192.0.2.1:/a", "path": "/mnt/a"},
                       {"nfs_target": "192.0.2.1:/b", "path": "/mnt/a/"}]},
     b"failed to setup NFS volumes: "),
    ({"volumeMounts": [{"nfs_target": "", "path": "/mnt/a"}]}, b"failed to setup NFS volumes: "),
])
def test_all_is_looked_at_before_anything_is_changed(own_agent, wrong, text):
    init({"envVars": {"A": "1"}})
    answer = init({"accessToken": "T", "envVars": {"A": "2"}, "defaultUser": "nobody", **wrong}, 400)
    assert answer.body.startswith(text) and not answer.body.endswith(b"\n")
    assert answer.get("content-type") == "text/plain; charset=utf-8"
    assert envs()["A"] == "1"


def test_a_client_that_leaves_takes_nothing_with_it(own_agent):
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/init", {}, b'{"envVars":{"LEFT":"1"}}'))
    eventually(lambda: envs().get("LEFT") == "1")


def test_half_close(own_agent):
    """Is no reason not to serve who need not wait."""
    with Connection(OWN_PORT) as conn:
        conn.send(request("POST", "/init", {}, b'{"envVars":{"HALF":"1"}}'))
        conn.half_close()
        assert conn.answer("POST").status == 204
    assert envs()["HALF"] == "1"


def test_attempts_at_the_same_time(own_agent):
    conns = [Connection(OWN_PORT) for _ in range(50)]
    for conn in conns:
        conn.send(request("POST", "/init", {}, body_of({"timestamp": stamp(0), "lifecycleID": "L",
                                                        "envVars": {"A": "1"}})))
    assert {conn.answer("POST").status for conn in conns} == {204}
    for conn in conns:
        conn.close()


def test_bodies_that_wait_are_bounded(own_agent):
    """Sixteen megabytes; what is more is cut, so that its client tries again."""
    size = 4 << 20
    conns = []
    for _ in range(5):
        conns.append(Connection(OWN_PORT))
        conns[-1].send(request("POST", "/init", {"Content-Length": str(size)}))
        try:
            conns[-1].send(b" " * (size - 1))
        except ConnectionError:
            break
    ready, _, _ = select.select([conn.socket for conn in conns], [], [], PATIENCE)
    assert any(conn.at_end() for conn in conns if conn.socket in ready)
    for conn in conns:
        conn.close()
    eventually(lambda: exchange("POST", "/init", {"Content-Length": str(size)}, b" " * (size - 2) +
                                b"{}", OWN_PORT).status == 204)


# ---- what it sets ----------------------------------------------------------


@private
def test_where_events_go(machine, own_agent):
    init({"hyperloopIP": "no address"})
    init({"hyperloopIP": ""})
    assert "E2B_EVENTS_ADDRESS" not in envs()
    init({"hyperloopIP": "127.0.0.3"})
    eventually(lambda: envs().get("E2B_EVENTS_ADDRESS") == "http://127.0.0.3")
    with open("/etc/hosts", encoding="utf-8") as file:
        assert [line.split() for line in file if "events.e2b.local" in line] == [
            ["127.0.0.3", "events.e2b.local"]]
    init({"hyperloopIP": "::1", "envVars": {"E2B_EVENTS_ADDRESS": "spoofed"}})
    eventually(lambda: envs().get("E2B_EVENTS_ADDRESS") == "http://[::1]")


def certificate(name):
    """One for the trust store, whose content nobody looks at."""
    import base64
    return ("-----BEGIN CERTIFICATE-----\n" + base64.b64encode(name.encode() * 20).decode() +
            "\n-----END CERTIFICATE-----\n")


@private
def test_certificates(machine, own_agent):
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    os.makedirs("/etc/ssl/certs", exist_ok=True)
    with open(bundle, "a", encoding="ascii") as file:
        file.write(certificate("before"))
    pem = certificate("ours")
    assert init({"caBundle": pem}).body == b""
    init({"caBundle": pem})
    with open(bundle, encoding="ascii") as file:
        text = file.read()
    assert text.count(pem) == 1 and certificate("before") in text


@private
def test_volumes_that_cannot_be_mounted(machine, own_agent, scratch):
    """Nobody serves them here: the text of the failure, and no other trace."""
    mounts = [{"nfs_target": "192.0.2.1:/volume", "path": f"{scratch}/volume"}]
    answer = init({"volumeMounts": mounts, "accessToken": "T", "lifecycleID": "L"}, 400)
    assert answer.body.startswith(b"failed to setup NFS volumes: ")
    assert isinstance(envs(), dict)


# ---- who may ---------------------------------------------------------------

TABLE = [
    # stored, given, hash of, status, text
    ("T", "T", "other", 204, b""),
    ("T", "X", "X", 204, b""),
    (None, "X", "X", 204, b""),
    (None, "X", None, 204, b""),
    (None, None, None, 204, b""),
    (None, "X", "", 204, b""),
    ("T", None, NO_TOKEN, 204, b""),
    (None, None, NO_TOKEN, 204, b""),
    ("T", "X", None, 401, MISMATCH),
    ("T", "X", "other", 401, MISMATCH),
    ("T", "X", NO_TOKEN, 401, MISMATCH),
    ("T", None, None, 401, RESET),
    ("T", None, "other", 401, RESET),
    (None, None, "other", 401, RESET),
    (None, "X", "other", 401, MISMATCH),
]


def announced(hash_of):
    """What the document says of a token."""
    return hash_of if hash_of in (None, "", NO_TOKEN) else token_hash(hash_of)


@private
@pytest.mark.parametrize("stored, given, hash_of, status, text", TABLE)
def test_table(sandbox_with, stored, given, hash_of, status, text):
    sandbox = sandbox_with()
    if stored:
        init({"accessToken": stored, "envVars": {"A": "before"}})
    else:
        init({"envVars": {"A": "before"}})
    sandbox.metadata.set(accessTokenHash=announced(hash_of))
    answer = init({"envVars": {"A": "after"}, **({"accessToken": given} if given else {})}, status)
    assert answer.body == text
    now = given if status == 204 else stored
    assert envs(now)["A"] == ("after" if status == 204 else "before")
    if now:
        assert envs() == 401


@private
def test_the_right_token_asks_nobody(sandbox_with):
    sandbox = sandbox_with(token="T")
    init({"accessToken": "T"})
    sandbox.metadata.silent = True
    times = json.loads(init({"accessToken": "T"}).get("x-agent-init-ms"))
    assert times["authorise"] < 500


@private
def test_nobody_else_after_a_restart(sandbox_with):
    """The token is gone with the agent's memory, its hash is with the host."""
    sandbox = sandbox_with(token="T")
    init({"accessToken": "T", "envVars": {"A": "1"}})
    sandbox.stop()
    sandbox.start()
    assert envs() == 401
    eventually(lambda: envs("T") == {"E2B_SANDBOX": "true", "E2B_SANDBOX_ID": "sandbox-1",
                                     "E2B_TEMPLATE_ID": "template-1"})
    for path in ("/files?path=/etc/hostname", "/metrics", "/nothing"):
        assert exchange("GET", path, port=OWN_PORT).status == 401
        assert exchange("GET", path, {"X-Access-Token": "X"}, port=OWN_PORT).status == 401
    assert exchange("GET", "/health", port=OWN_PORT).status == 204
    init({"accessToken": "T"})
    init({"accessToken": "X"}, 401)


@private
def test_without_a_token_a_restart_is_one(sandbox_with):
    sandbox = sandbox_with(accessTokenHash=NO_TOKEN)
    init({})
    sandbox.stop()
    sandbox.start()
    eventually(lambda: isinstance(envs(), dict))


@private
def test_a_silent_service_is_no_permission(sandbox_with):
    """It has answered before: the request waits for it."""
    sandbox = sandbox_with(token="T")
    eventually(lambda: sandbox.metadata.lookups() > 0 and os.listdir("/run/e2b"))
    eventually(lambda: exchange("GET", "/envs", {"X-Access-Token": "T"}, port=OWN_PORT).status == 200)
    sandbox.stop()
    sandbox.start()
    sandbox.metadata.silent = True
    with Connection(OWN_PORT) as wrong, Connection(OWN_PORT) as right:
        wrong.send(request("POST", "/init", {}, b'{"envVars":{"A":"spoofed"}}'))
        right.send(request("POST", "/init", {}, b'{"accessToken":"T","envVars":{"A":"1"}}'))
        time.sleep(1.5)  # longer than one lookup may take
        assert exchange("GET", "/health", port=OWN_PORT).status == 204
        sandbox.metadata.silent = False
        assert right.answer("POST").status == 204
        refused = wrong.answer("POST")
        assert (refused.status, refused.body) == (401, RESET)
    assert envs("T")["A"] == "1"


@private
def test_who_we_are_before_the_answer(sandbox_with):
    sandbox = sandbox_with(token="T")
    init({"accessToken": "T", "lifecycleID": "1"})
    assert envs("T")["E2B_SANDBOX_ID"] == "sandbox-1"
    sandbox.metadata.set(instanceID="sandbox-2", envID="template-2")
    init({"accessToken": "T", "lifecycleID": "2"})
    now = envs("T")
    assert (now["E2B_SANDBOX_ID"], now["E2B_TEMPLATE_ID"]) == ("sandbox-2", "template-2")


@private
def test_no_service_at_all(scratch, machine):
    """As while a template is built."""
    with Metadata(host="127.0.0.1", port=0) as gone:
        port = gone.port
    arguments = [a for a in shlex.split(os.environ["ENVD_ARGS"]) if a != "-isnotfc"]
    agent = Agent(os.environ["ENVD_BIN"], [*arguments, "-control-from", "anyone", "-mmds-address",
                                           f"127.0.0.1:{port}"], OWN_PORT, f"{scratch}/stderr")
    try:
        init({"lifecycleID": "build", "defaultUser": "nobody"})
        init({"accessToken": "T"})
        assert init({}, 401).body == RESET
    finally:
        assert agent.stop() == []


# ---- what is frozen --------------------------------------------------------


@pytest.fixture
def tree(scratch, machine):
    """Cgroups of the test's own, and an agent on them."""
    try:
        made = Tree()
    except OSError as error:
        pytest.skip(f"no cgroups of our own: {error}")
    agent = agent_on(made, OWN_PORT, f"{scratch}/stderr")
    yield made
    problems = agent.stop()
    made.close()
    assert problems == []


def freeze(query="maxWaitMs=1500", token=None):
    answer = exchange("POST", f"/freeze?{query}", {"X-Access-Token": token} if token else {},
                      b"", OWN_PORT)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@private
def test_thawed_before_the_answer(tree):
    init({"accessToken": "T", "timestamp": stamp(0)})
    for body, status in (({"accessToken": "T"}, 204),
                         ({"accessToken": "T", "timestamp": stamp(-60_000)}, 204),
                         ({"accessToken": "T", "caBundle": "rubbish"}, 400)):
        freeze(token="T")
        assert tree.asked("user")
        init(body, status)
        assert not tree.asked("user")


@private
def test_nothing_is_thawed_for_a_stranger(tree):
    init({"accessToken": "T"})
    freeze(token="T")
    init({"accessToken": "X"}, 401)
    init({}, 401)
    init(b"{", 400)
    assert tree.asked("user")
    init({"accessToken": "T"})


@private
def test_audit_of_what_was_frozen(tree):
    assert init().get("x-envd-freeze-audit") is None
    assert freeze("mode=hierarchy&maxWaitMs=1500")["mode"] == "hierarchy"
    audit = json.loads(init().get("x-envd-freeze-audit"))
    assert list(audit) == ["visited", "frozen", "escaped", "violations", "truncated"]
    assert audit["truncated"] is False and audit["escaped"] == audit["violations"] == 0
    assert init().get("x-envd-freeze-audit") is None


# ---- a resume --------------------------------------------------------------


def test_only_another_id_is_a_resume(own_agent):
    assert resumed(init({})) is None
    assert resumed(init({"lifecycleID": "1"})) is None
    assert resumed(init({"lifecycleID": "1"})) is None
    assert resumed(init({})) is None
    with Connection(OWN_PORT) as kept:
        kept.send(request("GET", "/health"))
        assert kept.answer().status == 204
        init({"lifecycleID": "1"})
        kept.send(request("GET", "/health"))
        assert kept.answer().status == 204
        said = resumed(init({"lifecycleID": "2"}))
        assert said["connections"] >= 1 and not said["clock_set"]
        assert kept.at_end()
    assert resumed(init({"lifecycleID": "2"})) is None
    assert resumed(init({"lifecycleID": "1"})) is not None


def test_commands_outlive_a_resume_their_streams_do_not(own_agent):
    init({"lifecycleID": "1"})
    with start(rpc.shell("sleep 1000"), port=OWN_PORT) as run:
        pid = run.pid
        init({"lifecycleID": "2"})
        assert run.conn.at_end()
    assert pid in rpc.pids(port=OWN_PORT)
    rpc.must("Process/SendSignal", rpc.by_pid(pid, signal=9), port=OWN_PORT)


def generation():
    with open("/run/e2b/.E2B_GENERATION", encoding="ascii") as file:
        return file.read()


@private
def test_generations(machine, own_agent):
    init({"lifecycleID": "a"})
    assert not os.path.exists("/run/e2b/.E2B_GENERATION")
    assert resumed(init({"lifecycleID": "b"}))["generation"] == 1
    assert generation() == "1 b"
    init({"lifecycleID": "b"})
    assert resumed(init({"lifecycleID": "c"}))["generation"] == 2
    assert generation() == "2 c"


def hook(text):
    folder = "/etc/e2b/hooks.d/post-resume"
    os.makedirs(folder)
    path = f"{folder}/10-test"
    with open(path, "w", encoding="ascii") as file:
        file.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)


@private
def test_hook_of_a_resume(machine, own_agent, scratch):
    hook(f'echo "$1" >>{scratch}/ran')
    init({"lifecycleID": "a"})
    assert not os.path.exists(f"{scratch}/ran")
    init({"lifecycleID": "b"})
    with open(f"{scratch}/ran", encoding="ascii") as file:
        assert file.read() == "post-resume\n"


@private
def test_two_hundred_attempts_that_are_given_up(machine, own_agent, scratch):
    """As the host makes them; the work is slow, goes on, and is done once."""
    hook(f"echo begun >>{scratch}/begun; exec sleep 60")  # it is given a second
    init({"lifecycleID": "a"})
    for i in range(200):
        body = {"timestamp": stamp(i), "lifecycleID": "b", "envVars": {"A": "1"}}
        with Connection(OWN_PORT) as conn:
            conn.send(request("POST", "/init", {}, body_of(body)))
            if i == 0:
                eventually(lambda: os.path.exists(f"{scratch}/begun"))
    eventually(lambda: len(os.listdir(f"/proc/{own_agent.pid}/fd")) < 50)
    init({"timestamp": stamp(60_000), "lifecycleID": "b", "envVars": {"A": "1"}})
    with open(f"{scratch}/begun", encoding="ascii") as file:
        assert file.read() == "begun\n"
    assert generation() == "1 b"
    assert envs()["A"] == "1"


# ---- POST /upgrade ---------------------------------------------------------


def upgrade(headers=(), body=None):
    answer = exchange("POST", "/upgrade", dict(headers), body, OWN_PORT)
    return answer.status, answer.body


def test_upgrade_is_refused_in_the_words_of_the_contract(own_agent):
    other = {"X-Envd-Upgrade-Bin": "/bin/sh"}
    ours = {"X-Envd-Upgrade-Bin": "/usr/bin/envd.next"}
    assert upgrade(other) == (409, b"envd not initialized\n")
    init({"accessToken": "T"})
    assert upgrade(ours)[0] == 401
    token = {"X-Access-Token": "T"}
    assert upgrade({**token, **other}) == (400, b"unsupported upgrade target\n")
    not_supported = (500, b"live upgrade is not supported\n")
    assert upgrade({**token, **ours}) == not_supported
    assert upgrade({**token, **ours}, b"\x7fELF" * 1000) == not_supported
    assert upgrade(token) == not_supported
    assert not os.path.exists("/usr/bin/envd.next")
    answer = exchange("GET", "/upgrade", token, port=OWN_PORT)
    assert (answer.status, answer.get("allow")) == (405, "POST")


def test_upgrade_after_an_init_that_failed(own_agent):
    init({"caBundle": "rubbish"}, 400)
    assert upgrade() == (409, b"envd not initialized\n")
    init({})
    assert upgrade()[0] == 500
