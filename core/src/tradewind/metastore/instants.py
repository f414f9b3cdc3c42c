"""Instants as the database keeps them: whole microseconds since 1970-01-01T00:00Z in a BIGINT."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS: Final = 1_000_000
_DAY_SECONDS: Final = 86_400


def to_us(instant: datetime) -> int:
    """Return the stored form of an aware instant; ``TypeError`` for a naive one."""
    delta = instant - EPOCH
    return (delta.days * _DAY_SECONDS + delta.seconds) * MICROSECONDS + delta.microseconds


def from_us(stored: int) -> datetime:
    """Return the aware UTC instant of its stored form, exactly."""
    return EPOCH + timedelta(0, 0, stored)


def to_us_or_none(instant: datetime | None) -> int | None:
    """Return the stored form, NULL for None."""
    return None if instant is None else to_us(instant)


def from_us_or_none(stored: int | None) -> datetime | None:
    """Return the instant, None for NULL."""
    return None if stored is None else EPOCH + timedelta(0, 0, stored)


def seconds_to_us(seconds: float) -> int:
    """Return a duration in whole microseconds."""
    return round(seconds * MICROSECONDS)
