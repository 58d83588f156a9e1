"""The metadata service and the log collector of the host, seen from the agent."""

import json
import os
import shlex
import stat

import pytest

import mmds
import nft
from agent import Agent
from conftest import OWN_PORT, eventually
from wire import exchange

pytestmark = pytest.mark.skipif(not os.environ.get("SDK_PRIVATE"),
                                reason="needs network and files of its own")

RUN = "/run/e2b"


def envs():
    return json.loads(exchange("GET", "/envs", port=OWN_PORT).body)


def read(name):
    with open(f"{RUN}/{name}", encoding="utf-8") as file:
        return file.read()


def mode(name):
    return stat.S_IMODE(os.stat(f"{RUN}/{name}").st_mode)


@pytest.fixture
def begin(scratch):
    """A function that starts an agent in the belief to be in Firecracker."""
    for name in os.listdir(RUN):
        os.unlink(f"{RUN}/{name}")
    mmds.own_address()
    agents = []
    words = [w for w in shlex.split(os.environ["ENVD_ARGS"]) if w != "-isnotfc"]

    def start(*more):
        agents.append(Agent(os.environ["ENVD_BIN"], [*words, *more], OWN_PORT,
                            f"{scratch}/stderr", bool(os.environ["ENVD_REFERENCE"]),
                            stdout=f"{scratch}/stdout"))
        return agents[-1]

    yield start
    assert [agent.stop() for agent in agents] == [[]] * len(agents)


def test_identity(begin):
    with mmds.Metadata("sandbox-x", "template-y") as service:
        begin()
        eventually(lambda: "E2B_SANDBOX_ID" in envs())
        got = envs()
        assert (got["E2B_SANDBOX"], got["E2B_SANDBOX_ID"], got["E2B_TEMPLATE_ID"]) == (
            "true", "sandbox-x", "template-y")
        eventually(lambda: os.path.exists(f"{RUN}/.E2B_TEMPLATE_ID"))
        assert read(".E2B_SANDBOX") == "true" and mode(".E2B_SANDBOX") == 0o444
        assert read(".E2B_SANDBOX_ID") == "sandbox-x" and mode(".E2B_SANDBOX_ID") == 0o644
        assert read(".E2B_TEMPLATE_ID") == "template-y"
    put, get = service.seen
    assert (put.method, put.path, put.body) == ("PUT", "/latest/api/token", b"")
    assert put.headers["X-metadata-token-ttl-seconds"] == "60"
    assert (get.method, get.path) == ("GET", "/")
    assert get.headers["X-metadata-token"] == service.TOKEN
    assert get.headers["Accept"] == "application/json"
    assert put.connection != get.connection


def test_the_host_is_later(begin):
    """The store is empty at first; what is asked for is asked for again."""
    with mmds.Metadata() as service:
        document, service.document = service.document, None
        begin()
        service.await_seen(lambda _: service.lookups() >= 3)
        assert "E2B_SANDBOX_ID" not in envs()
        service.document = document
        eventually(lambda: envs().get("E2B_SANDBOX_ID") == "sandbox-1")


def test_no_service_at_first(begin):
    """Nobody listens there yet."""
    begin()
    assert "E2B_SANDBOX_ID" not in envs()
    with mmds.Metadata():
        eventually(lambda: envs().get("E2B_SANDBOX_ID") == "sandbox-1")


@pytest.mark.ours
def test_document_without_an_instance(begin):
    with mmds.Metadata() as service:
        service.set(instanceID=None)
        begin()
        service.await_seen(lambda _: service.lookups() >= 3)
        assert "E2B_SANDBOX_ID" not in envs() and "E2B_TEMPLATE_ID" not in envs()
        assert not os.path.exists(f"{RUN}/.E2B_SANDBOX_ID")
        service.set(instanceID="now")
        eventually(lambda: envs().get("E2B_SANDBOX_ID") == "now")


@pytest.mark.ours
def test_another_address(begin):
    with mmds.Metadata("elsewhere", host="127.0.0.1", port=0) as service:
        begin("-mmds-address", f"127.0.0.1:{service.port}")
        eventually(lambda: envs().get("E2B_SANDBOX_ID") == "elsewhere")


@pytest.mark.ours
def test_silent_service_holds_up_nobody(begin):
    with mmds.Metadata() as service:
        service.silent = True
        begin()
        service.await_seen(lambda seen: len(seen) >= 2, 30)  # the first is given up
        assert exchange("GET", "/health", port=OWN_PORT).status == 204
        service.silent = False
        eventually(lambda: "E2B_SANDBOX_ID" in envs())


@pytest.mark.ours
def test_outside_firecracker_nothing_is_asked(begin):
    with mmds.Metadata(address="http://127.0.0.1:1/") as service:
        begin("-isnotfc")
        assert exchange("POST", "/init", {}, b"{}", OWN_PORT).status == 204
        assert exchange("GET", "/health", port=OWN_PORT).status == 204
        assert envs()["E2B_SANDBOX"] == "false"
        assert read(".E2B_SANDBOX") == "false"
    assert service.seen == []


def refused(port):
    """A request that leaves a line in the log."""
    assert exchange("GET", "/files?path=/nonexistent", port=port).status == 404


def test_lines_go_to_the_collector(begin):
    with mmds.Collector() as collector:
        with mmds.Metadata(address=collector.url):
            begin()
            for _ in range(20):
                refused(OWN_PORT)
            collector.await_seen(lambda seen: len(seen) >= 20)
    for seen in collector.seen:
        line = json.loads(seen.body)
        assert seen.method == "POST" and seen.path == "/logs"
        assert seen.headers["Content-Type"] == "application/json"
        assert line["instanceID"] == "sandbox-1" and line["envID"] == "template-1"
        assert not [v for v in line.values() if isinstance(v, (dict, list))]
        assert {"level", "logger", "timestamp", "message"} <= set(line)


@pytest.mark.ours
def test_lines_are_in_order_on_one_connection(begin, scratch):
    with mmds.Collector() as collector:
        with mmds.Metadata(address=collector.url) as service:
            document, service.document = service.document, None
            begin("-verbose")
            for _ in range(10):
                refused(OWN_PORT)
            service.document = document  # lines from before are not lost
            collector.await_seen(lambda seen: len(seen) >= 10)
            for _ in range(40):
                refused(OWN_PORT)
            with open(f"{scratch}/stdout", encoding="utf-8") as file:
                written = [json.loads(line) for line in file]
            assert len(written) >= 50
            collector.await_seen(lambda seen: len(seen) >= len(written))
    got = collector.lines()
    for line in got:
        assert (line.pop("instanceID"), line.pop("envID")) == ("sandbox-1", "template-1")
    assert got[:len(written)] == written
    assert len({seen.connection for seen in collector.seen}) == 1


@pytest.mark.ours
def test_silent_collector_holds_up_nobody(begin):
    class Silent(mmds.Metadata):
        def __init__(self):
            super().__init__(host="127.0.0.1", port=0)

    with Silent() as collector, mmds.Metadata(
            address=f"http://127.0.0.1:{collector.port}/") as service:
        collector.silent = True
        begin()
        eventually(lambda: "E2B_SANDBOX_ID" in envs())
        for _ in range(200):
            refused(OWN_PORT)
        collector.await_seen(lambda seen: len(seen) == 1)
        assert exchange("GET", "/health", port=OWN_PORT).status == 204
        service.document = None


@pytest.mark.ours
def test_refusals_are_not_an_amplifier(begin, scratch):
    begin("-isnotfc", "-verbose")
    body = json.dumps({"accessToken": "token"}).encode()
    assert exchange("POST", "/init", {}, body, OWN_PORT).status == 204
    for _ in range(100):
        assert exchange("GET", "/metrics", port=OWN_PORT).status == 401
    with open(f"{scratch}/stdout", encoding="utf-8") as file:
        lines = [line for line in file if "without correct access token" in line]
    assert 10 <= len(lines) <= 30


def redirects():
    """Rules of nf_tables, or a reason to skip."""
    try:
        made = nft.Netfilter()
        made.tables()
        return made
    except OSError as error:
        pytest.skip(f"no nf_tables here: {error}")


@pytest.mark.ours
@pytest.mark.parametrize("priority", [-100, -199])
def test_redirected_service_is_reached(begin, priority):
    """A guest that redirects port 80 does not stand in the way of an /init."""
    rules = redirects()
    token = "secret"
    with mmds.Metadata(token=token) as service, mmds.Metadata(
            "impostor", host="127.0.0.1", port=0) as impostor:
        impostor.document = None
        rules.redirect("envd-test", 80, impostor.port, priority=priority)
        try:
            begin("-control-from", "anyone")
            impostor.await_seen(lambda seen: len(seen) >= 2)
            body = json.dumps({"accessToken": token}).encode()
            answer = exchange("POST", "/init", {}, body, OWN_PORT)
            assert answer.status == 204, answer.body
            eventually(lambda: json.loads(exchange(
                "GET", "/envs", {"X-Access-Token": token}, port=OWN_PORT).body).get(
                    "E2B_SANDBOX_ID") == "sandbox-1")
            assert "envd-mmds" in rules.tables()
            assert service.lookups() >= 1
        finally:
            for table in {"envd-test", "envd-mmds"} & set(rules.tables()):
                rules.delete(table)
            rules.close()
