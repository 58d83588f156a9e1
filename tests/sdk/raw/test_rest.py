"""Small REST routes: /health, /envs, /metrics, and what /init changes."""

import json
import time
from datetime import datetime, timedelta, timezone

import pytest

from rpc import JSON, must, start, shell
from wire import exchange

METRICS = {"ts": int, "cpu_count": int, "cpu_used_pct": (int, float), "mem_total_mib": int,
           "mem_used_mib": int, "mem_total": int, "mem_used": int, "mem_cache": int,
           "disk_used": int, "disk_total": int}


def init(agent, body, status=204):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = exchange("POST", "/init", JSON, text, agent.port)
    assert answer.status == status, answer.body
    return answer


def envs(agent):
    return json.loads(exchange("GET", "/envs", port=agent.port).body)


def output(agent, script):
    with start(shell(script), port=agent.port) as run:
        run.finish()
        return run.output["stdout"].decode()


def test_health():
    answer = exchange("GET", "/health")
    assert (answer.status, answer.reason, answer.get("cache-control")) == (204, "No Content", "no-store")
    assert answer.get("content-length") is None and answer.get("transfer-encoding") is None


def test_envs():
    answer = exchange("GET", "/envs")
    assert (answer.status, answer.get("cache-control")) == (200, "no-store")
    assert answer.get("content-type") == "application/json"
    assert answer.body == b'{"E2B_SANDBOX":"false"}\n'


def test_metrics():
    answer = exchange("GET", "/metrics")
    assert (answer.status, answer.get("cache-control")) == (200, "no-store")
    assert answer.get("content-type") == "application/json"
    assert answer.body.endswith(b"}\n")
    values = json.loads(answer.body)
    assert list(values) == list(METRICS)
    for name, kind in METRICS.items():
        assert isinstance(values[name], kind) and not isinstance(values[name], bool), name
    assert abs(values["ts"] - time.time()) < 60
    assert values["cpu_count"] >= 1 and 0 <= values["cpu_used_pct"] <= 100
    assert values["mem_total_mib"] == values["mem_total"] // 1048576
    assert values["mem_used_mib"] == values["mem_used"] // 1048576
    assert 0 < values["mem_used"] < values["mem_total"]
    assert 0 < values["disk_used"] <= values["disk_total"]


def test_metrics_agree_with_the_kernel():
    with open("/proc/meminfo", encoding="ascii") as info:
        kernel = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in info}
    values = json.loads(exchange("GET", "/metrics").body)
    assert values["mem_total"] == kernel["MemTotal"]
    expected = kernel["MemTotal"] - kernel["MemAvailable"]
    assert abs(values["mem_used"] - expected) < 512 * 1048576


def test_init_answers_its_version(own_agent):
    answer = init(own_agent, b"")
    assert answer.get("x-envd-version").count(".") == 2
    assert answer.get("cache-control") == "no-store"
    assert answer.body == b""


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"{} x", b'{"envVars":[]}', b'{"envVars":{"a":1}}',
                                  b'{"timestamp":""}', b'{"timestamp":"yesterday"}', b'{"accessToken":""}',
                                  b'{"accessToken":1}', b'{"accessToken":"a\\\\b"}', b'{"defaultUser":1}'])
def test_init_refuses_a_bad_body(own_agent, body):
    answer = init(own_agent, body, 400)
    assert answer.body == b""
    assert answer.get("x-envd-version") is not None
    assert envs(own_agent) == {"E2B_SANDBOX": "false"}


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b' {"unknown":[1,{"x":null}]} '])
def test_init_accepts_nothing_at_all(own_agent, body):
    init(own_agent, body)
    assert envs(own_agent) == {"E2B_SANDBOX": "false"}


def test_init_sets_variables(own_agent):
    init(own_agent, {"envVars": {"B": "two", "A": "ünï ✓ <&>", "E2B_SANDBOX": "spoofed"}})
    assert envs(own_agent) == {"A": "ünï ✓ <&>", "B": "two", "E2B_SANDBOX": "false"}
    assert output(own_agent, 'echo "$A|$B|$E2B_SANDBOX"') == "ünï ✓ <&>|two|false\n"


def test_init_replaces_variables_as_a_whole(own_agent):
    init(own_agent, {"envVars": {"A": "1", "B": "2"}})
    init(own_agent, {"envVars": {"B": "3"}})
    assert envs(own_agent) == {"B": "3", "E2B_SANDBOX": "false"}
    init(own_agent, {})
    assert envs(own_agent) == {"B": "3", "E2B_SANDBOX": "false"}
    init(own_agent, {"envVars": {}})
    assert envs(own_agent) == {"E2B_SANDBOX": "false"}


def test_init_keys_in_any_case(own_agent):
    init(own_agent, b'{"ENVVARS":{"A":"1"},"envvars":{"B":null}}')
    assert envs(own_agent) == {"A": "1", "B": "", "E2B_SANDBOX": "false"}


def test_init_sets_the_default_user(own_agent):
    init(own_agent, {"defaultUser": "nobody", "defaultWorkdir": "/tmp"})
    assert output(own_agent, "id -un; pwd") == "nobody\n/tmp\n"
    init(own_agent, {"defaultUser": "", "defaultWorkdir": ""})
    assert output(own_agent, "id -un") == "nobody\n"


def test_init_sets_the_default_folder(own_agent, scratch):
    init(own_agent, {"defaultWorkdir": scratch})
    assert output(own_agent, "pwd") == scratch + "\n"
    entry = must("Filesystem/Stat", {"path": ""}, port=own_agent.port)["entry"]
    assert entry["path"] == scratch
    entry = must("Filesystem/Stat", {"path": "."}, port=own_agent.port)["entry"]
    assert entry["path"] == "/root"


def test_init_with_an_unknown_default_user(own_agent):
    init(own_agent, {"defaultUser": "no-such-user"})
    answer = exchange("POST", "/filesystem.Filesystem/Stat", JSON, b'{"path":"/"}', own_agent.port)
    assert (answer.status, json.loads(answer.body)) == (401, {
        "code": "unauthenticated", "message": "invalid default user: 'no-such-user'"})


def test_init_ignores_what_is_older(own_agent):
    now = datetime.now(timezone.utc) - timedelta(seconds=1)
    elsewhere = now.astimezone(timezone(timedelta(hours=5, minutes=30)))
    older = now - timedelta(milliseconds=1)
    for stamp, value, expected in ((now, "1", "1"), (older, "2", "1"), (elsewhere, "3", "3")):
        init(own_agent, {"timestamp": stamp.isoformat(), "envVars": {"STEP": value}})
        assert envs(own_agent)["STEP"] == expected


@pytest.mark.parametrize("token, text", [(None, b"access token reset not authorized"),
                                         ("other", b"access token validation failed")])
def test_init_guards_the_token(own_agent, token, text):
    init(own_agent, {"accessToken": "first", "envVars": {"A": "1"}})
    body = {"envVars": {"A": "2"}} | ({"accessToken": token} if token else {})
    assert init(own_agent, body, 401).body == text
    init(own_agent, {"accessToken": "first"})
    answer = exchange("GET", "/envs", {"X-Access-Token": "first"}, port=own_agent.port)
    assert json.loads(answer.body)["A"] == "1"
