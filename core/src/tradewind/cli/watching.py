"""``tradewind runs watch``: a run as it goes, redrawn in place on a terminal, told line by line elsewhere."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tradewind.api.usecases.why import gather
from tradewind.cli.output import terminal
from tradewind.cli.output.live import Live
from tradewind.cli.output.words import lasted
from tradewind.cli.waiting import looks
from tradewind.domain.explain import explain_run, explain_unfinished
from tradewind.domain.records import EventRow, InstanceRow, RunRow, RunSnapshot, format_map_index
from tradewind.domain.states import (
    SLOT_STATES,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    RunState,
    TaskState,
)
from tradewind.errors import NotFoundError

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts

RUNNING_SHOWN_MAX = 12
EVENTS_SHOWN_MAX = 6
REASONS_SHOWN_MAX = 5
BAR_COLUMNS = 40
EVENTS_READ_MAX = 5_000
_TOLD = ("run.", "task.")  # an act is told by what it changes
_ORDER = (
    TaskState.SUCCESS,
    TaskState.SKIPPED,
    TaskState.FAILED,
    TaskState.UPSTREAM_FAILED,
    TaskState.CANCELLED,
    TaskState.RUNNING,
    TaskState.QUEUED,
    TaskState.SCHEDULED,
)
_BAR = {"success": "█", "skipped": "▒", "failed": "█", "upstream_failed": "▓", "running": "▶", "queued": "▷"}


def watch_run(parts: Parts, run: RunRow) -> int:
    """Show the run until it has ended; return 0 when it succeeded, 1 when not."""
    feed = _Feed(parts, run)
    live = Live() if terminal.is_live() else None
    for _look in looks(parts):
        snapshot = parts.store.run(run.pk)
        if snapshot is None:
            raise NotFoundError(f'run "{run.run_id}" of DAG "{run.dag_id}" was deleted meanwhile')
        fresh = feed.read()
        if live is not None:
            live.draw(_picture(parts, snapshot, feed))
        else:
            for line in fresh:
                click.echo(line)
        if snapshot.run.state in TERMINAL_RUN_STATES:
            if live is None:
                click.echo(_head(snapshot, parts.store.now()))
            return 0 if snapshot.run.state is RunState.SUCCESS else 1
    return 1


class _Feed:
    """The events of one run, as lines."""

    def __init__(self, parts: Parts, run: RunRow) -> None:
        self._store = parts.store
        self._run = run
        self._seen = max(
            0, self._store.last_event_id() - EVENTS_READ_MAX
        )  # the last ones say how it came here
        self.lines: list[str] = []

    def read(self) -> list[str]:
        """Return the lines of events since the last call."""
        fresh: list[str] = []
        while events := self._store.events_after(self._seen, 1_000):
            self._seen = events[-1].id
            mine = [event for event in events if event.run_pk == self._run.pk]
            mine.sort(key=_told_last)
            fresh += [event_line(event) for event in mine if event.kind.startswith(_TOLD)]
        self.lines = [*self.lines, *fresh][-EVENTS_SHOWN_MAX:]
        return fresh


def _told_last(event: EventRow) -> tuple[bool, str, bool]:
    """Order by time; a run's end comes after what ended it in the same commit."""
    at = "" if event.at is None else event.at.isoformat()
    return event.at is None, at, event.kind.removeprefix("run.") in TERMINAL_RUN_STATES


def event_line(event: EventRow) -> str:
    """Return an event as a line: when, what, to which task, by whom."""
    at = "        " if event.at is None else f"{event.at.astimezone(UTC):%H:%M:%S}"
    state = event.kind.rpartition(".")[2]
    name = event.task_id or "the run"
    if event.map_index:
        name += f"[{format_map_index(event.map_index)}]"
    why = event.data.get("reason") or event.data.get("why") or ""
    by = "" if event.actor == "scheduler" else f" by {event.actor}"
    return f"{at}  {terminal.state_mark(state)} {name}: {terminal.state_text(state)}{by}" + (
        f" ({terminal.harmless(str(why))})" if why else ""
    )


def _picture(parts: Parts, snapshot: RunSnapshot, feed: _Feed) -> list[str]:
    now = parts.store.now()
    lines = [_head(snapshot, now), _bar(snapshot), ""]
    lines += _running_lines(snapshot, now)
    if snapshot.run.state not in TERMINAL_RUN_STATES:
        lines += _waiting_lines(parts, snapshot, now)
    if feed.lines:
        lines += [terminal.styled("Last", "bold"), *(f"  {line}" for line in feed.lines)]
    return lines


def _head(snapshot: RunSnapshot, now: datetime) -> str:
    run = snapshot.run
    state = run.state.value
    took = (
        ""
        if run.started_at is None
        else f" {lasted(((run.ended_at or now) - run.started_at).total_seconds())}"
    )
    return (
        f"{terminal.styled(run.dag_id, 'bold')} / {run.run_id}  {terminal.state_mark(state)} "
        f"{terminal.state_text(state)}{took}" + (f": {run.reason}" if run.reason else "")
    )


def _bar(snapshot: RunSnapshot) -> str:
    counts = Counter(row.state for row in snapshot.instances)
    total = sum(counts.values())
    if not total:
        return "no tasks yet"
    ended = sum(count for state, count in counts.items() if state in TERMINAL_TASK_STATES)
    drawn = ""
    used = 0
    for state in _ORDER:
        columns = round(BAR_COLUMNS * counts[state] / total) or bool(counts[state])
        columns = min(columns, BAR_COLUMNS - used)
        used += columns
        if columns:
            drawn += terminal.styled(_BAR.get(state.value, "░") * columns, terminal.state_style(state.value))
    parts = [f"{counts[state]:,} {state.value}" for state in _ORDER if counts[state]]
    return f"{drawn}{'·' * (BAR_COLUMNS - used)}  {ended:,} of {total:,} ended: {', '.join(parts)}"


def _running_lines(snapshot: RunSnapshot, now: datetime) -> list[str]:
    busy = [row for row in snapshot.instances if row.state in SLOT_STATES]
    if not busy:
        return []
    busy.sort(key=lambda row: (row.state is not TaskState.RUNNING, row.started_at or now, row.id))
    lines = [terminal.styled("Now", "bold"), *(_running(row, now) for row in busy[:RUNNING_SHOWN_MAX])]
    if len(busy) > RUNNING_SHOWN_MAX:
        lines.append(f"  … and {len(busy) - RUNNING_SHOWN_MAX:,} more")
    return lines


def _running(row: InstanceRow, now: datetime) -> str:
    index = f"[{format_map_index(row.map_index)}]" if row.map_index else ""
    since = row.started_at if row.state is TaskState.RUNNING else row.queued_at
    age = "" if since is None else f" for {lasted((now - since).total_seconds())}"
    again = f", try {row.try_number} of {row.tries_max}" if row.try_number > 1 else ""
    state = row.state.value
    return f"  {terminal.state_mark(state)} {row.task_id}{index} {terminal.state_text(state)}{age}{again}"


def _waiting_lines(parts: Parts, snapshot: RunSnapshot, now: datetime) -> list[str]:
    """Return why things wait, each message once, but for those that plainly wait for others of the run."""
    settings = parts.settings
    facts = gather(
        parts.store,
        now,
        snapshot,
        default_executor=settings.executor.default,
        shard=settings.scheduler.shard,
    )
    told: dict[str, list[str]] = {}
    if snapshot.run.state is not RunState.RUNNING:
        for reason in explain_run(facts, snapshot.run.pk, now):
            told.setdefault(reason.message, []).append("the run")
    for row, reasons in explain_unfinished(facts, snapshot.run.pk, now):
        for reason in reasons:
            if row.state not in SLOT_STATES and reason.kind.value not in _PLAIN_KINDS:
                told.setdefault(reason.message, []).append(row.task_id)
    if not told:
        return []
    lines = [terminal.styled("Waits", "bold")]
    for message, names in list(told.items())[:REASONS_SHOWN_MAX]:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {terminal.harmless(message)}")
    return lines


_PLAIN_KINDS: frozenset[Any] = frozenset(
    {"upstream", "mapping", "setup", "queued", "running", "ended", "run_queued"}
)
