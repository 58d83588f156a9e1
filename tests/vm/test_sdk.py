"""The suites of the official SDKs, from outside, against the agent in the guest."""

import os
import subprocess
import sys

import pytest

import guest
import machine


@pytest.mark.parametrize("suite", ["python", "js"])
def test_official_sdk(debian, figure, suite):
    done = subprocess.run([sys.executable, os.path.join(guest.SDK, "run"),
                           "--agent", f"http://127.0.0.1:{machine.PORT}", suite],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    figure(f"SDK suite, {done.stdout.splitlines()[-2]}")
    assert debian.running()
