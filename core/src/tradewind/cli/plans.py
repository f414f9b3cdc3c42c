"""What an act did or, in a dry run, would do: told to people and programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tradewind.cli.output import Column, emit, note, rows_table

if TYPE_CHECKING:
    from tradewind.domain.actions import ActionPlan

SHOWN_MAX = 50  # instances listed for people; -o json has all

Command = TypeVar("Command", bound=Callable[..., Any])


def dry_run_option(command: Command) -> Command:
    """Add ``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Only list what it would do.")(command)


def plan_shape(
    dag_id: str, run_id: str, act: str, plan: ActionPlan, *, dry_run: bool = False
) -> dict[str, Any]:
    """Return an act as JSON: what it changes from which state to which."""
    from tradewind.api.usecases.shapes import map_index_shape

    run = plan.batch.runs[0].row if plan.batch.runs else None
    return {
        "act": act,
        "dag_id": dag_id,
        "run_id": run.run_id if run is not None else run_id,
        "dry_run": dry_run,
        "run_state": run.state.value if run is not None else None,
        "affected": [
            {
                "task_id": one.task_id,
                "map_index": map_index_shape(one.map_index),
                "state": one.state.value,
                "becomes": one.becomes.value,
            }
            for one in plan.affected
        ],
        "notes": list(plan.notes),
    }


def tell_plan(output: str, *shapes: dict[str, Any]) -> None:
    """Print acts: one as an object, several as a list."""
    emit(output, shapes[0] if len(shapes) == 1 else list(shapes), lambda: _people(shapes))


def _people(shapes: tuple[dict[str, Any], ...]) -> None:
    for shape in shapes:
        affected = shape["affected"]
        would = "would change" if shape["dry_run"] else "changed"
        state = f"; the run is {shape['run_state']}" if shape["run_state"] and not shape["dry_run"] else ""
        count = f"{len(affected):,} task instance{'s' * (len(affected) != 1)}"
        click.echo(f"{shape['act']} {shape['dag_id']} / {shape['run_id']}: {would} {count}{state}.")
        if shape["dry_run"] and affected:
            columns = (
                Column("Task", "task_id"),
                Column("Index", "map_index"),
                Column("Is", "state", state=True),
                Column("Becomes", "becomes", state=True),
            )
            rows_table(affected[:SHOWN_MAX], columns)
        for text in shape["notes"]:
            note(text[:1].upper() + text[1:] + ".")
