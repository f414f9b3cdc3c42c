"""Writes JSON-like values as YAML that every reader takes for the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./ -]*[A-Za-z0-9_./-]|[A-Za-z]")
_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff]")  # YAML takes some of them for line ends, JSON does not
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"})


def to_yaml(value: Any) -> str:
    """Return the YAML document of a value made of dicts, lists, texts, numbers, booleans and None."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, one in value.items() for line in _entry(f"{_scalar(str(key))}:", one)]
    if isinstance(value, list | tuple) and value:
        return [line for one in value for line in _item(one)]
    return [_scalar(value)]


def _entry(head: str, value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [head, *(f"  {line}" for line in _lines(value))]
    if isinstance(value, list | tuple) and value:
        return [head, *_lines(value)]
    return [f"{head} {_scalar(value)}"]


def _item(value: Any) -> list[str]:
    first, *rest = _lines(value)
    return [f"- {first}", *(f"  {line}" for line in rest)]


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS and "  " not in value
        return value if plain else _BREAKS.sub(_escaped, json.dumps(value, ensure_ascii=False))
    if isinstance(value, Mapping):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return json.dumps(value)


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
