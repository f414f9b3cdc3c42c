"""Logs as files in a folder of this machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

DIRECTORY_MODE = 0o700
FILE_MODE = 0o600


class FileLogStore:
    """The :class:`~tradewind.ports.logstore.LogStore` under ``folder``; keys come from ``log_key``."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def append(self, key: str, data: bytes) -> None:
        fd = self.open(key)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)

    def open(self, key: str) -> int:
        """Return a descriptor to append to; for a writer that appends often. Raises ``OSError``."""
        path = self.path(key)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, FILE_MODE)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), DIRECTORY_MODE, exist_ok=True)
            return os.open(path, flags, FILE_MODE)

    def size(self, key: str) -> int | None:
        try:
            return os.stat(self.path(key)).st_size
        except FileNotFoundError:
            return None

    def read(self, key: str, offset: int = 0, limit: int = 1 << 20) -> bytes:
        try:
            fd = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return b""
        try:
            return os.pread(fd, limit, offset)
        finally:
            os.close(fd)

    def keys(self, prefix: str) -> Iterator[str]:
        start, _, _ = prefix.rpartition("/")
        found: list[str] = []
        for folder, _, files in os.walk(self.path(start) if start else self._folder):
            place = os.path.relpath(folder, self._folder)
            found.extend(f"{place}/{name}" for name in files if name.endswith(".jsonl"))
        yield from sorted(key for key in found if key.startswith(prefix))

    def path(self, key: str) -> str:
        """Return the file of a key; refuses one that leads out of the folder."""
        if key.startswith("/") or ".." in key.split("/"):
            raise ValueError(f"{key!r} is no log key; make one with log_key().")
        return f"{self._folder}/{key}"

    def delete(self, prefix: str) -> int:
        """Delete the logs under a prefix and the folders that are empty then; return how many there were."""
        keys = list(self.keys(prefix))
        for key in keys:
            Path(self.path(key)).unlink(missing_ok=True)
        for folder in sorted({os.path.dirname(self.path(key)) for key in keys}, reverse=True):
            with contextlib.suppress(OSError):
                os.removedirs(folder)
        return len(keys)
