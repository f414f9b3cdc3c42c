"""Keyed limits: how many instances that share a rendered key may run at once, and how many may start in a while."""

from __future__ import annotations

import re

from tradewind.authoring.place import author_place
from tradewind.domain.spec import KeyedLimit
from tradewind.errors import ArgumentError

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([smhd])[a-z]*\s*", re.ASCII)
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def limit(*, key: str, max: int | None = None, rate: str | None = None) -> KeyedLimit:  # noqa: A002 - the word it is
    """Return a limit for ``limits=``: ``limit(key="customer-{{ params.id }}", max=2, rate="10/m")``.

    ``key`` is a template. ``max``: instances at once. ``rate``: starts per time, "10/m", "1/30s", "500/h", "5/d".
    Raises ArgumentError when neither is given, or one is not positive.
    """
    problem = ""
    count, seconds = None, None
    if not isinstance(key, str) or not key:
        problem = f"key is {key!r}; it is a text such as 'customer-{{{{ params.id }}}}'."
    elif max is None and rate is None:
        problem = "it limits nothing; give max= or rate= or both."
    elif max is not None and (not isinstance(max, int) or isinstance(max, bool) or max < 1):
        problem = f"max is {max!r}; it is a whole number from 1."
    elif rate is not None:
        match = _RATE.fullmatch(rate) if isinstance(rate, str) else None
        if match is None or int(match[1]) < 1 or match[2] == "0":
            problem = f"rate is {rate!r}; it is a number per time: 10/s, 10/m, 1/30s, 500/h, 5/d."
        else:
            count, seconds = int(match[1]), int(match[2] or 1) * _UNIT_SECONDS[match[3]]
    if problem:
        place = author_place()
        raise ArgumentError(f"limit(key={key!r:.40}): {problem}", file=place.file, line=place.line)
    return KeyedLimit(key=key, max=max, rate_count=count, rate_seconds=seconds)
