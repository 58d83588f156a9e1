"""How each suite is run and how its results are counted."""

import json
import os
import re
import xml.etree.ElementTree as ET
from glob import glob

SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(SDK))
DEPS = os.path.join(TOP, "build", "deps")


class Pytest:
    """The Python SDK suite, the raw protocol suite, the chaos and the OpenAPI suite."""

    def __init__(self, *folder, environment="python"):
        self.cwd = os.path.join(TOP, "tests", *folder)
        self.environment = environment

    def command(self, report, reference, extra):
        deselect = ["-m", "not ours"] if reference else []
        pytest = os.path.join(DEPS, self.environment, "bin", "pytest")
        return [pytest, "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
                *deselect, *extra]

    def count(self, report):
        passed = failed = skipped = 0
        for case in ET.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed += 1
            elif "skipped" in kinds:
                skipped += 1
            else:
                passed += 1
        return passed, failed, skipped


class Node:
    """The JavaScript SDK suite, under node's own test runner."""

    cwd = os.path.join(SDK, "js")

    def command(self, report, reference, extra):
        del reference
        files = sorted(glob(os.path.join(self.cwd, "*.test.mjs")))
        return [os.path.join(DEPS, "bin", "node"), "--test", "--test-concurrency=1",
                "--test-reporter=spec", "--test-reporter-destination=stdout",
                "--test-reporter=tap", f"--test-reporter-destination={report}",
                *extra, *files]

    def count(self, report):
        with open(report, encoding="utf-8") as text:
            totals = dict(re.findall(r"^# (\w+) (\d+)$", text.read(), re.MULTILINE))
        failed = int(totals["fail"]) + int(totals["cancelled"])
        skipped = int(totals["skipped"]) + int(totals["todo"])
        return int(totals["pass"]), failed, skipped


class Go:
    """The binary-codec and gRPC suite."""

    cwd = os.path.join(SDK, "go")

    def command(self, report, reference, extra):
        del reference
        script = os.path.join(self.cwd, "run.sh")
        return [script, os.path.join(DEPS, "bin", "go"), report, *extra]

    def count(self, report):
        results, broken = {}, 0
        with open(report, encoding="utf-8") as lines:
            for line in lines:
                event = json.loads(line) if line.startswith("{") else {}
                if event.get("Action") in ("pass", "fail", "skip") and "Test" in event:
                    results[event["Test"]] = event["Action"]
                elif event.get("Action") == "build-fail":
                    broken = 1
        groups = {name.rpartition("/")[0] for name in results}
        single = [action for name, action in results.items() if name not in groups]
        return single.count("pass"), single.count("fail") + broken, single.count("skip")


SUITES = {"python": Pytest("sdk", "python"), "js": Node(), "go": Go(),
          "raw": Pytest("sdk", "raw"), "chaos": Pytest("chaos"),
          "init": Pytest("init"),
          "openapi": Pytest("sdk", "openapi", environment="openapi")}
DEFAULT = ("python", "js", "go", "raw", "openapi")
REMOTE = ("python", "js")  # those that need nothing of the agent's machine but the agent
