"""One awaitable face over the synchronous and the asynchronous SDK.

A test body is written once, as a coroutine.  For the synchronous SDK each call
runs in a thread; for the asynchronous one it is simply awaited.
"""

import asyncio

from e2b import AsyncSandbox, PtySize, Sandbox


class Threaded:
    """Every method of `target` as a coroutine that runs in a thread."""

    def __init__(self, target):
        self._target = target

    def __getattr__(self, name):
        method = getattr(self._target, name)

        async def call(*args, **options):
            return await asyncio.to_thread(method, *args, **options)

        return call


class SyncHandle:
    """A CommandHandle whose callbacks were given when it was made."""

    def __init__(self, handle, callbacks):
        self._handle = handle
        self._callbacks = callbacks
        self._following = None
        self.pid = handle.pid

    def __getattr__(self, name):
        return getattr(Threaded(self._handle), name)

    def follow(self):
        """Deliver output to the callbacks from now on."""
        if self._following is None:
            self._following = asyncio.ensure_future(
                asyncio.to_thread(self._handle.wait, **self._callbacks))
        return self

    async def wait(self):
        self.follow()
        return await self._following


class SyncBox:
    """The synchronous SDK."""

    def __init__(self):
        self._sandbox = Sandbox.create(debug=True)
        self.commands = Threaded(self._sandbox.commands)
        self.files = Threaded(self._sandbox.files)

    async def start(self, command, on_stdout=None, on_stderr=None, **options):
        made = SyncHandle(await self.commands.run(command, background=True, **options),
                          {"on_stdout": on_stdout, "on_stderr": on_stderr})
        return made.follow() if on_stdout or on_stderr else made

    async def connect(self, pid, **options):
        return SyncHandle(await self.commands.connect(pid, **options), {})

    async def pty(self, on_data, cols=80, rows=24, **options):
        create = Threaded(self._sandbox.pty).create
        handle = await create(PtySize(rows=rows, cols=cols), **options)
        return SyncHandle(handle, {"on_pty": on_data}).follow()

    async def pty_connect(self, pid, on_data):
        handle = await Threaded(self._sandbox.pty).connect(pid)
        return SyncHandle(handle, {"on_pty": on_data}).follow()

    @property
    def terminal(self):
        return Threaded(self._sandbox.pty)

    async def stream_input(self, pid, chunks):
        await self.commands.stream_input(pid, iter(chunks))

    async def read_stream(self, path):
        def collect():
            with self._sandbox.files.read(path, format="stream") as stream:
                return list(stream)
        return await asyncio.to_thread(collect)

    @staticmethod
    def chunks(parts):
        return iter(parts)


class AsyncBox:
    """The asynchronous SDK."""

    def __init__(self, sandbox):
        self._sandbox = sandbox
        self.commands = sandbox.commands
        self.files = sandbox.files
        self.terminal = sandbox.pty

    async def start(self, command, **options):
        return await self.commands.run(command, background=True, **options)

    async def connect(self, pid, **options):
        return await self.commands.connect(pid, **options)

    async def pty(self, on_data, cols=80, rows=24, **options):
        return await self.terminal.create(PtySize(rows=rows, cols=cols), on_data, **options)

    async def pty_connect(self, pid, on_data):
        return await self.terminal.connect(pid, on_data)

    async def stream_input(self, pid, chunks):
        handle = self.commands.stream_input(pid)
        for chunk in chunks:
            await handle.send(chunk)
        await handle.close()

    async def read_stream(self, path):
        async with await self.files.read(path, format="stream") as stream:
            return [chunk async for chunk in stream]

    @staticmethod
    async def chunks(parts):
        for part in parts:
            yield part


async def make(kind):
    if kind == "sync":
        return SyncBox()
    return AsyncBox(await AsyncSandbox.create(debug=True))
