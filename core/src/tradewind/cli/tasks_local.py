"""``tradewind tasks test`` and ``render``: one task tried in this process, and the arguments an attempt was given."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tradewind.cli import installation
from tradewind.cli.options import (
    CONF,
    INSTANT,
    MAP_INDEX,
    dag_argument,
    output_option,
    run_argument,
    task_argument,
)
from tradewind.cli.output import Column, emit, show_rows, terminal

if TYPE_CHECKING:
    from tradewind.domain.spec import DagSpec, TaskSpec

WAIT_SECONDS_MAX = 3600.0  # what a sensor in poke mode may wait between two looks


@click.command()
@dag_argument
@run_argument
@task_argument
@click.option("--map-index", type=MAP_INDEX, default=None, help="Of a mapped task: 3, or 3.0.")
@output_option
def render(dag_id: str, run_id: str, task_id: str, map_index: tuple[int, ...] | None, output: str) -> None:
    """Show the arguments of a task as its last attempt in a run rendered them."""
    from tradewind.api.usecases.task_views import show_task

    with installation.parts() as parts:
        found = show_task(parts.store, dag_id, run_id, task_id, map_index)
    if len(found) > 1:
        raise click.UsageError(
            f'Task "{task_id}" is mapped: choose one of its {len(found)} instances with --map-index.'
        )
    fields = found[0]["rendered"]
    rows = [{"field": name, "value": text} for name, text in fields.items()]
    columns = (Column("Field", "field"), Column("Value", "value"))
    empty = "No attempt has rendered any arguments yet."
    emit(
        output,
        fields,
        lambda: show_rows("table", rows, columns, empty=empty),
        lambda: show_rows("plain", rows, columns),
    )


@click.command()
@dag_argument
@task_argument
@click.option("--at", type=INSTANT, default=None, help="The logical date (default: now).")
@click.option("--conf", type=CONF, default=None, help="Params of the run, or @FILE.")
@click.option("--map-index", type=MAP_INDEX, default=None, help="Of a mapped task (default: 0).")
@click.option("--xcom", "xcoms", multiple=True, metavar="TASK=JSON", help="What an upstream task returned.")
@click.option(
    "--file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="The file that makes the DAG (default: found in the DAG folder).",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show the task's log.")
@output_option
def test(
    dag_id: str,
    task_id: str,
    at: datetime | None,
    conf: dict[str, Any] | None,
    map_index: tuple[int, ...] | None,
    xcoms: tuple[str, ...],
    file: Path | None,
    output: str,
    *,
    quiet: bool,
) -> int:
    """Run one task once in this process. Exit 0 when it succeeds, skips or waits, 1 when it fails."""
    from tradewind.authoring.compile import compile_dag
    from tradewind.dagbag.check import find_dag_file
    from tradewind.dagbag.load import load_dag_in_process
    from tradewind.plugins.registry import load_registry

    settings = installation.settings()
    found = file or find_dag_file(dag_id, folder=settings.dags_path, plugins_folder=settings.plugins_path)
    registry = load_registry(settings.plugins_path, disabled=settings.plugins.disabled)
    dag = load_dag_in_process(found, dag_id, folder=settings.dags_path, names=registry.template_names())
    spec, _hash = compile_dag(dag)
    task = _task(spec, task_id)
    if not quiet:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)-7s %(message)s")
    report = _attempt(dag, spec, task, at, conf, map_index, _pushed(xcoms))
    shown = {
        "dag_id": dag_id,
        "task_id": task_id,
        "outcome": report.kind.value,
        "reason": report.reason,
        "xcoms": {key: json.loads(text) for key, text in report.xcoms.items()},
    }
    emit(output, shown, lambda: _people(shown))
    return 1 if report.kind.value in {"failed", "error"} else 0


def _task(spec: DagSpec, task_id: str) -> TaskSpec:
    from difflib import get_close_matches

    from tradewind.errors import NotFoundError

    known = {task.task_id: task for task in spec.tasks}
    if task_id not in known:
        near = get_close_matches(task_id, known, n=3) or list(known)[:20]
        raise NotFoundError(f'DAG "{spec.dag_id}" has no task "{task_id}". Its tasks: {", ".join(near)}')
    return known[task_id]


def _pushed(texts: tuple[str, ...]) -> dict[str, Any]:
    pushed = {}
    for text in texts:
        task_id, sign, value = text.partition("=")
        try:
            pushed[task_id] = json.loads(value)
        except ValueError:
            sign = ""
        if not sign:
            raise click.UsageError(f"--xcom {text!r} must be TASK=JSON, for example 'extract=[1, 2]'.")
    return pushed


def _attempt(
    dag: Any,
    spec: DagSpec,
    task: TaskSpec,
    at: datetime | None,
    conf: dict[str, Any] | None,
    map_index: tuple[int, ...] | None,
    pushed: dict[str, Any],
) -> Any:
    """Run the task as the first try of a run that nobody stored, and return its report."""
    import msgspec

    from tradewind.domain.actions import create_run
    from tradewind.domain.graph import Graph
    from tradewind.domain.records import DagRow, InstanceRow, instance_id
    from tradewind.domain.states import TaskState
    from tradewind.executors.inline import InlineExecutor
    from tradewind.runtime.attempt_context import build_context
    from tradewind.runtime.clock import SystemClock
    from tradewind.runtime.task.local_data import LocalData, LocalStore

    clock = SystemClock()
    now = clock.now()
    row = DagRow(dag_id=spec.dag_id, file=spec.file, version_id=1, version_number=1, first_seen_at=now)
    (write,) = create_run(row, spec, pk=1, now=now, actor="test", logical_date=at, conf=conf).runs
    depth = Graph(spec).task(task.task_id).depth
    instance = InstanceRow(
        id=instance_id(1, 0),
        run_pk=1,
        task_id=task.task_id,
        map_index=map_index or (0,) * depth,
        state=TaskState.RUNNING,
        token=1,
        try_number=1,
        tries_max=task.retry.retries + 1,
        started_at=now,
        first_started_at=now,
    )
    run = msgspec.structs.replace(write.row, started_at=now)
    store = LocalStore(connection=_lookup("connection_get"), variable=_lookup("variable_get"))
    lengths: dict[str, dict[str, int]] = {}
    for name, value in pushed.items():
        store.put(name, (), {"return_value": json.dumps(value)})
        if isinstance(value, list | dict):
            lengths[name] = {"return_value": len(value)}
    context = build_context(
        run, instance, spec, task, source=(spec.file, ""), lengths=lengths, previous_success=None
    )
    waits = _Waits()
    executor = InlineExecutor(clock, waits.wait)
    return executor.run(dag, context, LocalData(store, instance.task_id, instance.map_index))


class _Waits:
    """Really waits, as a sensor does between two looks."""

    def wait(self, seconds: float) -> None:
        """Let real seconds pass; Ctrl-C ends it."""
        import select

        select.select([], [], [], min(max(0.0, seconds), WAIT_SECONDS_MAX))


def _lookup(verb: str) -> Callable[[str], Any]:
    """Return a look-up of connections or variables in this installation, if there is one."""

    def look(name: str) -> Any:
        from tradewind.errors import ConfigError, MetastoreError

        with suppress(MetastoreError, ConfigError), installation.parts() as parts:
            return getattr(parts.secrets, verb)(name)
        return None

    return look


def _people(shown: dict[str, Any]) -> None:
    why = f": {shown['reason']}" if shown["reason"] else ""
    click.echo(f"{terminal.styled(shown['task_id'], 'bold')} {shown['outcome']}{why}")
    for key, value in shown["xcoms"].items():
        click.echo(f"  {key} = {json.dumps(value, ensure_ascii=False)}")
