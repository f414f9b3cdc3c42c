"""The values of task options: what each may be, and what to tell the author of another one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from types import MappingProxyType
from typing import Any

from tradewind.authoring.arguments import nearest
from tradewind.authoring.assets import Asset
from tradewind.authoring.options import CALLBACK_NAMES
from tradewind.domain.spec import KeyedLimit, TriggerRule, WeightRule

RETRIES_MAX = 1_000  # more is a wait, and belongs into a sensor
PRIORITY_MAX = 2**31 - 1  # the column's width; sums over a graph are clamped to it too
TEXT_CHARS_MAX = 100_000  # of a doc, description or template
NAME_CHARS_MAX = 250  # of a pool, queue, executor, owner or tag: indexed columns
_SHOWN_CHARS_MAX = 60

# Says whether a value is allowed, and if not what is.
Check = Callable[[Any], str | None]


def whole(low: int, high: int, *, none: bool = False) -> Check:
    """Accept ints from ``low`` to ``high``."""
    wanted = f"a whole number from {low:,}" + (f" to {high:,}" if high < PRIORITY_MAX else "")

    def check(value: Any) -> str | None:
        if none and value is None:
            return None
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else wanted + (" or None" if none else "")

    return check


def number(low: float, high: float = math.inf) -> Check:
    """Accept finite numbers from ``low`` to ``high``."""
    wanted = f"a number from {low:g}" + (f" to {high:g}" if high < math.inf else "")

    def check(value: Any) -> str | None:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return None if good and low <= value <= high else wanted

    return check


def duration(*, zero: bool, none: bool) -> Check:
    """Accept timedeltas; ``zero`` whether 0 is allowed."""
    wanted = (
        "a timedelta or seconds, "
        + ("not negative" if zero else "more than 0")
        + (", or None" if none else "")
    )

    def check(value: Any) -> str | None:
        if none and value is None:
            return None
        good = isinstance(value, timedelta) and (value >= timedelta(0) if zero else value > timedelta(0))
        return None if good else wanted

    return check


def flag(value: Any) -> str | None:
    """Accept True and False."""
    return None if isinstance(value, bool) else "True or False"


def name(value: Any) -> str | None:
    """Accept a short printable text."""
    good = isinstance(value, str) and 0 < len(value) <= NAME_CHARS_MAX and value.isprintable()
    return None if good else f"a text of 1 to {NAME_CHARS_MAX} printable characters"


def name_or_none(value: Any) -> str | None:
    """Accept a short printable text, or None."""
    return None if value is None or name(value) is None else f"{name('')}, or None"


def text_or_none(value: Any) -> str | None:
    """Accept a text that can be stored, or None."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        return f"a text of at most {TEXT_CHARS_MAX:,} characters, or None"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return "a text without halves of characters (surrogates)"
    return None


def member(kind: type[Enum]) -> Check:
    """Accept a member of an enum."""

    def check(value: Any) -> str | None:
        if isinstance(value, kind):
            return None
        names = [item.value for item in kind]
        close = nearest(value, names) if isinstance(value, str) else ""
        return f"one of {', '.join(names)}" + (f" (did you mean {close}?)" if close else "")

    return check


def all_of(kind: type | tuple[type, ...], words: str) -> Check:
    """Accept a tuple of instances."""

    def check(value: Any) -> str | None:
        return None if all(isinstance(item, kind) for item in value) else words

    return check


def callables(value: Any) -> str | None:
    """Accept a tuple of functions."""
    return None if all(callable(item) for item in value) else "a function of the context, or a list of them"


TASK_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "owner": name_or_none,
        "retries": whole(0, RETRIES_MAX),
        "retry_delay": duration(zero=True, none=False),
        "retry_backoff": number(1),
        "retry_delay_max": duration(zero=False, none=True),
        "retry_jitter": number(0, 1),
        "retry_on": callables,
        "no_retry_on": callables,
        "execution_timeout": duration(zero=False, none=True),
        "trigger_rule": member(TriggerRule),
        "depends_on_past": flag,
        "wait_for_downstream": flag,
        "pool": name,
        "pool_slots": whole(1, PRIORITY_MAX),
        "priority_weight": whole(-PRIORITY_MAX, PRIORITY_MAX),
        "weight_rule": member(WeightRule),
        "executor": name_or_none,
        "queue": name_or_none,
        "max_active_tis_per_dag": whole(1, PRIORITY_MAX, none=True),
        "limits": all_of(KeyedLimit, "limit(key=…, max=…, rate=…), or a list of them"),
        "at_most_once": flag,
        "map_index_template": text_or_none,
        "multiple_outputs": flag,
        "do_xcom_push": flag,
        "inlets": all_of(Asset, 'an Asset("…"), or a list of them'),
        "outlets": all_of(Asset, 'an Asset("…"), or a list of them'),
        "doc": text_or_none,
        "display_name": name_or_none,
        **dict.fromkeys(CALLBACK_NAMES, callables),
    }
)


def shown(value: Any) -> str:
    """Return a value for a message, cut short."""
    text = repr(str(value)) if isinstance(value, Enum) else repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"
