"""GET /metrics as text, read by a strict parser; ids of requests; the verbose /health."""

import json
import os
import re
import shlex
import signal

import pytest
import rpc
import wire
from agent import Agent
from conftest import OWN_PORT, eventually, signal_pending

pytestmark = pytest.mark.ours

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([0-9]+(?:\.[0-9]+)?)")
SUFFIX = {"counter": "_total", "info": "_info", "gauge": ""}


def parse(text, openmetrics):
    """{(name, labels): value}; every rule of the format that we use is enforced."""
    assert text.endswith("\n") and "\r" not in text
    lines = text[:-1].split("\n")
    if openmetrics:
        assert lines.pop() == "# EOF"
    found, families, family, kind = {}, set(), None, None
    while lines:
        line = lines.pop(0)
        if line.startswith("# "):
            word, name, rest = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line).groups()
            if word == "HELP":
                assert name not in families, "a family comes once"
                families.add(name)
                family = name
                assert lines[0].startswith("# TYPE ")
            else:
                assert name == family
                kind = rest
                assert kind in (SUFFIX if openmetrics else ("counter", "gauge"))
            continue
        name, labels, *_, value = SAMPLE.fullmatch(line).groups()
        if openmetrics:
            assert name == family + SUFFIX[kind]
        else:
            assert name == family and name.endswith("_total") == (kind == "counter")
        pairs = re.findall(LABEL, labels or "")
        assert len({key for key, _ in pairs}) == len(pairs), "a label comes once"
        key = (name, tuple(pairs))
        assert key not in found, "a sample comes once"
        found[key] = float(value)
    return found


def scrape(port, accept="text/plain"):
    answer = wire.exchange("GET", "/metrics", {"Accept": accept}, port=port)
    assert answer.status == 200 and answer.get("cache-control") == "no-store"
    kind = answer.get("content-type")
    assert kind in (PROMETHEUS, OPENMETRICS)
    return parse(answer.body.decode(), kind == OPENMETRICS)


def value(found, name, **labels):
    return found[name, tuple(labels.items())]


@pytest.mark.parametrize("accept,kind", [
    (None, "application/json"),
    ("", "application/json"),
    ("*/*", "application/json"),
    ("application/json", "application/json"),
    ("application/json, text/plain, */*", "application/json"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/json"),
    ("image/png", "application/json"),
    ("text/plain;q=0", "application/json"),
    ("text/plain", PROMETHEUS),
    ("text/*", PROMETHEUS),
    ("text/plain;version=0.0.4", PROMETHEUS),
    ("application/json;q=0.1, text/plain;q=0.2", PROMETHEUS),
    ("application/openmetrics-text", OPENMETRICS),
    ("application/openmetrics-text;version=2.0.0,text/plain;q=0.5", PROMETHEUS),
    ("application/openmetrics-text;version=1.0.0;q=0.5,"
     "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     OPENMETRICS),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
     "application/openmetrics-text;version=0.0.1;q=0.5,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
     "*/*;q=0.2", OPENMETRICS),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_form_by_accept(method, accept, kind):
    headers = {} if accept is None else {"Accept": accept}
    answer = wire.exchange(method, "/metrics", headers)
    assert (answer.status, answer.get("content-type")) == (200, kind)
    if method == "HEAD":
        assert answer.body == b"" and int(answer.get("content-length")) > 100


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
@pytest.mark.usefixtures("own_agent")
def test_everything_is_there(accept):
    first = scrape(OWN_PORT, accept)
    names = {name for name, _ in first}
    assert {
        "process_cpu_seconds_total", "process_resident_memory_bytes",
        "process_virtual_memory_bytes", "process_open_fds", "process_max_fds",
        "process_start_time_seconds", "envd_build_info", "envd_loop_stalls_total",
        "envd_http_connections", "envd_http_requests_total", "envd_processes",
        "envd_process_output_bytes_total", "envd_process_output_dropped_bytes_total",
        "envd_process_readers_cut_total", "envd_process_rings_bytes", "envd_watchers",
        "envd_watch_events_total", "envd_watch_overflows_total", "envd_worker_jobs",
        "envd_worker_threads", "envd_log_lines_dropped_total", "envd_machine_memory_bytes",
        "envd_init_requests_total", "envd_init_works_total", "envd_fsfreeze_freezes_total",
    } <= names
    assert first["envd_build_info", tuple(dict(
        (key, text) for name, labels in first if name == "envd_build_info"
        for key, text in labels).items())] == 1
    assert value(first, "envd_http_connections") >= 1
    assert value(first, "process_open_fds") > 3
    # what only grows does so
    second = scrape(OWN_PORT, accept)
    for key, before in first.items():
        if key[0].endswith("_total"):
            assert second[key] >= before


@pytest.mark.usefixtures("own_agent")
def test_what_is_done_is_counted(scratch):
    before = scrape(OWN_PORT)
    messages, _ = rpc.stream("Process/Start", rpc.shell("printf 12345"), port=OWN_PORT)
    assert any("end" in message.get("event", {}) for message in messages)
    headers = {"Content-Type": "application/octet-stream"}
    body = b"x" * 4321
    path = f"/files?path={scratch}/f&username=root"
    assert wire.exchange("POST", path, headers, body, OWN_PORT).status == 200
    assert wire.exchange("GET", path, port=OWN_PORT).body == body
    assert wire.exchange("GET", "/nowhere", port=OWN_PORT).status == 404
    after = scrape(OWN_PORT)

    def grown(name, **labels):
        key = (name, tuple(labels.items()))
        return after[key] - before.get(key, 0)

    assert grown("envd_processes_started_total") == 1
    assert grown("envd_processes_ended_total") == 1
    assert grown("envd_process_output_bytes_total") == 5
    assert grown("envd_processes", state="retained") == 1
    assert grown("envd_http_received_bytes_total", route="files") == 4321
    assert grown("envd_http_sent_bytes_total", route="files") >= 4321
    assert grown("envd_http_requests_total", route="files", code="2xx") == 2
    assert grown("envd_http_requests_total", route="other", code="4xx") == 1
    assert grown("envd_http_requests_total", route="process", code="2xx") == 1


def test_labels_are_bounded():
    """Nothing that a client chooses becomes a label."""
    for i in range(50):
        wire.exchange("GET", f"/made-up-{i}/x", {"X-Request-Id": f"made-up-{i}"})
        wire.exchange(f"MADEUP{i}", "/health")
    assert not any("made-up" in text or "MADEUP" in text
                   for _, labels in scrape(wire.PORT) for _, text in labels)


@pytest.mark.usefixtures("own_agent")
def test_many_at_once():
    """They share a reading; those who leave are forgotten."""
    conns = [wire.Connection(OWN_PORT) for _ in range(50)]
    for conn in conns:
        conn.send(wire.request("GET", "/metrics", {"Accept": "text/plain"}))
    for conn in conns[::2]:
        conn.close()
    for conn in conns[1::2]:
        parse(conn.answer().body.decode(), False)
        conn.close()
    assert scrape(OWN_PORT)


def test_json_is_as_ever():
    answer = wire.exchange("GET", "/metrics")
    assert list(json.loads(answer.body)) == [
        "ts", "cpu_count", "cpu_used_pct", "mem_total_mib", "mem_used_mib", "mem_total",
        "mem_used", "mem_cache", "disk_used", "disk_total"]
    assert answer.body.endswith(b"}\n")


# ---- ids of requests


@pytest.mark.parametrize("given", ["abc", "0", "a-b_c.d~e/f=g:h@i", "x" * 128])
@pytest.mark.parametrize("path", ["/health", "/metrics", "/nowhere", "/files?path=/nowhere"])
def test_request_id_comes_back(path, given):
    answer = wire.exchange("GET", path, {"X-Request-Id": given})
    assert answer.all("x-request-id") == [given]


@pytest.mark.parametrize("given", [None, "", "x" * 129, "a b", 'a"b', "a,b", "a;b", "\xe9", "a\tb"])
def test_request_id_of_ours(given):
    headers = {} if given is None else {"X-Request-Id": given}
    seen = set()
    for _ in range(3):
        (found,) = wire.exchange("GET", "/envs", headers).all("x-request-id")
        assert re.fullmatch("[0-9a-f]{16}", found)
        seen.add(found)
    assert len(seen) == 3
    assert wire.exchange("GET", "/health", headers).all("x-request-id") == []


def test_request_id_in_the_log(scratch):
    log = f"{scratch}/stdout"
    agent = Agent(os.environ["ENVD_BIN"], [*shlex.split(os.environ["ENVD_ARGS"]), "-verbose"],
                  OWN_PORT, f"{scratch}/stderr", stdout=log)
    try:
        json_type = {"Content-Type": "application/json"}
        wire.exchange("GET", "/files?path=/etc/hostname&username=root", {"X-Request-Id": "one"},
                      port=OWN_PORT)
        wire.exchange("GET", "/files?path=/nowhere&username=root", {"X-Request-Id": "two"},
                      port=OWN_PORT)
        wire.exchange("POST", "/process.Process/List", {**json_type, "X-Request-Id": "three"},
                      b"{}", OWN_PORT)
        wire.exchange("POST", "/filesystem.Filesystem/Stat", {**json_type, "X-Request-Id": "four"},
                      b'{"path":"/"}', OWN_PORT)
        wire.exchange("POST", "/files/compose", {**json_type, "X-Request-Id": "five"},
                      b'{"sources":["/nowhere"],"destination":"/tmp/x"}', OWN_PORT)
        wire.exchange("GET", "/envs", {"X-Request-Id": "six"}, port=OWN_PORT)
    finally:
        assert agent.stop() == []
    with open(log, encoding="utf-8") as file:
        found = [json.loads(line).get("request_id") for line in file]
    assert {"one", "two", "three", "four", "five", "six"} <= set(found)


# ---- how it is, for people


def test_agent_header():
    answer = wire.exchange("POST", "/init", body=b"{}")
    assert answer.status == 204 and answer.get("x-envd-version")
    assert re.fullmatch(r"envd(/[0-9a-zA-Z.+-]+)?", answer.get("x-agent"))
    assert wire.exchange("GET", "/health").get("x-agent") is None


@pytest.mark.parametrize("query", ["verbose", "verbose=1", "a=b&verbose", "verbose&c", "verbose="])
def test_verbose_health(query):
    answer = wire.exchange("GET", f"/health?{query}")
    assert (answer.status, answer.get("content-type")) == (200, "application/json")
    found = json.loads(answer.body)
    assert found["pid"] == int(os.environ["ENVD_PID"]) and found["port"] == wire.PORT
    assert found["connections"] >= 1 and found["uptime_s"] >= 0
    assert "tcp" in found["listeners"].split()
    assert found["file_system"] == "thawed" and found["commands"] in ("thawed", "impossible")
    assert answer.body.endswith(b"\n}\n")


@pytest.mark.parametrize("query", ["", "x", "verbos", "verbosely", "averbose", "x=verbose", "&&"])
def test_plain_health(query):
    answer = wire.exchange("GET", f"/health?{query}")
    assert answer.status == 204
    assert [name for name, _ in answer.headers] == ["date", "vary", "cache-control"]


@pytest.mark.usefixtures("own_agent")
def test_verbose_health_needs_the_token():
    body = json.dumps({"accessToken": "secret"}).encode()
    assert wire.exchange("POST", "/init", {}, body, OWN_PORT).status == 204
    assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204
    assert wire.exchange("GET", "/health?verbose", port=OWN_PORT).status == 401
    assert wire.exchange("GET", "/health?verbose", {"X-Access-Token": "secret"},
                         port=OWN_PORT).status == 200


@pytest.mark.parametrize("flags", [[], ["-verbose"]])
def test_state_by_signal(scratch, flags):
    agent = Agent(os.environ["ENVD_BIN"], [*shlex.split(os.environ["ENVD_ARGS"]), *flags],
                  OWN_PORT, f"{scratch}/stderr", stdout=f"{scratch}/stdout")
    name = f"{scratch}/{'stdout' if flags else 'stderr'}"

    def text():
        with open(name, encoding="utf-8") as file:
            return file.read()

    try:
        os.kill(agent.pid, signal.SIGUSR1)
        eventually(lambda: '"watchers"' in text() and text().endswith("}\n"))
        if flags:
            found = json.loads(next(line for line in text().split("\n") if "watchers" in line))
            assert found["message"] == "The state of the agent"
        else:
            found = json.loads(text())
        assert found["pid"] == agent.pid
        assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204
    finally:
        assert agent.stop() == []


def test_state_by_signal_when_nobody_reads_it(scratch):
    name = f"{scratch}/stderr"
    os.mkfifo(name)
    pipe = os.open(name, os.O_RDWR | os.O_NONBLOCK)
    agent = Agent(os.environ["ENVD_BIN"], shlex.split(os.environ["ENVD_ARGS"]), OWN_PORT, name)
    os.unlink(name)
    with open(name, "w", encoding="utf-8"):
        pass  # for the end
    try:
        with pytest.raises(BlockingIOError):
            while True:
                os.write(pipe, b"x")
        os.kill(agent.pid, signal.SIGUSR1)
        eventually(lambda: not signal_pending(agent.pid, signal.SIGUSR1))
        for _ in range(3):
            assert wire.exchange("GET", "/health", port=OWN_PORT).status == 204
    finally:
        os.close(pipe)
        assert agent.stop() == []
