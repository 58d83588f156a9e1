"""Fixtures: a sandbox in both flavours, and a scratch folder per test."""

import asyncio
import os
import sys

import pytest
import pytest_asyncio

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "lib"))

import disk  # noqa: E402
import flavors  # noqa: E402
from disk import PATIENCE  # noqa: E402


@pytest_asyncio.fixture(params=["sync", "async"])
async def box(request):
    """The SDK; every command a test leaves behind is killed afterwards."""
    made = await flavors.make(request.param)
    yield made
    for process in await made.commands.list():
        await made.commands.kill(process.pid)
        await until_gone(made, process.pid)


@pytest.fixture
def scratch():
    """A folder that everyone may enter."""
    path = disk.scratch(os.environ["SDK_SCRATCH"])
    yield path
    disk.remove(path)


@pytest.fixture
def home_folder():
    """The name of a fresh folder in the home of root, relative to that home."""
    path = disk.scratch("/root")
    yield os.path.basename(path)
    disk.remove(path)


class Transcript:
    """Collects output from any thread; `has` waits until a text occurred."""

    def __init__(self, empty):
        self._loop = asyncio.get_running_loop()
        self._grown = asyncio.Event()
        self.value = empty

    def __call__(self, chunk):
        self._loop.call_soon_threadsafe(self._add, chunk)

    def _add(self, chunk):
        self.value += chunk
        self._grown.set()

    async def has(self, wanted):
        try:
            async with asyncio.timeout(PATIENCE):
                while wanted not in self.value:
                    self._grown.clear()
                    await self._grown.wait()
        except TimeoutError:
            pytest.fail(f"no {wanted!r} in {self.value!r}")


async def until_gone(box, pid):
    """Wait until the agent no longer lists `pid`."""
    async with asyncio.timeout(PATIENCE):
        while pid in [process.pid for process in await box.commands.list()]:
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def text():
    """A callback that collects str output."""
    return Transcript("")


@pytest_asyncio.fixture
async def raw():
    """A callback that collects bytes of a terminal."""
    return Transcript(b"")


@pytest_asyncio.fixture
async def more():
    """A second collector of terminal bytes."""
    return Transcript(b"")
