"""The agent's own log: JSON lines with sizes, and nothing of what passes through."""

import json
import os
import shlex

import pytest

from agent import Agent
from conftest import OWN_PORT
from rpc import by_pid, data, must, shell, start
from wire import exchange

SECRET = "hunter2"


@pytest.mark.ours
def test_no_payload_is_logged(scratch):
    log = f"{scratch}/stdout"
    agent = Agent(os.environ["ENVD_BIN"], [*shlex.split(os.environ["ENVD_ARGS"]), "-verbose"],
                  OWN_PORT, f"{scratch}/stderr", stdout=log)
    message = shell(f"read line; echo $line $NAME; : {SECRET}")
    message["process"]["envs"] = {"NAME": SECRET}
    try:
        body = json.dumps({"envVars": {"GLOBAL": SECRET}}).encode()
        assert exchange("POST", "/init", {}, body, OWN_PORT).status == 204
        with start(message, port=OWN_PORT) as run:
            typed = by_pid(run.pid, input={"stdin": data(f"{SECRET}\n")})
            must("Process/SendInput", typed, port=OWN_PORT)
            run.finish()
        assert run.output["stdout"].decode() == f"{SECRET} {SECRET}\n"
        path = f"/files?path={scratch}/file"
        sent = {"Content-Type": "application/octet-stream"}
        assert exchange("POST", path, sent, SECRET.encode(), OWN_PORT).status == 200
        assert exchange("GET", path, port=OWN_PORT).body == SECRET.encode()
    finally:
        assert agent.stop() == []
    with open(log, encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert any(json.loads(line).get("pid") == run.pid for line in lines)
    assert not [line for line in lines if SECRET in line]
