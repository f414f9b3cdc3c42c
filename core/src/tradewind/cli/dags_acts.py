"""``tradewind dags trigger``, ``pause``, ``unpause``, ``delete``: what changes DAGs or starts their runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from tradewind.cli import installation
from tradewind.cli.options import (
    CONF,
    INSTANT,
    SECONDS,
    approve,
    dag_argument,
    harmless_yes_option,
    output_option,
    why_option,
    yes_option,
)
from tradewind.cli.output import done


@click.command()
@dag_argument
@click.option("--conf", type=CONF, default=None, help="Params of the run, or @FILE.")
@click.option("--logical-date", type=INSTANT, default=None, help="The instant the run is for (default: now).")
@click.option(
    "--run-id", default=None, metavar="ID", help="Its name; a run that has it already is shown, not doubled."
)
@click.option("--run-after", type=INSTANT, default=None, help="Do not start before that instant.")
@click.option("--priority", type=int, default=0, help="Before runs of a lower one.")
@click.option("--note", default="", metavar="TEXT", help="Kept with the run.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit 0 on success, 1 on failed or cancelled.")
@click.option("--timeout", type=SECONDS, default=None, help="Wait no longer than that; then exit 1.")
@output_option
@harmless_yes_option
def trigger(
    dag_id: str,
    conf: dict[str, Any] | None,
    logical_date: datetime | None,
    run_id: str | None,
    run_after: datetime | None,
    priority: int,
    note: str,
    timeout: float | None,
    output: str,
    *,
    wait: bool,
) -> int:
    """Start a run now. A paused DAG takes it, too."""
    from tradewind.api.usecases.acts import By, trigger
    from tradewind.api.usecases.shapes import run_shape
    from tradewind.cli.following import await_run, tell_end

    if timeout is not None and not wait:
        raise click.UsageError("--timeout says how long to wait; it needs --wait.")
    with installation.parts(listen=wait) as parts:
        run, created = trigger(
            parts.store,
            dag_id,
            By(installation.actor(), parts.clock.now()),
            run_id=run_id,
            logical_date=logical_date,
            run_after=run_after,
            conf=conf,
            note=note,
            priority=priority,
        )
        if wait:
            return tell_end(await_run(parts, run, timeout=timeout), output)
    how = "Triggered" if created else "There is already"
    look = f"tradewind runs watch {run.dag_id} {run.run_id}"
    done(output, run_shape(run), f"{how} {run.dag_id} / {run.run_id} ({run.state}). Look on: {look}")
    return 0


@click.command()
@dag_argument
@click.option("--hold", is_flag=True, help="Its active runs start no new tasks either.")
@why_option
@output_option
@harmless_yes_option
def pause(dag_id: str, why: str, output: str, *, hold: bool) -> None:
    """Stop a DAG's schedule. Active runs finish, and manual ones still go."""
    from tradewind.api.usecases.acts import By, pause_dag

    with installation.parts() as parts:
        changed = pause_dag(parts.store, dag_id, By(installation.actor(), parts.clock.now(), why), hold=hold)
    sentence = f"{dag_id} is paused{' and held' if hold else ''}" + ("." if changed else " already.")
    done(output, {"dag_id": dag_id, "paused": True, "held": hold, "changed": changed}, sentence)


@click.command()
@dag_argument
@why_option
@output_option
@harmless_yes_option
def unpause(dag_id: str, why: str, output: str) -> None:
    """Let a DAG's schedule go on."""
    from tradewind.api.usecases.acts import By, unpause_dag

    with installation.parts() as parts:
        changed = unpause_dag(parts.store, dag_id, By(installation.actor(), parts.clock.now(), why))
    sentence = f"{dag_id} goes on." if changed else f"{dag_id} was not paused."
    done(output, {"dag_id": dag_id, "paused": False, "held": False, "changed": changed}, sentence)


@click.command()
@dag_argument
@output_option
@yes_option
def delete(dag_id: str, output: str, *, yes: bool) -> None:
    """Delete a DAG with all its runs. While its file is there, it comes back without them."""
    from tradewind.api.trigger import find_dag
    from tradewind.api.usecases.acts import By, delete_dag

    with installation.parts() as parts:
        find_dag(parts.store, dag_id)
        approve(f'Delete DAG "{dag_id}" with all its runs?', yes=yes, destructive=True)
        delete_dag(parts.store, dag_id, By(installation.actor(), parts.clock.now()))
    done(output, {"dag_id": dag_id, "deleted": True}, f"Deleted {dag_id} with its runs.")
