"""QEMU's machine protocol on a connected socket: commands and events."""

import json

LIMIT = 300


class Qmp:
    """One session; answers and events come in the order in which QEMU sends them."""

    def __init__(self, sock):
        sock.settimeout(LIMIT)
        self._socket = sock
        self._lines = sock.makefile("rw", encoding="utf-8")
        self._events = []
        assert "QMP" in self._read()
        self.execute("qmp_capabilities")

    def close(self):
        self._lines.close()
        self._socket.close()

    def _read(self):
        line = self._lines.readline()
        if not line:
            raise EOFError("QEMU has gone")
        return json.loads(line)

    def execute(self, command, **arguments):
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        while True:
            message = self._read()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{command}: {message['error']}")
            else:
                return message["return"]

    def until(self, event, check=lambda data: True):
        """Wait for such an event and give its data; earlier ones are forgotten."""
        while True:
            message = self._events.pop(0) if self._events else self._read()
            if message.get("event") == event and check(message["data"]):
                return message["data"]
