"""``tradewind tasks logs``: what an attempt wrote, also while it writes."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from tradewind.cli import installation
from tradewind.cli.options import MAP_INDEX, dag_argument, run_argument, task_argument
from tradewind.cli.output import note, terminal

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts
    from tradewind.domain.records import InstanceRow, RunSnapshot

FOLLOW_SECONDS = 0.2  # between two looks at a growing log
_LEVEL_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red", "DEBUG": "dim"}


@click.command()
@dag_argument
@run_argument
@task_argument
@click.option("--map-index", type=MAP_INDEX, default=None, help="Of a mapped task: 3, or 3.0.")
@click.option(
    "--try",
    "try_number",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="A try (default: the newest).",
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json prints the stored lines.",
)
def logs(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: tuple[int, ...] | None,
    try_number: int | None,
    output: str,
    *,
    follow: bool,
) -> None:
    """Print the log of a task."""
    from tradewind.api.usecases.find import find_instances, find_snapshot

    with installation.parts() as parts:
        snapshot = find_snapshot(parts.store, dag_id, run_id)
        rows = [row for row in find_instances(snapshot, task_id, map_index) if _may_have_run(row)]
        if len(rows) > 1:
            _refuse_several(task_id, rows)
        if not rows:
            raise click.ClickException(
                f'Task "{task_id}" of run "{snapshot.run.run_id}" has no log: its mapped instances do not exist yet.'
            )
        lines = _followed(parts, snapshot, rows[0]) if follow else _kept(parts, snapshot, rows[0], try_number)
        for line in lines:
            click.echo(line if output == "json" else _rendered(line))


def _may_have_run(row: InstanceRow) -> bool:
    return row.state.value != "removed" or row.token > 0


def _refuse_several(task_id: str, rows: list[InstanceRow]) -> None:
    from tradewind.domain.records import format_map_index

    first, last = format_map_index(rows[0].map_index), format_map_index(rows[-1].map_index)
    raise click.UsageError(
        f'Task "{task_id}" is mapped: it has {len(rows)} logs. Choose one with --map-index, {first or 0} to {last}.'
    )


def _kept(parts: Parts, snapshot: RunSnapshot, row: InstanceRow, try_number: int | None) -> Iterator[str]:
    from tradewind.api.usecases.logs import LogReader, logs_of, pick

    store = _log_store(parts)
    found = logs_of(parts.store, store, snapshot.run, row)
    wanted = pick(found, try_number)
    if not found and row.token:
        note(f"It has written nothing so far (it is {row.state}).")
        return
    if not wanted:
        tries = ", ".join(map(str, sorted({one.try_number for one in found})))
        what = (
            f"no log of try {try_number}; there are logs of try {tries}"
            if found
            else f"no log: it is {row.state}"
        )
        raise click.ClickException(f'Task "{row.task_id}" of run "{snapshot.run.run_id}" has {what}.')
    for one in wanted:
        if len(wanted) > 1:
            note(f"-- try {one.try_number}, attempt {one.token}")
        yield from LogReader(store, one.key).lines()


def _followed(parts: Parts, snapshot: RunSnapshot, row: InstanceRow) -> Iterator[str]:
    """Yield lines of this attempt and of those that follow it, until the instance has ended."""
    from tradewind.api.usecases.logs import LogReader, logs_of
    from tradewind.domain.states import TERMINAL_TASK_STATES

    store = _log_store(parts)
    readers: dict[int, LogReader] = {}
    first = row.token
    while True:
        (now,) = parts.store.instances([row.id]) or [row]
        for one in logs_of(parts.store, store, snapshot.run, now):
            if one.token >= first and one.token not in readers:
                if readers:
                    note(f"-- try {one.try_number}, attempt {one.token}")
                readers[one.token] = LogReader(store, one.key)
            if one.token in readers:
                yield from readers[one.token].lines()
        if now.state in TERMINAL_TASK_STATES:
            return
        select.select([], [], [], FOLLOW_SECONDS)


def _log_store(parts: Parts) -> Any:
    return parts.registry.log_store_factory("file")(parts.settings)


def _rendered(line: str) -> str:
    from tradewind.api.usecases.logs import parse_line

    fields = parse_line(line)
    at, level = str(fields.get("at", "")), str(fields.get("level", ""))
    stamp = at[11:23] if len(at) > 23 else at  # noqa: PLR2004 - the time of day in an ISO instant
    message = "\n".join(terminal.harmless(part) for part in str(fields.get("message", "")).split("\n"))
    shown = terminal.styled(f"{level:<8}", _LEVEL_STYLES.get(level, ""))
    return f"{terminal.styled(stamp, 'dim')} {shown} {message}"
