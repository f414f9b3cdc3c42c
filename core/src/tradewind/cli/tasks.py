"""``tradewind tasks``: tasks of runs, their logs, and why they wait."""

from __future__ import annotations

from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import MAP_INDEX, dag_argument, output_option, run_argument, task_argument
from tradewind.cli.output import Column, emit, show_rows, terminal
from tradewind.cli.output.words import instant
from tradewind.cli.tasks_acts import clear, hold, mark, release, run
from tradewind.cli.tasks_local import render, test
from tradewind.cli.tasks_logs import logs

_STATES = (
    "none", "scheduled", "queued", "running", "deferred", "awaiting_input", "up_for_retry", "up_for_reschedule",
    "success", "failed", "upstream_failed", "skipped", "removed", "cancelled", "unknown",
)  # fmt: skip


@click.group(cls=NearGroup, short_help="Look at tasks of runs, their logs, and why they wait.")
def tasks() -> None:
    """Look at tasks of runs, their logs, and why they wait. RUN may be `latest`, or the beginning of an id."""


for _command in (logs, clear, mark, hold, release, run, render, test):
    tasks.add_command(_command)

map_index_option = click.option(
    "--map-index", type=MAP_INDEX, default=None, help="Of a mapped task: 3, or 3.0."
)


@tasks.command("list")
@dag_argument
@run_argument
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Only these; may be given again."
)
@output_option
def list_(dag_id: str, run_id: str, states: tuple[str, ...], output: str) -> None:
    """List the task instances of a run."""
    from tradewind.api.usecases.find import find_snapshot
    from tradewind.api.usecases.views import spec_or_none, task_rows
    from tradewind.cli.runs_text import TASK_COLUMNS, named

    with installation.parts() as parts:
        snapshot = find_snapshot(parts.store, dag_id, run_id)
        rows = task_rows(snapshot, spec_or_none(parts.store, snapshot.run.version_id))
    rows = [row for row in rows if not states or row["state"] in states]
    emit(
        output,
        rows,
        lambda: show_rows("table", named(rows), TASK_COLUMNS, empty="No such task instances."),
        lambda: show_rows("plain", named(rows), TASK_COLUMNS),
    )


@tasks.command()
@dag_argument
@run_argument
@task_argument
@map_index_option
@output_option
def show(dag_id: str, run_id: str, task_id: str, map_index: tuple[int, ...] | None, output: str) -> None:
    """Show a task in a run: its state, attempts, rendered arguments and XComs."""
    from tradewind.api.usecases.task_views import show_task

    with installation.parts() as parts:
        rows = show_task(parts.store, dag_id, run_id, task_id, map_index)
    emit(output, rows[0] if len(rows) == 1 else rows, lambda: _people(rows))


@tasks.command()
@dag_argument
@run_argument
@task_argument
@map_index_option
@output_option
def why(dag_id: str, run_id: str, task_id: str, map_index: tuple[int, ...] | None, output: str) -> None:
    """Say why a task waits, or what it does, or how it ended."""
    from tradewind.api.usecases.why import why_task
    from tradewind.cli.why_text import people_why, plain_why

    with installation.parts() as parts:
        told = why_task(
            parts.store,
            dag_id,
            run_id,
            task_id,
            map_index,
            plugins=_plugin_reasons(parts),
            default_executor=parts.settings.executor.default,
            shard=parts.settings.scheduler.shard,
        )
    emit(output, told, lambda: people_why(told), lambda: plain_why(told))


def _plugin_reasons(parts: Any) -> Any:
    """Return what asks the plugins, None when none of them gives reasons."""
    from tradewind.hookspecs import Waiting

    def ask(snapshot: Any, row: Any, now: Any) -> Any:
        spec = parts.store.spec(snapshot.run.version_id)
        return parts.registry.reasons(Waiting(dag=spec, run=snapshot.run, instance=row, now=now))

    return ask


def _people(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        _people_task(row)


def _people_task(row: dict[str, Any]) -> None:
    from tradewind.cli.output import rows_table
    from tradewind.cli.runs_text import task_name

    click.echo(f"{terminal.styled(task_name(row), 'bold')}  {terminal.state_text(row['state'])}")
    for name in (
        "reason",
        "label",
        "operator",
        "pool",
        "executor",
        "queue",
        "worker",
        "try_number",
        "tries_max",
    ):
        if row[name] not in {None, ""}:
            click.echo(f"  {name.replace('_', ' '):<12} {row[name]}")
    if row["attempts"]:
        columns = (
            Column("Try", "try_number", right=True),
            Column("Outcome", "outcome"),
            Column("Led to", "state", state=True),
            Column("Started", "start_date", instant),
            Column("Ended", "end_date", instant),
            Column("Worker", "worker"),
            Column("Reason", "reason"),
        )
        click.echo("")
        rows_table(row["attempts"], columns)
    for title, values in (("Rendered", row["rendered"]), ("XComs", row["xcoms"])):
        if values:
            click.echo(f"\n{title}")
            for name, value in values.items():
                click.echo(f"  {name} = {terminal.harmless(Column('', 'value').cell({'value': value}))}")
