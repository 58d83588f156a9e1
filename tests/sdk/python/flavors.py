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


class PolledWatch:
    """What the synchronous SDK makes of a watched folder: a handle to ask."""

    def __init__(self, handle):
        self._handle = Threaded(handle)
        self.events = []
        self.stop = self._handle.stop
        self.poll = self._handle.get_new_events

    async def more(self):
        self.events += await self.poll()
        await asyncio.sleep(0.02)


class StreamedWatch:
    """What the asynchronous SDK makes of it: callbacks."""

    def __init__(self):
        self.events = []
        self.ended = asyncio.Event()
        self.error = None
        self._grown = asyncio.Event()

    async def begin(self, files, path, options):
        handle = await files.watch_dir(path, self._on_event, self._on_exit, **options)
        self.stop = handle.stop
        return self

    def _on_event(self, event):
        self.events.append(event)
        self._grown.set()

    def _on_exit(self, error):
        self.error = error
        self.ended.set()

    async def more(self):
        await self._grown.wait()
        self._grown.clear()


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

    async def watch(self, path, **options):
        return PolledWatch(await self.files.watch_dir(path, **options))

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

    async def watch(self, path, **options):
        return await StreamedWatch().begin(self.files, path, options)

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
