"""Start an agent, wait until it serves, stop it, and judge how it left."""

import ctypes
import os
import signal
import socket
import subprocess
import time

START_LIMIT = 20.0
STOP_LIMIT = 30.0
REPORTS = ("ERROR: AddressSanitizer", "runtime error:", "LeakSanitizer")


def environment():
    """What the agent sees: a plain PATH and the sanitizers' own settings."""
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
    return env


def sanitized(binary):
    """Whether the binary was built with AddressSanitizer."""
    with open(binary, "rb") as file:
        return b"__asan_init" in file.read()


PR_CAPBSET_DROP, CAP_SYS_TIME = 24, 25


def prepare():
    """What a service manager gives, and no right to set the clock (POST /init)."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) != 0 and os.geteuid() == 0:
        raise OSError(ctypes.get_errno(), "cannot drop CAP_SYS_TIME")


class Agent:
    """One running agent; `stop()` returns the list of what was wrong with it."""

    def __init__(self, binary, args, port, stderr, reference=False, stdout=os.devnull):
        self.port = port
        self._stderr = stderr
        self._clean = {0, -signal.SIGTERM} if reference else {0}
        with open(stderr, "wb") as log, open(stdout, "wb") as out:
            self._child = subprocess.Popen(
                [binary, *args, "-port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd="/",
                env=environment(),
                umask=0o022,
                start_new_session=True,
                preexec_fn=prepare,
            )
        self.pid = self._child.pid
        try:
            self._await_health()
        except BaseException:
            self._child.kill()
            self._child.wait()
            raise

    def alive(self):
        return self._child.poll() is None

    def stop(self):
        problems = []
        if self.alive():
            self._child.terminate()
            try:
                self._child.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
                problems.append(f"still running {STOP_LIMIT:.0f} s after SIGTERM")
        else:
            problems.append("ended before it was told to")
        if self._child.returncode not in self._clean:
            problems.append(f"exit status {self._child.returncode}")
        with open(self._stderr, encoding="utf-8", errors="replace") as log:
            text = log.read()
        problems += [f"stderr has '{mark}'" for mark in REPORTS if mark in text]
        if problems:
            problems.append("end of stderr:\n" + text[-4000:])
        return problems

    def _await_health(self):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if not self.alive():
                raise RuntimeError(f"the agent ended at once: {self._child.returncode}")
            if self._healthy():
                return
            time.sleep(0.02)
        raise RuntimeError("the agent does not answer GET /health with 204")

    def _healthy(self):
        request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as conn:
                conn.sendall(request)
                return conn.makefile("rb").readline().startswith(b"HTTP/1.1 204 ")
        except OSError:
            return False
