"""``tradewind runs``: what ran, what runs, and why it does not go on."""

from __future__ import annotations

import click

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import SECONDS, dag_argument, output_option, run_argument
from tradewind.cli.output import Column, emit, note, show_rows
from tradewind.cli.output.words import instant
from tradewind.cli.runs_acts import cancel, clear, mark, pause, resume


@click.group(cls=NearGroup, short_help="Look at runs, watch, cancel and repair them.")
def runs() -> None:
    """Look at runs, watch, cancel and repair them. RUN may be `latest`, or the beginning of an id."""


for _command in (cancel, pause, resume, clear, mark):
    runs.add_command(_command)

_STATES = ("queued", "running", "paused", "success", "failed", "cancelled")


_LIST = (
    Column("DAG", "dag_id"),
    Column("Run", "run_id"),
    Column("State", "state", state=True),
    Column("Logical date", "logical_date", instant),
    Column("Started", "start_date", instant),
    Column("Ended", "end_date", instant),
)


@runs.command("list")
@click.argument("dag_id", metavar="[DAG]", required=False)
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Only these; may be given again."
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=25, show_default=True, help="At most that many."
)
@output_option
def list_(dag_id: str | None, states: tuple[str, ...], limit: int, output: str) -> None:
    """List runs, newest first."""
    from tradewind.api.trigger import find_dag
    from tradewind.api.usecases.shapes import run_shape

    with installation.parts() as parts:
        if dag_id is not None:
            find_dag(parts.store, dag_id)
        found = parts.store.list_runs(dag_id=dag_id, states=list(states) or None, limit=limit)
    show_rows(output, [run_shape(run) for run in found], _LIST, empty="No runs.")


@runs.command()
@dag_argument
@run_argument
@output_option
def show(dag_id: str, run_id: str, output: str) -> None:
    """Show a run, its tasks, and what happened to them: tries, losses, skips."""
    from tradewind.api.usecases.find import find_snapshot
    from tradewind.api.usecases.views import show_run, what_happened
    from tradewind.cli.runs_text import TASK_COLUMNS, named, people_run

    with installation.parts() as parts:
        snapshot = find_snapshot(parts.store, dag_id, run_id)
        shown = show_run(parts.store, snapshot)
        story = what_happened(parts.store, snapshot) if output == "table" else []
    emit(
        output,
        shown,
        lambda: people_run(shown, story, snapshot.run.reason),
        lambda: show_rows("plain", named(shown["tasks"]), TASK_COLUMNS),
    )


@runs.command()
@dag_argument
@run_argument
@click.option("--timeout", type=SECONDS, default=None, help="Wait no longer than that; then exit 1.")
@output_option
def wait(dag_id: str, run_id: str, timeout: float | None, output: str) -> int:
    """Wait for a run's end; exit 0 on success, 1 otherwise."""
    from tradewind.api.usecases.find import find_run
    from tradewind.cli.following import await_run, tell_end

    with installation.parts(listen=True) as parts:
        run = find_run(parts.store, dag_id, run_id)
        return tell_end(await_run(parts, run, timeout=timeout), output)


@runs.command()
@dag_argument
@click.argument("run_id", metavar="[RUN]", default="latest")
def watch(dag_id: str, run_id: str) -> int:
    """Look on while a run goes: counts, what runs since when, why the rest waits. Ctrl-C leaves it running."""
    from tradewind.api.usecases.find import find_run
    from tradewind.cli.watching import watch_run

    with installation.parts(listen=True) as parts:
        run = find_run(parts.store, dag_id, run_id)
        return watch_run(parts, run)


@runs.command()
@dag_argument
@run_argument
@output_option
def why(dag_id: str, run_id: str, output: str) -> None:
    """Say why a run stands where it stands, and why each unfinished task does."""
    from tradewind.api.usecases.why import why_run
    from tradewind.cli.why_text import people_why, plain_why

    with installation.parts() as parts:
        settings = parts.settings
        told = why_run(
            parts.store,
            dag_id,
            run_id,
            default_executor=settings.executor.default,
            shard=settings.scheduler.shard,
        )
    emit(output, told, lambda: people_why(told), lambda: plain_why(told))
    if output == "table" and len(told) > 1:
        note(f"One task only: `tradewind tasks why {dag_id} {run_id} TASK`")
