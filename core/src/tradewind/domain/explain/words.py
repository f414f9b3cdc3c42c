"""How explanations speak of instants, durations and instances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from tradewind.domain.records import InstanceRow, RunRow, format_map_index
from tradewind.domain.states import TaskState

NAMED_MAX = 5  # instances named in one sentence; more are counted

_WORDS = {
    TaskState.NONE: "not started",
    TaskState.UP_FOR_RETRY: "waits for its retry",
    TaskState.UP_FOR_RESCHEDULE: "looks again later",
    TaskState.AWAITING_INPUT: "waits for a person",
}


def clock(at: datetime, now: datetime) -> str:
    """Return ``06:15:00 UTC``, with the date when it is another day."""
    there, here = at.astimezone(UTC), now.astimezone(UTC)
    return f"{there:%H:%M:%S} UTC" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M:%S} UTC"


def span(length: timedelta) -> str:
    """Return a duration as a person says it: ``40 s``, ``4 min``, ``3 h 20 min``, ``2 d``."""
    minutes, seconds = divmod(int(abs(length).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def at_and_in(at: datetime, now: datetime) -> str:
    """Return ``06:15:00 UTC (in 4 min)``; ``(now)`` when it has come."""
    return f"{clock(at, now)} ({'in ' + span(at - now) if at > now else 'now'})"


def since(at: datetime | None, now: datetime) -> str:
    """Return `` since 06:10:00 UTC (4 min)``, empty when it is not known."""
    return "" if at is None else f" since {clock(at, now)} ({span(now - at)})"


def name(row: InstanceRow) -> str:
    """Return ``load`` or ``load[3]``."""
    return f"{row.task_id}[{format_map_index(row.map_index)}]" if row.map_index else row.task_id


def full_name(row: InstanceRow, run: RunRow) -> str:
    """Return ``sales/manual__2026-01-01/load[3]``."""
    return f"{run.dag_id}/{run.run_id}/{name(row)}"


def stands(row: InstanceRow, now: datetime) -> str:
    """Return ``load[3] (running since 06:10:00 UTC (4 min))``."""
    words = _WORDS.get(row.state, row.state.value)
    begun = {TaskState.RUNNING: row.started_at, TaskState.QUEUED: row.queued_at}.get(row.state)
    when = "" if begun is None else f" since {clock(begun, now)}"
    return f"{name(row)} ({words}{when})"


def some(parts: Sequence[str], most: int = NAMED_MAX) -> str:
    """Return the first ones, and how many more there are."""
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more:,} more" if more > 0 else "")


def plural(count: int, word: str) -> str:
    """Return ``1 task`` or ``3 tasks``."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def total(counts: Iterable[tuple[int, str]]) -> str:
    """Return ``2 failed, 1 skipped`` without what there is none of."""
    return ", ".join(f"{count:,} {word}" for count, word in counts if count)
