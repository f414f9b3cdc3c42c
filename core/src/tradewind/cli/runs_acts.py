"""``tradewind runs cancel``, ``pause``, ``resume``, ``clear``, ``mark``: what people do to whole runs."""

from __future__ import annotations

from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.options import (
    approve,
    dag_argument,
    harmless_yes_option,
    output_option,
    run_argument,
    why_option,
    yes_option,
)
from tradewind.cli.plans import dry_run_option, plan_shape, tell_plan


@click.command()
@dag_argument
@run_argument
@why_option
@dry_run_option
@output_option
@yes_option
def cancel(dag_id: str, run_id: str, why: str, output: str, *, dry_run: bool, yes: bool) -> None:
    """End a run: what runs is stopped (SIGTERM, grace, SIGKILL), the rest does not start."""
    from tradewind.api.usecases import acts

    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)
        if not dry_run and not yes:
            plan = acts.cancel_run(parts.store, dag_id, run_id, by, dry=True)
            approve(f"Cancel it with {len(plan.affected)} unfinished tasks?", yes=yes, destructive=True)
        plan = acts.cancel_run(parts.store, dag_id, run_id, by, dry=dry_run)
    tell_plan(output, plan_shape(dag_id, run_id, "cancel", plan, dry_run=dry_run))


@click.command()
@dag_argument
@run_argument
@why_option
@output_option
@harmless_yes_option
def pause(dag_id: str, run_id: str, why: str, output: str) -> None:
    """Hold a run: running tasks finish, no new ones start."""
    from tradewind.api.usecases import acts

    with installation.parts() as parts:
        plan = acts.pause_run(
            parts.store, dag_id, run_id, acts.By(installation.actor(), parts.clock.now(), why)
        )
    tell_plan(output, plan_shape(dag_id, run_id, "pause", plan))


@click.command()
@dag_argument
@run_argument
@why_option
@output_option
@harmless_yes_option
def resume(dag_id: str, run_id: str, why: str, output: str) -> None:
    """Let a paused run go on."""
    from tradewind.api.usecases import acts

    with installation.parts() as parts:
        plan = acts.resume_run(
            parts.store, dag_id, run_id, acts.By(installation.actor(), parts.clock.now(), why)
        )
    tell_plan(output, plan_shape(dag_id, run_id, "resume", plan))


@click.command()
@dag_argument
@run_argument
@click.option(
    "--only-failed", is_flag=True, help="Only what failed, was cancelled or could not run because of that."
)
@click.option("--newest", is_flag=True, help="Move the run to the DAG's newest version first.")
@why_option
@dry_run_option
@output_option
@yes_option
def clear(
    dag_id: str,
    run_id: str,
    why: str,
    output: str,
    *,
    only_failed: bool,
    newest: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Let all tasks of a run start afresh, or those that failed; each with a fresh set of tries."""
    from tradewind.api.usecases import acts
    from tradewind.domain.actions import Selection

    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)
        selection = Selection(only_failed=only_failed)

        def act(*, dry: bool) -> Any:
            return acts.clear(parts.store, dag_id, run_id, selection, by, newest=newest, dry=dry)

        if not dry_run and not yes:
            approve(f"Clear {len(act(dry=True).affected)} task instances?", yes=yes, destructive=True)
        plan = act(dry=dry_run)
    tell_plan(output, plan_shape(dag_id, run_id, "clear", plan, dry_run=dry_run))


@click.command()
@dag_argument
@run_argument
@click.argument("state", type=click.Choice(["success", "failed"]))
@why_option
@dry_run_option
@output_option
@yes_option
def mark(dag_id: str, run_id: str, state: str, why: str, output: str, *, dry_run: bool, yes: bool) -> None:
    """End a run as success or failed, whatever it did; what runs is stopped."""
    from tradewind.api.usecases import acts
    from tradewind.domain.states import TaskState

    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)
        target = TaskState(state)
        if not dry_run and not yes:
            affected = acts.mark_run(parts.store, dag_id, run_id, target, by, dry=True).affected
            approve(f"End it as {state}, with {len(affected)} unfinished tasks?", yes=yes, destructive=True)
        plan = acts.mark_run(parts.store, dag_id, run_id, target, by, dry=dry_run)
    tell_plan(output, plan_shape(dag_id, run_id, f"mark {state}", plan, dry_run=dry_run))
