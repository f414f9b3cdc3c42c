"""The keys that encrypt stored connections and variables: one file, one key a line, the first one encrypts.

Several processes hold the same file. After a rotation each of them reads it again when it meets a value that its
keys do not open, so rotating needs no restart.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tradewind.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEYS_KEPT = 2  # the new one, and the one before for processes that have not met the new one yet
FILE_MODE = 0o600


class KeyRing:
    """The keys of one file. Nothing here puts a key or a value into a message."""

    def __init__(self, path: Path) -> None:
        """Read the keys; raises ConfigError when the file is not there, open to others, or no key file."""
        self.path = path
        self._keys = _read(path)

    def encrypt(self, value: bytes) -> bytes:
        """Return ``value`` encrypted with the first key, signed and safe to store."""
        return self._fernet().encrypt(value)

    def decrypt(self, stored: bytes, *, what: str) -> bytes:
        """Return what was encrypted with any of the keys; raises ConfigError that names ``what`` (a noun phrase)."""
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet().decrypt(stored)
        except InvalidToken:
            self._keys = _read(self.path)
        try:
            return self._fernet().decrypt(stored)
        except InvalidToken:
            raise ConfigError(
                f"{what} was encrypted with a key that is not in {self.path}. Put that key back as a further line of"
                " the file, or set it anew."
            ) from None

    def add(self) -> None:
        """Put a new key in front, durably; what is encrypted from now on uses it."""
        from cryptography.fernet import Fernet

        self._write([Fernet.generate_key(), *_read(self.path)])

    def forget_old(self) -> int:
        """Drop all but the newest keys; return how many are kept."""
        self._write(_read(self.path)[:KEYS_KEPT])
        return len(self._keys)

    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        return MultiFernet([Fernet(key) for key in self._keys])

    def _write(self, keys: list[bytes]) -> None:
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            write_new(fresh, keys)
        except FileExistsError:
            raise ConfigError(
                f"{fresh} exists: another rotation is running, or one was interrupted. Remove it if none is running."
            ) from None
        fresh.replace(self.path)
        sync_folder(self.path.parent)
        self._keys = keys


def open_keys(path: Path, *, anything_stored: bool) -> KeyRing:
    """Return the keys of an installation; the first start makes the file, readable by its owner only.

    Raises:
        ConfigError: there is no file although something encrypted is stored, or the file is wrong.
    """
    if not path.exists():
        if anything_stored:
            raise ConfigError(
                f"The key file {path} is missing, but the metastore holds encrypted connections or variables. Put the"
                " file back from a backup. Without it they cannot be read: delete them, and set them anew."
            )
        make_keys(path)
    return KeyRing(path)


def make_keys(path: Path) -> None:
    """Make a key file with one new key; leaves one that another process has just made."""
    from cryptography.fernet import Fernet

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            write_new(path, [Fernet.generate_key()])
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(
            f"Cannot make the key file {path}: {error.strerror}. Make its folder writable."
        ) from None


def write_new(path: Path, keys: list[bytes]) -> None:
    """Write a file that must not exist yet, durably, for its owner only; it appears with all its keys."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(key + b"\n" for key in keys))
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> list[bytes]:
    from cryptography.fernet import Fernet

    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the key file {path}: {error.strerror}. Put it back or mend its rights."
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"Others may read the key file {path}. Close it: chmod 600 {path}")
    keys = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            Fernet(line.strip())
        except ValueError:
            raise ConfigError(
                f"Line {number} of the key file {path} is no key; restore the file from a backup."
            ) from None
        keys.append(line.strip())
    if not keys:
        raise ConfigError(f"The key file {path} has no key in it; restore it from a backup.")
    return keys
