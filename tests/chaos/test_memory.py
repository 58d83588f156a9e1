"""The agent's memory stays flat whoever does not read."""

import follow
import proc
import rpc
from conftest import PORT, SANITIZED, eventually
from wire import barrier

MIB = 1 << 20
TOTAL = 256 * MIB if SANITIZED else 1024 * MIB
ROOM = 4 * 1024  # KiB: the ring, what is queued towards one client, scratch
if SANITIZED:
    ROOM += 512 * 1024  # freed memory is held back for a while
WRITE = ["/bin/sh", "-c", f"read gate; exec head -c {TOTAL} /dev/zero"]


def begin(agent, codec=follow.Proto, **link):
    """A command that writes TOTAL bytes, and the memory to compare with."""
    reader = follow.start(WRITE, codec, lambda *_: None, port=PORT, **link)
    barrier(PORT)
    return reader, proc.forget_peak(agent.pid)


def open_gate(reader):
    rpc.must("Process/SendInput", rpc.by_pid(reader.pid, input={"stdin": rpc.data("\n")}), port=PORT)


def check(agent, before):
    grown = proc.field(agent.pid, "VmHWM") - before
    print(f"at most {grown} KiB more")
    assert grown < ROOM


def written(pid):
    return proc.field(pid, "wchar", file="io")


def stands_still(pid):
    """Wait until the process makes no progress; gives what it wrote."""
    seen = []

    def still():
        barrier(PORT)
        seen.append(written(pid))
        return len(seen) > 25 and seen[-1] > MIB // 4 and seen[-25] == seen[-1]

    eventually(still)
    return seen[-1]


def drain(reader):
    """Throw the rest of a stream away; gives how much there was."""
    buffer, total, tail = bytearray(MIB), 0, b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        count = reader.conn.socket.recv_into(buffer)
        assert count > 0
        total += count
        tail = (tail + bytes(buffer[:count][-16:]))[-16:]
    return total


def test_reader_that_does_not_read(launched):
    agent = launched()
    reader, before = begin(agent, receive_buffer=4096)
    open_gate(reader)
    assert stands_still(reader.pid) < 64 * MIB
    check(agent, before)
    reader.conn.reset()
    eventually(lambda: rpc.pids(PORT) == [])
    check(agent, before)


def test_reader_that_does_not_read_beside_one_that_does(launched):
    agent = launched("-stall-ms", "1000")
    reader, before = begin(agent)
    stalled = follow.connect(reader.pid, follow.Json, lambda *_: None, port=PORT, receive_buffer=4096)
    open_gate(reader)
    assert drain(reader) > TOTAL
    check(agent, before)
    stalled.finish()
    assert stalled.error == "resource_exhausted"


def test_nobody_reads(launched):
    agent = launched()
    reader, before = begin(agent)
    open_gate(reader)
    reader.conn.reset()
    eventually(lambda: rpc.pids(PORT) == [])
    check(agent, before)
    kept = []
    late = follow.connect(reader.pid, follow.Proto, lambda *data: kept.append(data), "all", port=PORT)
    late.finish()
    assert late.lost == late.offset and late.offset + sum(len(data) for _, data, _ in kept) == TOTAL
