"""An empty file system whose kernel type is FUSE, served from a thread of the test."""

import ctypes
import errno
import os
import struct
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
DIRECTORY = 0o40755
GETATTR, STATFS, INIT, OPENDIR, READDIR, RELEASEDIR, READDIRPLUS = 3, 17, 26, 27, 28, 29, 44
LOOKUP, FORGET, INTERRUPT, BATCH_FORGET = 1, 2, 36, 42
ATTRIBUTES = struct.pack("<QIIQQQQQQ10I", 3600, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY,
                         2, 0, 0, 0, 4096, 0)
ANSWERS = {
    INIT: struct.pack("<IIIIHHIIHHI28x", 7, 31, 65536, 0, 8, 8, 65536, 1, 0, 0, 0),
    GETATTR: ATTRIBUTES,
    STATFS: struct.pack("<5Q3I28x", 1, 1, 1, 1, 1, 4096, 255, 4096),
    OPENDIR: bytes(16),
    READDIR: b"",
    READDIRPLUS: b"",
    RELEASEDIR: b"",
}


class Fuse:
    """Mounted at a directory, until the end of the `with`."""

    def __init__(self, path):
        self.path = path
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"test", path.encode(), b"fuse", 0, options.encode()) < 0:
            os.close(self.device)
            raise OSError(ctypes.get_errno(), "mount", path)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                request = os.read(self.device, 1 << 17)
            except OSError as error:
                if error.errno == errno.EINTR or error.errno == errno.ENOENT:
                    continue
                return  # ENODEV: unmounted
            _, operation, unique = struct.unpack_from("<IIQ", request)
            if operation in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            answer = ANSWERS.get(operation, b"")
            failure = {LOOKUP: -errno.ENOENT}.get(
                operation, 0 if operation in ANSWERS else -errno.ENOSYS)
            try:
                os.write(self.device, struct.pack("<IiQ", 16 + len(answer), failure, unique) + answer)
            except OSError:
                pass  # the request was given up

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIBC.umount2(self.path.encode(), MNT_DETACH)
        self.thread.join(10)
        os.close(self.device)
