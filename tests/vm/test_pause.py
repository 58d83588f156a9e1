"""Pause to a file, resume in a new process: everything goes on."""

import pytest

import guest
import machine
import rpc
import watching

CYCLES = 10
WATCHED = "/tmp/watched"
COUNT = f"n=0; while :; do n=$((n+1)); : >{WATCHED}/$n; echo $n; sleep 0.02; done"
COUNTS_ON = (f"count() {{ ls {WATCHED} | wc -l; }}; begun=$(count); "
             "until [ $(count) -gt $((begun+5)) ]; do sleep 0.02; done")


def test_ten_times_in_a_row(own_debian, figure):
    guest.sh(f"mkdir {WATCHED}; echo in memory >/dev/shm/file; echo not written yet >/root/file")
    watcher = watching.Polled(WATCHED)
    counter = guest.Lines("counter", rpc.shell(COUNT))
    shell = guest.terminal("shell")
    agent, listed = guest.agent_pid(), sorted(rpc.pids())
    watched = []
    guest.type_line(shell, "x=0")
    for cycle in range(1, CYCLES + 1):
        for _ in range(10):
            counter.next()
        stream = watching.Streamed(WATCHED)
        seconds, size = own_debian.pause()
        for followed in (counter, shell):
            followed.cut_off()
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                stream.more()
        own_debian.resume()
        ready = own_debian.await_answer(machine.post_init)
        figure(f"pause {cycle}: {seconds:.2f} s, {size >> 20} MiB; "
               f"resume to the first 204 of /init: {ready:.2f} s")

        assert guest.agent_pid() == agent
        assert sorted(rpc.pids()) == listed
        guest.sh(COUNTS_ON)  # while nobody listens
        for followed in (counter, shell):
            followed.reconnect()
        before = len(shell.received)
        guest.type_line(shell, "x=$((x+1)); echo [$x]")
        shell.until(f"[{cycle}]".encode(), before)
        watched += watcher.poll()
        with_new = watching.Streamed(WATCHED)
        guest.sh(f": >{WATCHED}/after-{cycle}")
        with_new.until_has(f"CREATE after-{cycle}")
        with_new.close()

    assert guest.sh("cat /dev/shm/file /root/file") == "in memory\nnot written yet\n"
    guest.type_line(shell, "exit 7")
    assert shell.finish()["exitCode"] == 7
    everything_was_counted(counter)
    everything_was_watched(watcher, watched, counter)


def everything_was_counted(counter):
    """Not a byte of the output is missing or there twice."""
    rpc.must("Process/SendSignal", {"process": {"tag": "counter"}, "signal": "SIGNAL_SIGKILL"})
    assert counter.finish()["status"] == "signal: killed"
    numbers = counter.received.split()
    assert numbers and numbers == [str(n).encode() for n in range(1, len(numbers) + 1)]


def everything_was_watched(watcher, events, counter):
    """Each file was announced once, in order, whether polled before or after a pause."""
    events += watcher.poll()
    made = [event["name"] for event in events if event["type"] == "EVENT_TYPE_CREATE"]
    assert not [event for event in events if event.get("rescanned")]
    assert [name for name in made if name.startswith("after-")] == [
        f"after-{cycle}" for cycle in range(1, CYCLES + 1)]
    counted = [int(name) for name in made if not name.startswith("after-")]
    # The last file may be there without its number having been written.
    assert counted == list(range(1, len(counted) + 1))
    assert len(counted) - len(counter.received.split()) in (0, 1)
    watcher.close()


def test_stopped_and_continued_in_place(own_debian):
    """An in-place checkpoint: connections survive."""
    guest.sh(f"mkdir {WATCHED}")
    counter = guest.Lines("counter", rpc.shell(COUNT))
    stream = watching.Streamed(WATCHED)
    for cycle in range(CYCLES):
        own_debian.stop_and_go()
        guest.sh(f": >{WATCHED}/after-{cycle}")
        stream.until_has(f"CREATE after-{cycle}")
        counter.until(b"\n", len(counter.received))
    stream.close()
    everything_was_counted(counter)
