"""Adapters of the wake-up channel: PostgreSQL's LISTEN, datagrams between processes of one host, or polling.

A hint says only "something was committed"; who gets it reads the event table from where it stopped. A lost
hint costs the poll interval, so nothing here ever waits or raises on the way out.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tradewind.errors import ConfigError, MetastoreUnavailableError
from tradewind.metastore.dialects.postgres import CHANNEL, PostgresDialect
from tradewind.metastore.url import DatabaseUrl, parse_url
from tradewind.ports.wakeup import Wakeup

HINT: Final = b"."
PREFIX: Final = "wake-"
SUFFIX: Final = ".sock"
_READ_BYTES: Final = 64


def wakeup_for(url: str, folder: Path, name: str | None = None) -> Wakeup:
    """Return the channel that fits the database at ``url``.

    ``folder`` is where the sockets of this installation's processes lie; ``name`` is this process's own, unique
    among them, or None for one that only notifies. Raises as :func:`tradewind.metastore.connect` does.
    """
    parsed = parse_url(url)
    if parsed.kind == "postgresql":
        return PostgresWakeup(parsed) if name else SilentWakeup()
    return SocketWakeup(folder, name)


class SilentWakeup:
    """No channel: for who only commits where the database itself tells, and for who only polls."""

    def notify(self) -> None:
        """Do nothing."""

    def fileno(self) -> int | None:
        return None

    def drain(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class SocketWakeup:
    """A datagram socket ``wake-<name>.sock`` in a folder; a hint goes to all the others there.

    For databases that cannot tell (SQLite, MySQL), between processes of one host. Several threads may notify.
    """

    def __init__(self, folder: Path, name: str | None = None) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # An address holds 107 bytes at most; the way through the folder's descriptor is always short.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._name = None if name is None else f"{PREFIX}{name}{SUFFIX}"
        if self._name is not None:
            self._unlink(self._name)  # of a process of that name that ended without a word
            try:
                self._socket.bind(self._address(self._name))
            except OSError as error:
                self.close()
                raise ConfigError(
                    f"cannot make the socket {folder / str(self._name)}: {error}. "
                    "The home folder must lie on a local file system and belong to this user."
                ) from error

    def _address(self, name: str) -> str:
        return f"/proc/self/fd/{self._folder}/{name}"

    def _unlink(self, name: str) -> None:
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)

    def notify(self) -> None:
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - by its descriptor
        except OSError:  # closed, or the folder is gone
            return
        for name in names:
            if name != self._name and name.startswith(PREFIX) and name.endswith(SUFFIX):
                self._send(name)

    def _send(self, name: str) -> None:
        try:
            self._socket.sendto(HINT, self._address(name))
        except ConnectionRefusedError:  # its process is gone
            self._unlink(name)
        except OSError:  # full: hints are waiting there already; or just gone
            pass

    def fileno(self) -> int | None:
        return None if self._name is None else self._socket.fileno()

    def drain(self) -> None:
        with suppress(OSError):
            while self._socket.recv(_READ_BYTES):
                pass

    def close(self) -> None:
        if self._folder < 0:
            return
        if self._name is not None:
            self._unlink(self._name)
        self._socket.close()
        os.close(self._folder)
        self._folder = -1


class PostgresWakeup:
    """LISTEN on a connection of its own, opened anew after it breaks.

    Commits notify in their transaction; :meth:`notify` is for hints without a commit.
    """

    def __init__(self, url: DatabaseUrl) -> None:
        self._dialect = PostgresDialect(url)
        self._connection: Any = None
        self._open()

    def _open(self) -> None:
        try:
            self._connection = self._dialect.open()
            self._connection.execute(f"LISTEN {CHANNEL}")
        except self._dialect.errors as error:
            self._connection = None
            raise self._dialect.explain(error) from error

    def notify(self) -> None:
        if self._connection is not None:
            with suppress(*self._dialect.errors):
                self._connection.execute(f"NOTIFY {CHANNEL}")

    def fileno(self) -> int | None:
        """Return the connection's descriptor: another one after a reconnect, None while the database is away."""
        if self._connection is None or self._connection.closed:
            with suppress(MetastoreUnavailableError):
                self._open()
        return None if self._connection is None or self._connection.closed else self._connection.fileno()

    def drain(self) -> None:
        if self._connection is None:
            return
        try:
            for _hint in self._connection.notifies(timeout=0):
                pass
        except self._dialect.errors:  # broken: fileno() opens another
            with suppress(*self._dialect.errors):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*self._dialect.errors):
                connection.close()
