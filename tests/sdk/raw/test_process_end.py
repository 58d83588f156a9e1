"""How commands end, and what Connect finds while and after they run."""

import pytest

from conftest import eventually
from rpc import by_pid, connect, data, must, pids, refused, run, shell, start, stream_refused

NAMES = {
    1: "hangup", 2: "interrupt", 3: "quit", 4: "illegal instruction", 5: "trace/breakpoint trap",
    6: "aborted", 7: "bus error", 8: "floating point exception", 9: "killed",
    10: "user defined signal 1", 11: "segmentation fault", 12: "user defined signal 2",
    13: "broken pipe", 14: "alarm clock", 15: "terminated", 16: "stack fault",
    24: "CPU time limit exceeded", 25: "file size limit exceeded", 26: "virtual timer expired",
    27: "profiling timer expired", 29: "I/O possible", 30: "power failure", 31: "bad system call",
    34: "signal 34", 64: "signal 64"}
CORES = {3, 4, 5, 6, 7, 8, 11, 24, 25, 31}


@pytest.mark.parametrize("number", NAMES)
def test_death_by_signal(number):
    end = run(f"ulimit -c 0; kill -{number} $$; sleep 300").end
    expected = f"signal: {NAMES[number]}"
    assert end["status"] in {expected, f"{expected} (core dumped)" if number in CORES else expected}
    assert end == {"exitCode": -1, "status": end["status"], "error": end["status"]}


@pytest.mark.parametrize("code", [1, 7, 100, 255])
def test_exit_codes(code):
    text = f"exit status {code}"
    assert run(f"exit {code}").end == {"exitCode": code, "exited": True, "status": text, "error": text}


def test_exit_zero():
    assert run("exit 0").end == {"exited": True, "status": "exit status 0"}


def test_all_output_comes_before_the_end():
    for _ in range(20):
        done = run("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2")
        assert (len(done.output["stdout"]), len(done.output["stderr"])) == (300_000, 300_000)


def test_stop_and_continue_are_not_reported():
    with start(shell("kill -STOP $$; echo resumed")) as done:
        eventually(lambda: stopped(done.pid))
        assert done.pid in pids()
        run(f"kill -CONT {done.pid}")
        assert done.finish()["status"] == "exit status 0"
    assert done.output["stdout"] == b"resumed\n"


def stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "T"


def test_output_closed_by_a_running_command():
    with start(shell("echo last; exec >&- 2>&-; read line; exit 4")) as done:
        done.until(b"last\n")
        assert done.pid in pids()
        must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
        assert done.finish()["exitCode"] == 4


@pytest.mark.ours
def test_background_child_does_not_hold_the_end_back():
    with start(shell("sleep 300 & echo hi; exit 5")) as done:
        assert done.finish()["exitCode"] == 5
    assert done.output["stdout"] == b"hi\n"


@pytest.mark.parametrize("selector", ["pid", "tag"])
def test_exit_is_kept_for_late_readers(selector):
    tag = f"late by {selector}"
    done = run("echo gone; exit 6", tag=tag)
    chosen = {"pid": done.pid} if selector == "pid" else {"tag": tag}
    for _ in range(2):
        with connect(chosen) as late:
            assert late.pid == done.pid
            assert late.finish() == done.end
        assert late.final == {}


def test_ended_process_is_gone_for_everything_else():
    done = run("true")
    text = f"process with pid {done.pid} not found"
    assert done.pid not in pids()
    for name, members in (("SendSignal", {"signal": 9}), ("CloseStdin", {}), ("Update", {}),
                          ("SendInput", {"input": {"stdin": ""}})):
        refused(f"Process/{name}", by_pid(done.pid, **members), "not_found", text)


def test_newer_owner_of_a_tag_is_the_one_that_counts():
    run("exit 3", tag="twice")
    run("exit 4", tag="twice")
    with connect({"tag": "twice"}) as late:
        assert late.finish()["exitCode"] == 4


def test_connect_sees_what_comes_after_it_joined():
    with start(shell("read a; echo first; read b; echo second")) as done:
        with connect({"pid": done.pid}) as other:
            must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
            other.until(b"first\n")
            must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
            other.finish()
            done.finish()
            assert other.output["stdout"] == done.output["stdout"] == b"first\nsecond\n"


def test_many_readers_get_the_same():
    with start(shell("read a; head -c 200000 /dev/zero | tr '\\0' x; exit 9")) as done:
        others = [connect({"pid": done.pid}) for _ in range(8)]
        must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
        for each in [done, *others]:
            assert each.finish()["exitCode"] == 9
            assert each.output["stdout"] == b"x" * 200_000
            each.conn.close()


def test_reader_that_leaves_does_not_disturb():
    with start(shell("read a; head -c 3000000 /dev/zero")) as done:
        for _ in range(5):
            with connect({"pid": done.pid}):
                pass
        must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
        assert done.finish()["status"] == "exit status 0"
    assert len(done.output["stdout"]) == 3_000_000


@pytest.mark.parametrize("selector, text", [
    ({"pid": 999_999}, "process with pid 999999 not found"), ({"pid": 0}, "process with pid 0 not found"),
    ({"pid": 1}, "process with pid 1 not found"), ({"tag": "none"}, "process with tag none not found")])
def test_unknown_selectors(selector, text):
    stream_refused("Process/Connect", {"process": selector}, "not_found", text)
    for name in ("SendSignal", "CloseStdin", "Update", "SendInput"):
        refused(f"Process/{name}", {"process": selector}, "not_found", text)


@pytest.mark.parametrize("message", [{}, {"process": {}}])
def test_missing_selectors(message):
    text = "invalid input type *process.ProcessSelector"
    stream_refused("Process/Connect", message, "unimplemented", text)
    for name in ("SendSignal", "CloseStdin", "Update", "SendInput"):
        refused(f"Process/{name}", message, "unimplemented", text)


@pytest.mark.ours
def test_tags_do_not_hide_each_other():
    runs = [start({"process": {"cmd": "cat"}, "tag": f"tag {n}"}) for n in range(6)]
    for number, made in enumerate(runs):
        with connect({"tag": f"tag {number}"}) as other:
            assert other.pid == made.pid
        made.conn.close()


@pytest.mark.ours
def test_output_without_a_reader_is_replayed():
    with start(shell("read a; echo unseen; exec sleep 300")) as done:
        pass
    must("Process/SendInput", by_pid(done.pid, input={"stdin": data("\n")}))
    with connect({"pid": done.pid}) as other:
        other.until(b"unseen\n")


@pytest.mark.ours
def test_kill_reaches_the_whole_tree(scratch):
    script = f"sleep 300 & echo $! >{scratch}/child; wait"
    with start(shell(script)) as done:
        eventually(lambda: child_of(scratch))
        must("Process/SendSignal", by_pid(done.pid, signal="SIGNAL_SIGKILL"))
        assert done.finish()["status"] == "signal: killed"
    eventually(lambda: not running(child_of(scratch)))


def child_of(scratch):
    try:
        with open(f"{scratch}/child", encoding="ascii") as file:
            return int(file.read() or 0)
    except FileNotFoundError:
        return 0


def running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.ours
def test_deadline_reaches_the_whole_tree(scratch):
    script = f"sleep 300 & echo $! >{scratch}/child; wait"
    with start(shell(script), {"Connect-Timeout-Ms": "1000"}) as done:
        done.finish()
    eventually(lambda: child_of(scratch) and not running(child_of(scratch)))


@pytest.mark.ours
def test_output_before_a_kill_is_not_lost():
    with start(shell("head -c 60000 /dev/zero; echo; exec sleep 300")) as done:
        done.until(b"\n")
        must("Process/SendSignal", by_pid(done.pid, signal=9))
        done.finish()
    assert len(done.output["stdout"]) == 60_001
