"""How tables speak of instants and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

MINUTE_SECONDS = 60


def age(at: datetime, now: datetime) -> str:
    """Return ``4 min ago`` or ``in 3 h``."""
    from tradewind.domain.explain.words import span

    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def lasted(seconds: float | None) -> str:
    """Return ``0.42 s``, ``12 s``, ``3 min 5 s``; empty when it is not known."""
    if seconds is None:
        return ""
    if seconds < MINUTE_SECONDS:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004 - where digits stop telling
    minutes, rest = divmod(int(seconds), MINUTE_SECONDS)
    if minutes < MINUTE_SECONDS:
        return f"{minutes} min {rest} s"
    from tradewind.domain.explain.words import span

    return span(timedelta(seconds=seconds))


def instant(text: Any) -> str:
    """Return an ISO instant as ``2026-01-01 06:00:00`` in UTC; empty for None."""
    if not text:
        return ""
    at = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
