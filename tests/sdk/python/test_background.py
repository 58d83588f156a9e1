"""Commands in the background: handles, connect, list, kill."""

import pytest
from e2b import CommandExitException, NotFoundException

HOLD = "while [ ! -e {0}/go ]; do sleep 0.02; done"


async def test_wait_for_result(box):
    handle = await box.start("echo hello; exit 0")
    result = await handle.wait()
    assert (result.exit_code, result.stdout) == (0, "hello\n")


async def test_failing_background_command(box):
    handle = await box.start("echo bad >&2; exit 5")
    with pytest.raises(CommandExitException) as caught:
        await handle.wait()
    assert (caught.value.exit_code, caught.value.stderr) == (5, "bad\n")


async def test_handle_has_the_pid_of_the_command(box):
    handle = await box.start("echo $$")
    assert (await handle.wait()).stdout == f"{handle.pid}\n"


async def test_list_shows_running_commands(box, scratch):
    handle = await box.start("exec sleep 300", envs={"KEY": "value"}, cwd=scratch)
    mine = [p for p in await box.commands.list() if p.pid == handle.pid]
    assert len(mine) == 1
    assert mine[0].cmd == "/bin/bash"
    assert mine[0].args == ["-l", "-c", "exec sleep 300"]
    assert mine[0].envs == {"KEY": "value"}
    assert mine[0].cwd == scratch
    assert mine[0].tag is None


async def test_list_forgets_ended_commands(box):
    handle = await box.start("true")
    await handle.wait()
    assert handle.pid not in [p.pid for p in await box.commands.list()]


async def test_kill_by_handle(box):
    handle = await box.start("exec sleep 300")
    assert await handle.kill() is True
    with pytest.raises(CommandExitException) as caught:
        await handle.wait()
    assert (caught.value.exit_code, caught.value.error) == (-1, "signal: killed")


async def test_kill_by_pid(box):
    handle = await box.start("exec sleep 300")
    assert await box.commands.kill(handle.pid) is True
    with pytest.raises(CommandExitException):
        await handle.wait()
    assert await box.commands.kill(handle.pid) is False


async def test_kill_of_unknown_pid(box):
    assert await box.commands.kill(999_999) is False


async def test_connect_follows_a_running_command(box, scratch):
    handle = await box.start(HOLD.format(scratch) + "; echo seen; exit 0")
    second = await box.connect(handle.pid)
    assert second.pid == handle.pid
    await box.files.write(f"{scratch}/go", "")
    for result in (await handle.wait(), await second.wait()):
        assert (result.exit_code, result.stdout) == (0, "seen\n")


async def test_connect_after_disconnect(box, scratch):
    handle = await box.start(HOLD.format(scratch) + "; echo seen; exit 7")
    await handle.disconnect()
    assert handle.pid in [p.pid for p in await box.commands.list()]
    second = await box.connect(handle.pid)
    await box.files.write(f"{scratch}/go", "")
    with pytest.raises(CommandExitException) as caught:
        await second.wait()
    assert (caught.value.exit_code, caught.value.stdout) == (7, "seen\n")


async def test_connect_to_ended_command_gets_its_exit(box):
    handle = await box.start("exit 9")
    with pytest.raises(CommandExitException):
        await handle.wait()
    second = await box.connect(handle.pid)
    with pytest.raises(CommandExitException) as caught:
        await second.wait()
    assert caught.value.exit_code == 9


async def test_connect_to_unknown_pid(box):
    with pytest.raises(NotFoundException, match="process with pid 999999 not found"):
        await box.connect(999_999)


async def test_kill_through_second_handle_ends_the_first(box):
    handle = await box.start("exec sleep 300")
    second = await box.connect(handle.pid)
    assert await second.kill() is True
    with pytest.raises(CommandExitException) as caught:
        await handle.wait()
    assert caught.value.exit_code == -1


async def test_several_at_once(box):
    handles = [await box.start(f"echo {n}; exit {n}") for n in range(1, 9)]
    for number, handle in enumerate(handles, 1):
        with pytest.raises(CommandExitException) as caught:
            await handle.wait()
        assert (caught.value.exit_code, caught.value.stdout) == (number, f"{number}\n")
