"""A client that does not read must not grow the agent."""

import os
import threading

from conftest import eventually
from rpc import by_pid, connect, data, must, pids, shell, start
from wire import barrier

FLOOD = {"process": {"cmd": "cat", "args": ["/dev/zero"]}}
ROOM = 48 * 1024  # KiB that buffers and garbage may take
if os.environ["ENVD_SANITIZED"]:
    ROOM += 512 * 1024  # freed memory is held back for a while


def peak():
    """VmHWM of the agent in KiB."""
    with open(f"/proc/{os.environ['ENVD_PID']}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def written(pid):
    """Bytes the process has written so far."""
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return next(int(line.split()[1]) for line in io if line.startswith("wchar:"))


def stalled(pid):
    """Wait until the process makes no progress; gives what it wrote."""
    seen = []

    def still():
        barrier()
        seen.append(written(pid))
        return len(seen) > 25 and seen[-1] > 0 and seen[-25] == seen[-1]

    eventually(still, patience=120)
    return seen[-1]


def test_reader_that_stops_reading():
    with start(shell("head -c 1000000 /dev/zero")) as warm:
        warm.finish()
    before = peak()
    with start(FLOOD, receive_buffer=4096) as flood:
        total = stalled(flood.pid)
        assert total > 100_000
        assert peak() - before < ROOM
        assert flood.pid in pids()


def test_several_readers_that_stop_reading():
    before = peak()
    floods = [start(FLOOD, receive_buffer=4096) for _ in range(8)]
    for flood in floods:
        stalled(flood.pid)
    assert peak() - before < 8 * ROOM
    for flood in floods:
        flood.conn.close()


def test_stalled_reader_goes_on_where_it_stopped():
    message = shell("i=0; while [ $i -lt 40000 ]; do echo line $i of the output; i=$((i+1)); done")
    with start(message, receive_buffer=4096) as slow:
        barrier()
        slow.finish()
    expected = "".join(f"line {n} of the output\n" for n in range(40_000))
    assert slow.output["stdout"].decode() == expected


def test_flood_without_reader_goes_nowhere():
    before = peak()
    with start(FLOOD) as flood:
        pass
    begin = written(flood.pid)
    eventually(lambda: written(flood.pid) > begin + 200_000_000, patience=120)
    assert peak() - before < ROOM


def test_large_output_to_two_readers_is_bounded():
    before = peak()
    with start(shell("read a; head -c 50000000 /dev/zero")) as one, connect({"pid": one.pid}) as two:
        must("Process/SendInput", by_pid(one.pid, input={"stdin": data("\n")}))
        second = threading.Thread(target=two.finish)
        second.start()
        one.finish()
        second.join()
        assert len(one.output["stdout"]) == len(two.output["stdout"]) == 50_000_000
    assert peak() - before < ROOM
