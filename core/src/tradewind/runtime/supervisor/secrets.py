"""Finds the secrets in what a task is told, so that its log can hide them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import msgspec

_SENSITIVE = re.compile(
    r"pass(word|wd|phrase)?|pwd|secret|token|credential|private|api_?key|access_?key|account_?key|\bkey\b|sas|auth",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_PLAIN_KEYS = frozenset({"conn_id", "conn_type", "description", "host", "login", "port", "schema", "type"})


def secrets_in(verb: str, arguments: dict[str, Any], value: Any) -> list[str]:
    """Return the texts to hide in the answer to a task's question.

    Of a connection: its password, whatever has a key that sounds like a secret, at any depth, and passwords
    inside URLs. Of a variable: all of it when its key sounds like a secret.
    """
    if value is None:
        return []
    if verb == "connection_get":
        return [text for text in _sensitive(value, hidden=False) if text]
    if verb == "variable_get" and _SENSITIVE.search(str(arguments.get("key", ""))):
        return [text for text in _sensitive(value, hidden=True) if text]
    return []


def _sensitive(value: Any, *, hidden: bool) -> Iterator[str]:
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with contextlib.suppress(msgspec.DecodeError):
            value = msgspec.json.decode(value)  # extras may come as JSON text
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in _PLAIN_KEYS:
                yield from _sensitive(inner, hidden=hidden or bool(_SENSITIVE.search(str(key))))
            else:
                yield from _sensitive(inner, hidden=hidden)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _sensitive(inner, hidden=hidden)
    elif isinstance(value, str):
        if hidden:
            yield value
        else:
            yield from _URL_PASSWORD.findall(value)
    elif hidden and isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
