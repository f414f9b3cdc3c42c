"""Durations as people write them: ``"90s"``, ``"5h"``, ``"1d 12h"``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(w|d|h|m|s)", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def parse_duration(value: Any) -> timedelta | None:
    """Return a timedelta for a timedelta, a number of seconds or a text such as "1h 30m"; None for anything else."""
    if isinstance(value, timedelta):
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return timedelta(seconds=value)
        if not isinstance(value, str) or not value.strip():
            return None
        total, end = timedelta(0), 0
        while match := _PART.match(value, end):
            total += timedelta(**{_UNITS[match[2]]: float(match[1])})
            end = match.end()
        return total if not value[end:].strip() else None
    except (OverflowError, ValueError):
        return None
