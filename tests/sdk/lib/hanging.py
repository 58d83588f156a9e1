"""A file system whose server never answers: a FUSE mount that nobody serves."""

import ctypes
import os
import stat

MNT_DETACH = 2
LIBC = ctypes.CDLL(None, use_errno=True)


class HangingMount:
    """Mounted on a folder for as long as the `with` block lasts.

    Whoever looks into it waits; when it goes, they get an error.
    """

    def __init__(self, path):
        self.path = path
        self._fd = -1

    def __enter__(self):
        self._fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self._fd},rootmode={stat.S_IFDIR:o},user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"hanging", os.fsencode(self.path), b"fuse", 0, options.encode()) != 0:
            error = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(error, os.strerror(error))
        return self

    def __exit__(self, *_):
        self.let_go()
        LIBC.umount2(os.fsencode(self.path), MNT_DETACH)

    def let_go(self):
        """The server dies: all that wait for it get ENOTCONN."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
