"""One standalone on one home: a file that its process holds locked."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tradewind.errors import ConflictError

LOCK_FILE = "standalone.lock"


@contextmanager
def only_one(run_path: Path) -> Iterator[int]:
    """Hold the home while the block runs, and give the lock's descriptor.

    ``ConflictError`` when another process holds it: the text says which.
    """
    path = run_path / LOCK_FILE
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "?"
            raise ConflictError(
                f"Tradewind runs already on {run_path.parent} (process {holder}). Use that one, end it with"
                f" `kill {holder}`, or set TRADEWIND_HOME to another folder."
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield fd
    finally:
        os.close(fd)
