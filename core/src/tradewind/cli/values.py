"""What connections and variables share: reading values without showing them, and naming what is not there."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import click

from tradewind.errors import NotFoundError

DOCUMENT_BYTES_MAX = 16 * 1024 * 1024


def whole_text() -> str:
    """Return what comes in on standard input, without the last line end."""
    return sys.stdin.read(DOCUMENT_BYTES_MAX).removesuffix("\n")


def missing(kind: str, name: str, known: Iterable[str], *, stored: bool = False) -> NotFoundError:
    """Return the error for a name that is not there; it offers the nearest ones."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"Did you mean {', '.join(near)}?" if near else f"`tradewind {kind}s list` shows what there is."
    where = "stored " if stored else ""
    return NotFoundError(f'There is no {where}{kind} "{name}". {hint}')


def chosen_names(kind: str, names: tuple[str, ...], known: Iterable[str]) -> list[str]:
    """Return the names asked for, all when none was; ``NotFoundError`` for one that is not there."""
    there = sorted(known)
    for name in names:
        if name not in there:
            raise missing(kind, name, there, stored=True)
    return list(names) or there


def read_document(file: TextIO, what: str, example: str) -> dict[str, Any]:
    """Return the JSON object in a file; wrong use when it is none."""
    try:
        found = json.loads(file.read(DOCUMENT_BYTES_MAX))
    except ValueError as error:
        raise click.UsageError(f"{file.name} is no JSON ({error}). Write {what} as {example}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"{file.name} must hold one JSON object. Write {what} as {example}")
    return found
