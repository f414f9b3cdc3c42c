"""Functions and filters that every template has."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Any


def ds(value: datetime) -> str:
    """Return the UTC date, ``2026-01-31``."""
    return value.astimezone(UTC).strftime("%Y-%m-%d")


def ds_nodash(value: datetime) -> str:
    """Return the UTC date, ``20260131``."""
    return value.astimezone(UTC).strftime("%Y%m%d")


def ts(value: datetime) -> str:
    """Return the UTC instant, ``2026-01-31T06:00:00+00:00``."""
    return value.astimezone(UTC).isoformat()


def ts_nodash(value: datetime) -> str:
    """Return the UTC instant, ``20260131T060000``."""
    return value.astimezone(UTC).strftime("%Y%m%dT%H%M%S")


def ds_add(day: str, days: int) -> str:
    """Return the ISO date ``days`` later: ``ds_add("2026-01-31", 1)`` is ``"2026-02-01"``."""
    return (date.fromisoformat(day) + timedelta(days=days)).isoformat()


def ds_format(day: str, input_format: str, output_format: str) -> str:
    """Return a date in another format: ``ds_format(ds, "%Y-%m-%d", "%d.%m.%y")``."""
    return datetime.strptime(day, input_format).replace(tzinfo=UTC).strftime(output_format)


def quote(value: Any) -> str:
    """Return one word for a shell: ``{{ files | map("quote") | join(" ") | unquoted }}`` gives several."""
    return shlex.quote(str(value))


class Macros:
    """``macros`` of templates: date arithmetic and the standard library's types for it."""

    datetime = datetime
    date = date
    time = time
    timedelta = timedelta
    json = MappingProxyType({"dumps": json.dumps, "loads": json.loads})
    ds_add = staticmethod(ds_add)
    ds_format = staticmethod(ds_format)


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"ds": ds, "ds_nodash": ds_nodash, "ts": ts, "ts_nodash": ts_nodash, "quote": quote}
)
