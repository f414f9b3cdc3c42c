"""Unix sockets at paths of any length."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

ADDRESS_BYTES_MAX = 100  # the system takes 107; a suffix must fit while a socket is being made
BACKLOG = 64


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """Yield a name of ``path`` that is short enough for a socket address."""
    if len(os.fsencode(path)) <= ADDRESS_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def listen(path: Path) -> socket.socket:
    """Return a listening socket at ``path``, only for this user; it takes the place of an older one at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(fresh) as address:
            sock.bind(address)
        fresh.chmod(0o600)
        sock.listen(BACKLOG)
        sock.setblocking(False)
        fresh.replace(path)
    except OSError:
        sock.close()
        raise
    return sock


def connect(path: Path) -> socket.socket:
    """Return a non-blocking socket connected to ``path``; raises ``OSError``."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with address_of(path) as address:
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a socket file from a newer one at the same path; None when there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_ctime_ns)
