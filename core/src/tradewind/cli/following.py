"""Following a run to its end, with a line of progress on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tradewind.api.usecases.shapes import run_shape
from tradewind.cli.output import done, note, terminal
from tradewind.cli.waiting import looks
from tradewind.domain.records import RunRow
from tradewind.domain.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, RunState, TaskState
from tradewind.errors import NotFoundError

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts

EXPLAIN_SECONDS = 5.0  # a run that has not started by then has a reason that the person wants to know


def await_run(parts: Parts, run: RunRow, *, timeout: float | None) -> RunRow:
    """Return the run as it is when it has ended, or when ``timeout`` seconds are over."""
    live = terminal.is_live(sys.stderr)
    shown = ""
    explain_at = parts.clock.monotonic() + EXPLAIN_SECONDS
    try:
        for _look in looks(parts, timeout=timeout):
            found = parts.store.run_row(run.pk)
            if found is None:
                raise NotFoundError(f'run "{run.run_id}" of DAG "{run.dag_id}" was deleted meanwhile')
            run = found
            if run.state in TERMINAL_RUN_STATES:
                break
            if live:
                shown = _progress(parts, run, shown)
            if run.state is RunState.QUEUED and parts.clock.monotonic() >= explain_at:
                explain_at = float("inf")
                _explain(parts, run)
    finally:
        if shown:
            click.echo("\r\x1b[K", nl=False, err=True)
    return run


def _explain(parts: Parts, run: RunRow) -> None:
    """Say why a run that somebody waits for does not start."""
    from tradewind.api.usecases.why import why_run

    for reason in why_run(parts.store, run.dag_id, run.run_id, shard=parts.settings.scheduler.shard)[0][
        "reasons"
    ]:
        note(f"It has not started yet: {reason['message']}")


def tell_end(run: RunRow, output: str) -> int:
    """Print the run and return the exit status its state means: 0 success, 1 anything else."""
    done(
        output,
        run_shape(run),
        f"{run.dag_id} / {run.run_id} ended as {terminal.state_text(run.state.value)}."
        if run.state in TERMINAL_RUN_STATES
        else f"{run.dag_id} / {run.run_id} is still {run.state}.",
    )
    if run.state not in TERMINAL_RUN_STATES:
        note(f"It did not end in time. Why: `tradewind runs why {run.dag_id} {run.run_id}`")
    elif run.state is not RunState.SUCCESS:
        note(f"What happened: `tradewind runs show {run.dag_id} {run.run_id}`")
    return 0 if run.state is RunState.SUCCESS else 1


def _progress(parts: Parts, run: RunRow, before: str) -> str:
    counts = parts.store.count_instances(run.pk)
    ended = sum(count for state, count in counts.items() if state in TERMINAL_TASK_STATES)
    running = counts.get(TaskState.RUNNING, 0)
    text = f"{run.dag_id} / {run.run_id}: {run.state}, {ended} of {sum(counts.values())} ended, {running} running"
    if text != before:
        click.echo(f"\r\x1b[K{terminal.cut(text, terminal.width())}", nl=False, err=True)
    return text
