"""How a run is told to people: what it came to, its tasks, what was not plain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from tradewind.cli.output import Column, rows_table, terminal
from tradewind.cli.output.words import instant, lasted

TASKS_SHOWN_MAX = 200  # more are for `tasks list`, which filters

TASK_COLUMNS = (
    Column("Task", "name"),
    Column("State", "state", state=True),
    Column("Try", "try_number", right=True),
    Column("Started", "start_date", instant),
    Column("Took", "duration", lasted, right=True),
    Column("Pool", "pool"),
    Column("Operator", "operator"),
)


def named(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return task rows with a ``name`` such as ``load[3]``."""
    return [{**task, "name": task_name(task)} for task in tasks]


def task_name(task: Mapping[str, Any]) -> str:
    """Return ``load`` or ``load[3]``."""
    index = task["map_index"]
    return str(task["task_id"]) if index is None else f"{task['task_id']}[{index}]"


def people_run(shown: Mapping[str, Any], story: Sequence[tuple[datetime, str]], reason: str = "") -> None:
    """Print a run in the ``runs show`` shape, and what happened to it."""
    state = str(shown["state"])
    why = f": {reason}" if reason else ""
    click.echo(
        f"{terminal.styled(str(shown['dag_id']), 'bold')} / {shown['run_id']}  "
        f"{terminal.state_mark(state)} {terminal.state_text(state)}{why}"
    )
    click.echo(f"  logical date {instant(shown['logical_date'])}, {_times(shown)}")
    tasks = shown["tasks"]
    if tasks:
        click.echo(f"  {counts_text(tasks)}\n")
        rows_table(named(tasks[:TASKS_SHOWN_MAX]), TASK_COLUMNS)
    if len(tasks) > TASKS_SHOWN_MAX:
        left = len(tasks) - TASKS_SHOWN_MAX
        click.echo(
            f"… and {left:,} more: `tradewind tasks list {shown['dag_id']} {shown['run_id']} --state failed`"
        )
    if story:
        click.echo(f"\n{terminal.styled('What happened', 'bold')}")
        for at, text in story:
            click.echo(f"  {at.astimezone(UTC):%H:%M:%S}  {terminal.harmless(text)}")


def counts_text(tasks: Sequence[Mapping[str, Any]]) -> str:
    """Return ``12 tasks: 10 success, 2 running``."""
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    parts = ", ".join(f"{count:,} {terminal.state_text(state)}" for state, count in sorted(counts.items()))
    return f"{len(tasks):,} task{'s' * (len(tasks) != 1)}: {parts}"


def _times(shown: Mapping[str, Any]) -> str:
    if shown["start_date"] is None:
        return f"due {instant(shown['run_after'])}, not started"
    if shown["end_date"] is None:
        return f"started {instant(shown['start_date'])}"
    seconds = datetime.fromisoformat(shown["end_date"]) - datetime.fromisoformat(shown["start_date"])
    return f"started {instant(shown['start_date'])}, took {lasted(seconds.total_seconds())}"
