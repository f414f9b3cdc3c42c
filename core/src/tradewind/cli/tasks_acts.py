"""``tradewind tasks clear``, ``mark``, ``hold``, ``release``, ``run``: what people do to tasks of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from tradewind.cli import installation
from tradewind.cli.options import (
    MAP_INDEX,
    SECONDS,
    approve,
    dag_argument,
    harmless_yes_option,
    output_option,
    run_argument,
    task_argument,
    why_option,
    yes_option,
)
from tradewind.cli.plans import dry_run_option, plan_shape, tell_plan

Command = TypeVar("Command", bound=Callable[..., Any])


def _selecting(command: Command) -> Command:
    """Add what says which instances are meant beside the named one."""
    for option in (
        click.option("--map-index", type=MAP_INDEX, default=None, help="Only that index of a mapped task."),
        click.option("--upstream", is_flag=True, help="And all tasks before it."),
        click.option("--downstream", is_flag=True, help="And all tasks after it."),
        click.option(
            "--only-failed", is_flag=True, help="Of these only what failed or could not run because of that."
        ),
        click.option("--past", is_flag=True, help="Also in runs of earlier logical dates."),
        click.option("--future", is_flag=True, help="Also in runs of later logical dates."),
    ):
        command = option(command)
    return command


def _selection(task_id: str, options: dict[str, Any]) -> Any:
    from tradewind.domain.actions import Selection

    return Selection(
        tasks=(task_id,),
        map_index=options["map_index"] or (),
        upstream=options["upstream"],
        downstream=options["downstream"],
        only_failed=options["only_failed"],
    )


@click.command()
@dag_argument
@run_argument
@task_argument
@_selecting
@click.option("--newest", is_flag=True, help="Move the run to the DAG's newest version first.")
@why_option
@dry_run_option
@output_option
@yes_option
def clear(
    dag_id: str,
    run_id: str,
    task_id: str,
    why: str,
    output: str,
    *,
    newest: bool,
    dry_run: bool,
    yes: bool,
    **options: Any,
) -> None:
    """Let a task start afresh, with a fresh set of tries. An ended run goes on."""
    from tradewind.api.usecases import acts

    selection = _selection(task_id, options)
    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)

        def act(run: str, *, dry: bool) -> Any:
            return acts.clear(parts.store, dag_id, run, selection, by, newest=newest, dry=dry)

        shapes = _in_runs(parts, dag_id, run_id, "clear", act, options, dry_run=dry_run, yes=yes)
    tell_plan(output, *shapes)


@click.command()
@dag_argument
@run_argument
@task_argument
@click.argument("state", type=click.Choice(["success", "failed"]))
@_selecting
@why_option
@dry_run_option
@output_option
@yes_option
def mark(
    dag_id: str,
    run_id: str,
    task_id: str,
    state: str,
    why: str,
    output: str,
    *,
    dry_run: bool,
    yes: bool,
    **options: Any,
) -> None:
    """End a task as success or failed, whatever it did; the run goes on from there."""
    from tradewind.api.usecases import acts
    from tradewind.domain.states import TaskState

    selection = _selection(task_id, options)
    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)

        def act(run: str, *, dry: bool) -> Any:
            return acts.mark_tasks(parts.store, dag_id, run, selection, TaskState(state), by, dry=dry)

        shapes = _in_runs(parts, dag_id, run_id, f"mark {state}", act, options, dry_run=dry_run, yes=yes)
    tell_plan(output, *shapes)


@click.command()
@dag_argument
@run_argument
@task_argument
@click.option("--map-index", type=MAP_INDEX, default=None, help="Only that index of a mapped task.")
@why_option
@output_option
@harmless_yes_option
def hold(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: tuple[int, ...] | None,
    why: str,
    output: str,
) -> None:
    """Keep a task of a run from starting until it is released."""
    _hold(dag_id, run_id, task_id, map_index, why, output, held=True)


@click.command()
@dag_argument
@run_argument
@task_argument
@click.option("--map-index", type=MAP_INDEX, default=None, help="Only that index of a mapped task.")
@why_option
@output_option
@harmless_yes_option
def release(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: tuple[int, ...] | None,
    why: str,
    output: str,
) -> None:
    """Let a held task start again."""
    _hold(dag_id, run_id, task_id, map_index, why, output, held=False)


@click.command()
@dag_argument
@run_argument
@task_argument
@click.option("--map-index", type=MAP_INDEX, default=None, help="Only that index of a mapped task.")
@click.option("--wait", is_flag=True, help="Wait for the run's end; exit 0 on success, 1 otherwise.")
@click.option("--timeout", type=SECONDS, default=None, help="Wait no longer than that.")
@why_option
@output_option
@yes_option
def run(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: tuple[int, ...] | None,
    timeout: float | None,
    why: str,
    output: str,
    *,
    wait: bool,
    yes: bool,
) -> int:
    """Run one task of a run again, and nothing else but what that lets go on."""
    from tradewind.api.usecases import acts
    from tradewind.api.usecases.find import find_run
    from tradewind.cli.following import await_run, tell_end
    from tradewind.domain.actions import Selection

    with installation.parts(listen=wait) as parts:
        found = find_run(parts.store, dag_id, run_id)
        approve(f'Run task "{task_id}" of {found.run_id} again?', yes=yes, destructive=True)
        by = acts.By(installation.actor(), parts.clock.now(), why)
        selection = Selection(tasks=(task_id,), map_index=map_index or ())
        plan = acts.clear(parts.store, dag_id, found.run_id, selection, by)
        if wait:
            return tell_end(await_run(parts, found, timeout=timeout), output)
    tell_plan(output, plan_shape(dag_id, found.run_id, "run", plan))
    return 0


def _hold(
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: tuple[int, ...] | None,
    why: str,
    output: str,
    *,
    held: bool,
) -> None:
    from tradewind.api.usecases import acts
    from tradewind.domain.actions import Selection

    with installation.parts() as parts:
        by = acts.By(installation.actor(), parts.clock.now(), why)
        selection = Selection(tasks=(task_id,), map_index=map_index or ())
        plan = acts.hold_tasks(parts.store, dag_id, run_id, selection, by, held=held)
    tell_plan(output, plan_shape(dag_id, run_id, "hold" if held else "release", plan))


def _in_runs(
    parts: Any,
    dag_id: str,
    run_id: str,
    name: str,
    act: Callable[..., Any],
    options: dict[str, Any],
    *,
    dry_run: bool,
    yes: bool,
) -> list[dict[str, Any]]:
    """Act on the run, and with --past and --future on its neighbours; ask before."""
    from tradewind.api.usecases.acts import runs_around
    from tradewind.api.usecases.find import find_run

    found = find_run(parts.store, dag_id, run_id)
    names = [
        one.run_id for one in runs_around(parts.store, found, past=options["past"], future=options["future"])
    ]
    if not dry_run and not yes:
        count = sum(len(act(one, dry=True).affected) for one in names)
        where = f" in {len(names)} runs" if len(names) > 1 else ""
        approve(f"{name.capitalize()} {count} task instances{where}?", yes=yes, destructive=True)
    return [plan_shape(dag_id, one, name, act(one, dry=dry_run), dry_run=dry_run) for one in names]
