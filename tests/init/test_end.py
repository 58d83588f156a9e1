"""How the machine goes down."""

import os
import signal

import pytest
import rpc
import wire
from conftest import eventually

# What the kernel makes of reboot(2) in a pid namespace: the end of its first process.
RESTART, POWER_OFF = signal.SIGHUP, signal.SIGINT

SIGNALS = {
    signal.SIGTERM: RESTART, signal.SIGINT: RESTART, signal.SIGRTMIN + 5: RESTART,
    signal.SIGUSR2: POWER_OFF, signal.SIGPWR: POWER_OFF, signal.SIGRTMIN + 4: POWER_OFF,
    signal.SIGUSR1: POWER_OFF, signal.SIGRTMIN + 3: POWER_OFF,  # halt looks the same
}


@pytest.mark.parametrize("number", list(SIGNALS), ids=str)
def test_signals(machine, number):
    made = machine()
    os.kill(made.pid, number)
    assert os.WTERMSIG(made.wait()) == SIGNALS[number]
    assert "init: going down\n" in made.log()
    assert "killing" not in made.log()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP,
                                    signal.SIGALRM, signal.SIGRTMIN], ids=str)
def test_signals_that_mean_nothing(machine, number):
    made = machine()
    os.kill(made.pid, number)
    before = made.agent()
    os.kill(before, signal.SIGKILL)  # it still does its work
    eventually(lambda: made.agent() not in (None, before))


def test_signals_of_the_agents_commands(machine):
    """kill -1 of a command reaches neither the agent's parent nor, for long, the agent."""
    made = machine()
    before = made.agent()
    with wire.Connection() as conn:
        conn.send(wire.request("POST", rpc.route("Process/Start"), rpc.STREAM,
                               rpc.envelope(rpc.shell("kill -9 -1"))))
        eventually(lambda: made.agent() not in (None, before))
    assert "init: going down" not in made.log()


def test_a_command_can_take_the_machine_down(machine):
    made = machine()
    with rpc.Stream("Process/Start", rpc.shell("kill -USR2 1; sleep 1000")):
        assert os.WTERMSIG(made.wait()) == POWER_OFF


TIDY = "trap 'echo bye > /bye%d; exit 7' TERM; echo > /up%d; while :; do sleep 0.1; done"


def test_programs_get_to_end_by_themselves(machine, image):
    made = machine("-start", TIDY % (0, 0))
    with rpc.Stream("Process/Start", rpc.shell(TIDY % (1, 1))) as stream:
        stream.envelope()
        eventually(lambda: made.read("/up0") and made.read("/up1"))
        os.kill(made.pid, signal.SIGTERM)
        assert os.WTERMSIG(made.wait()) == RESTART
    for number in (0, 1):
        with open(f"{image}/bye{number}", encoding="ascii") as file:
            assert file.read() == "bye\n"
    assert "killing" not in made.log()


def test_stopped_programs_get_to_end_by_themselves(machine, image):
    made = machine("-start", TIDY % (0, 0))
    eventually(lambda: made.read("/up0"))
    for pid in made.children():
        if pid != made.agent():
            os.kill(pid, signal.SIGSTOP)
    os.kill(made.pid, signal.SIGTERM)
    made.wait()
    assert os.path.exists(f"{image}/bye0")
    assert "killing" not in made.log()


def test_stubborn_programs_are_killed(machine, image):
    made = machine("-start", "trap '' TERM INT HUP; echo > /up; while :; do sleep 0.1; done",
                   "-stop-ms", "300")
    eventually(lambda: made.read("/up"))
    os.kill(made.pid, signal.SIGTERM)
    assert os.WTERMSIG(made.wait()) == RESTART
    assert "init: killing what did not end\n" in made.log()


def test_frozen_programs_are_thawed(machine, image, cgroup):
    made = machine(cgroups=True, cgroup=cgroup)
    with rpc.Stream("Process/Start", rpc.shell(TIDY % (0, 0))) as stream:
        stream.envelope()
        eventually(lambda: made.read("/up0"))
        with open(made.path("/sys/fs/cgroup/user/cgroup.freeze"), "w", encoding="ascii") as file:
            file.write("1")
        eventually(lambda: "frozen 1" in made.read("/sys/fs/cgroup/user/cgroup.events"))
        os.kill(made.pid, signal.SIGTERM)
        made.wait()
    assert os.path.exists(f"{image}/bye0")


def test_nothing_is_started_while_it_goes_down(machine):
    made = machine("-start", "echo run >> /runs; sleep 1000", "-start-restart", "always")
    eventually(lambda: made.read("/runs"))
    os.kill(made.pid, signal.SIGTERM)
    made.wait()
    assert "it is started again" not in made.log()
