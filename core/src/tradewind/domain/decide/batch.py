"""The batch of a decision: one guarded write per row that was touched, and one event per change of state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tradewind.domain.records import Batch, DagWrite, EventRow, Guard, InstanceWrite, RunWrite
from tradewind.domain.states import TaskState

if TYPE_CHECKING:
    from tradewind.domain.world import World
    from tradewind.domain.world.live import Instance

_TASK_KINDS = {state: f"task.{state}" for state in TaskState}


def take_batch(world: World) -> Batch:
    """Return everything that was touched since the last decision, and forget that it was."""
    events: list[EventRow] = []
    runs: list[RunWrite] = []
    checks: list[tuple[int, int]] = []
    for run in list(world.unsettled.values()):
        run.unsettled = run.answering = False
        if run.row.instances != run.next_ordinal:
            world.change_run(run, instances=run.next_ordinal)
            run.unsettled = False
        if not run.touched:
            checks.append((run.pk, run.row.revision))
            continue
        runs.append(RunWrite(row=run.row, guard=None if run.fresh else run.committed_state))
        if run.fresh or run.row.state is not run.committed_state:
            data = {"reason": run.row.reason} if run.row.reason else {}
            row = run.row
            events.append(
                EventRow(
                    kind=f"run.{row.state}", dag_id=row.dag_id, run_pk=row.pk, run_id=row.run_id, data=data
                )
            )
        if not run.fresh:
            run.row = msgspec.structs.replace(run.row, revision=run.row.revision + 1)
        run.touched = run.fresh = False
        run.committed_state = run.row.state
    writes = [_write(one, events) for one in world.touched if one.touched and not one.run.ended]
    batch = Batch(
        runs=tuple(runs),
        instances=tuple(writes),
        removed=tuple(world.removed),
        attempts=tuple(world.attempts),
        xcoms=tuple(world.xcoms),
        xcoms_cleared=tuple(world.xcoms_cleared),
        dags=tuple(DagWrite(row=row, guard_cursor_at=guard) for row, guard in world.dag_writes.values()),
        events=(*world.events, *events),
        checks=tuple(checks),
    )
    _forget(world)
    return batch


def _write(instance: Instance, events: list[EventRow]) -> InstanceWrite:
    fresh, state = instance.fresh, instance.state
    if state is not instance.committed_state:
        run = instance.run.row
        data: dict[str, object] = {"try_number": instance.try_number}
        if instance.reason:
            data["reason"] = instance.reason
        events.append(
            EventRow(
                kind=_TASK_KINDS[state],
                dag_id=run.dag_id,
                run_pk=run.pk,
                run_id=run.run_id,
                instance_id=instance.id,
                task_id=instance.task_id,
                map_index=instance.map_index,
                data=data,
            )
        )
    write = InstanceWrite(
        row=instance.row(),
        guard=None if fresh else Guard(instance.committed_state, instance.committed_token),
        lease_seconds=instance.lease_seconds,
        lease_expired=instance.lease_expired,
    )
    instance.touched = instance.fresh = instance.lease_expired = False
    instance.lease_seconds = None
    instance.committed_state = state
    return write


def _forget(world: World) -> None:
    for pending in (
        world.touched,
        world.removed,
        world.attempts,
        world.xcoms,
        world.xcoms_cleared,
        world.events,
    ):
        pending.clear()
    world.unsettled.clear()
    world.dag_writes.clear()
