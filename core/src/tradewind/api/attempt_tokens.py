"""Tokens that let a worker act for one attempt and nothing else.

A token is a signature over the attempt (instance id and fencing token) with a key that only the services of the
installation know. It needs no storage and no expiry of its own: it stops working when the attempt does, because the
attempt's fencing token is then no longer the one in the metastore. It opens nothing but its attempt's run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

from tradewind.errors import ConfigError

PURPOSE = b"tradewind attempt token v1"  # keys for different purposes are derived apart from one key file


class AttemptTokens:
    """Makes and checks the tokens of one installation."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, PURPOSE, hashlib.sha256)

    def sign(self, instance_id: int, token: int) -> str:
        """Return the text that lets its bearer act for the attempt."""
        return base64.urlsafe_b64encode(self._digest(instance_id, token)).decode().rstrip("=")

    def allows(self, instance_id: int, token: int, text: str) -> bool:
        """Whether ``text`` is the attempt's token; takes the same time whatever is wrong with it."""
        return hmac.compare_digest(self.sign(instance_id, token).encode(), text.encode())

    def _digest(self, instance_id: int, token: int) -> bytes:
        return hmac.digest(self._key, f"{instance_id}:{token}".encode(), hashlib.sha256)


def tokens_from_key_file(path: Path) -> AttemptTokens:
    """Return the tokens of the installation whose key file this is: the newest key signs.

    Raises ``ConfigError`` when the file cannot be read. After ``secrets rotate`` running attempts of remote workers
    are refused and run again; rotate when few are running.
    """
    try:
        first = path.read_bytes().split()[0]
    except (OSError, IndexError) as error:
        raise ConfigError(f"Cannot read the key file {path}: {error}. `tradewind init` makes one.") from None
    return AttemptTokens(first)
