"""Retries: whether a failed attempt is tried again, and when.

The delay of the n-th retry is ``delay_seconds * backoff ** (n - 1)``, spread by jitter, and never above
``delay_max_seconds``. Without ``jitter`` it is exact. Jitter is drawn from the attempt's key, not from
chance: the same attempt always gets the same delay, in a replay and in a forecast too.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf, isfinite

from tradewind.domain.spec import RetrySpec

DELAY_MAX_SECONDS = 365 * 86_400.0  # a power grows past all dates; a year is "never" for a retry
_SPREAD = 2**64


def may_retry(try_number: int, tries_max: int, *, wanted: bool | None = None) -> bool:
    """Whether try ``try_number`` (1 = first) that failed is followed by another.

    ``wanted`` is what ``retry_on`` and ``no_retry_on`` decided: False ends it whatever is left; True and None
    go by the tries that are left, because a wish cannot make more of them.
    """
    return wanted is not False and try_number < tries_max


def delay_seconds(retry: RetrySpec, try_number: int, attempt_key: str) -> float:
    """Return how many seconds after the end of try ``try_number`` (1 = first) the next one may start.

    It lies in ``[0, min(delay_max_seconds, a year)]``; with jitter j within ``[d * (1 - j), d * (1 + j)]`` of
    the plain delay d.
    """
    longest = min(inf if retry.delay_max_seconds is None else retry.delay_max_seconds, DELAY_MAX_SECONDS)
    plain = min(_grown(retry, try_number), longest)
    if retry.jitter:
        plain += plain * retry.jitter * (2 * _share(attempt_key) - 1)
    return max(0.0, min(plain, longest))


def retry_at(retry: RetrySpec, try_number: int, ended_at: datetime, attempt_key: str) -> datetime:
    """Return the earliest instant of the next try after try ``try_number`` ended at ``ended_at``.

    ``attempt_key`` tells attempts apart (instance id and token), so that instances that failed together do
    not come back together when jitter is asked for.
    """
    return ended_at + timedelta(seconds=delay_seconds(retry, try_number, attempt_key))


def _grown(retry: RetrySpec, try_number: int) -> float:
    try:
        grown = retry.delay_seconds * retry.backoff ** (max(try_number, 1) - 1)
    except OverflowError:
        return inf
    return grown if isfinite(grown) else inf


def _share(attempt_key: str) -> float:
    """Return a number in [0, 1) that looks random and depends on the key only."""
    from hashlib import sha256  # it loads 3 MB of OpenSSL, which every fork of a task would have to carry

    return int.from_bytes(sha256(attempt_key.encode()).digest()[:8], "big") / _SPREAD
