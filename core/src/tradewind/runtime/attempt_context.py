"""What a claimed attempt is told of its run."""

from __future__ import annotations

from collections.abc import Iterable

from tradewind.domain.records import InstanceRow, RunRow, format_map_index
from tradewind.domain.spec import (
    ConcatInput,
    DagSpec,
    ExpandInput,
    ExpandSpec,
    LiteralInput,
    MapInput,
    RefInput,
    TaskSpec,
    ZipInput,
)
from tradewind.ports.runtime_api import TaskContext


def build_context(
    run: RunRow,
    row: InstanceRow,
    spec: DagSpec,
    task: TaskSpec,
    *,
    source: tuple[str, str],
    lengths: dict[str, dict[str, int]],
    previous_success: RunRow | None,
) -> TaskContext:
    """Return the context of the attempt that ``row`` describes after its claim."""
    file, sha = source
    previous = previous_success
    return TaskContext(
        instance_id=row.id,
        token=row.token,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_pk=run.pk,
        task_id=row.task_id,
        version_id=run.version_id,
        file=file,
        source_sha=sha,
        run_type=str(run.run_type),
        logical_date=run.logical_date,
        run_after=run.run_after,
        interval_start=run.interval_start,
        interval_end=run.interval_end,
        map_index=row.map_index,
        try_number=row.try_number,
        tries_max=row.tries_max,
        conf=run.conf,
        params=run.params,
        run_started_at=run.started_at,
        first_started_at=row.first_started_at,
        prev_logical_date_success=previous.logical_date if previous else None,
        prev_interval_start_success=previous.interval_start if previous else None,
        prev_interval_end_success=previous.interval_end if previous else None,
        prev_started_at_success=previous.started_at if previous else None,
        lengths=lengths,
        resume=row.resume,
        triggered_by=run.triggered_by,
        dag_tags=spec.tags,
        timeout_seconds=task.timeout_seconds,
        at_most_once=task.at_most_once,
    )


def mapped_over(spec: DagSpec, task: TaskSpec) -> set[str]:
    """Return the ids of the tasks whose XComs this task's mapping, or that of a group around it, expands over."""
    expands: list[ExpandSpec] = [task.expand] if task.expand else []
    groups = {group.group_id: group for group in spec.groups}
    group_id = task.group
    while group_id is not None:
        group = groups[group_id]
        if group.expand:
            expands.append(group.expand)
        group_id = group.parent
    found: set[str] = set()
    for expand in expands:
        for _name, source in expand.inputs:
            _collect(source, found)
    return found


def _collect(source: ExpandInput, found: set[str]) -> None:
    match source:
        case RefInput(task_id=task_id):
            found.add(task_id)
        case MapInput(source=inner):
            _collect(inner, found)
        case ZipInput(sources=inners) | ConcatInput(sources=inners):
            for inner in inners:
                _collect(inner, found)
        case LiteralInput():
            pass


def lengths_by_name(rows: Iterable[InstanceRow]) -> dict[str, dict[str, int]]:
    """Return the lengths of those instances by name: ``"task_id"`` or ``"task_id[3]"``."""
    named: dict[str, dict[str, int]] = {}
    for row in rows:
        if row.lengths:
            index = f"[{format_map_index(row.map_index)}]" if row.map_index else ""
            named[f"{row.task_id}{index}"] = row.lengths
    return named
