"""Hints that something in the DAG folder changed, from the kernel; without them the folder is looked at in turns."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable

_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC
# attributes, writes, moves, births and deaths of what is in a folder, and of the folder
_CHANGES = 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
_IN_ONLYDIR = 0x0100_0000
_READ_BYTES = 64 * 1024
FOLDERS_MAX = 4_096  # the system's own limit per user is of this size


class FolderWatch:
    """An inotify descriptor on some folders. Where there is none, nothing is ever readable."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watched: dict[str, int] = {}
        try:
            self._fd: int | None = self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        except AttributeError:
            self._fd = None
        if self._fd is not None and self._fd < 0:
            self._fd = None

    def fileno(self) -> int | None:
        """Return a descriptor that is readable after a change; None when there are no hints."""
        return self._fd

    def watch(self, folders: Iterable[str]) -> None:
        """Watch exactly these folders; what cannot be watched is left to the turns."""
        if self._fd is None:
            return
        wanted = set(list(folders)[:FOLDERS_MAX])
        for folder in self._watched.keys() - wanted:
            self._libc.inotify_rm_watch(self._fd, self._watched.pop(folder))
        for folder in wanted:
            # Adding it again gives the same number, or a new one when another folder is there now.
            number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), _CHANGES | _IN_ONLYDIR)
            if number >= 0:
                self._watched[folder] = number
            else:
                self._watched.pop(folder, None)

    def drain(self) -> bool:
        """Take all hints; return whether there was one."""
        found = False
        if self._fd is not None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._fd, _READ_BYTES):
                    found = True
        return found

    def close(self) -> None:
        """Stop watching."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
