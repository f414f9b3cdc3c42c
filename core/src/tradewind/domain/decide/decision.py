"""The decision: one pure function from the world and the time to everything that has to happen now.

Theory of operation
-------------------
:func:`decide` moves the world forward until nothing more follows, and returns the difference as one
:class:`~tradewind.domain.records.Batch` of guarded writes. The same world and time give the same decision.

1. What is due: ticks make runs, retries and reschedules come back, time limits strike.
2. Until nothing is left: queued runs start; mappings whose lengths are known are expanded; rules that may say
   something new are asked; runs that cannot move are ended.
3. Admission gives slots, in order; who gets one has a new token and a :class:`Dispatch`.

A dispatch must not be handed over before the batch is committed. When the commit is refused, nothing of the
decision holds: drop ``touched_runs``, load them (and ``touched_dags``) again, repeat the inbox, decide again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from heapq import heappop

import msgspec

from tradewind.domain.decide.batch import take_batch
from tradewind.domain.decide.expand import expand_group
from tradewind.domain.decide.ready import line_up, look, make_ready
from tradewind.domain.decide.retries import check_group
from tradewind.domain.decide.runs import fail_fast, finish_run, start_runs, time_out
from tradewind.domain.decide.schedule import RUN_PKS_RESERVE, make_due_runs
from tradewind.domain.graph import Scope
from tradewind.domain.records import Batch, MapIndex
from tradewind.domain.states import TERMINAL_RUN_STATES, TaskEvent, TaskState
from tradewind.domain.world import World
from tradewind.domain.world.live import Instance, Run
from tradewind.domain.world.slots import Gate


class Dispatch(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that may be handed to its executor once the batch is committed."""

    instance_id: int
    token: int
    dag_id: str
    run_id: str
    task_id: str
    version_id: int
    executor: str
    map_index: MapIndex = ()
    try_number: int = 1
    queue: str | None = None
    priority: int = 0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from the world as it is now."""

    batch: Batch
    dispatches: tuple[Dispatch, ...] = ()
    cancels: tuple[tuple[int, int, str], ...] = ()  # (instance id, token, executor): end these attempts
    wake_at: datetime | None = None  # decide again then; None: when something happens
    touched_runs: tuple[int, ...] = ()  # to be loaded again if the commit fails
    touched_dags: tuple[str, ...] = ()
    need_previous: tuple[int, ...] = ()  # runs whose previous run World.set_previous should tell
    troubles: tuple[tuple[int, Exception], ...] = ()  # runs set aside because deciding on them failed: log it
    need_run_pks: int = 0  # how many run keys World.run_pks should get

    def __bool__(self) -> bool:
        """Whether there is anything to do now."""
        return bool(self.batch or self.dispatches or self.cancels or self.need_previous or self.need_run_pks)


def decide(world: World, now: datetime) -> Decision:
    """Move the world to what ``now`` makes of it, and return what has to be written and done."""
    _take_due(world, now)
    dispatches = [_dispatch(i) for i in world.redispatch if i.state is TaskState.QUEUED and not i.run.ended]
    world.redispatch.clear()
    _make_runs(world, now)
    _follow(world, now)
    while True:
        dispatches.extend(_admit(world, now))
        if not _follow(world, now):
            break
    _wake_for_rates(world, now)
    touched_runs = tuple(world.unsettled)
    ended = [run for run in world.unsettled.values() if run.row.state in TERMINAL_RUN_STATES]
    touched_dags = tuple(world.dag_writes)
    batch = take_batch(world)
    for run in ended:
        world.detach(run)
    cancels = tuple(world.cancels)
    world.cancels.clear()
    need = max(0, RUN_PKS_RESERVE - world.run_pks_left) if world.lacking else 0
    return Decision(
        batch=batch,
        dispatches=tuple(dispatches),
        cancels=cancels,
        wake_at=now if world.has_work else world.wakes.next_at(),
        touched_runs=touched_runs,
        touched_dags=touched_dags,
        need_previous=tuple(world.need_previous),
        troubles=tuple(world.troubles_taken()),
        need_run_pks=need,
    )


@contextmanager
def _alone(world: World, run: Run) -> Iterator[None]:
    """Keep what goes wrong with one run from stopping the others: that run is set aside and reported."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever a bug or a row that should not be has led to
        world.set_aside(run, error)


def _take_due(world: World, now: datetime) -> None:
    """Let happen what was waited for until now."""
    while (due := world.wakes.pop_due(now)) is not None:
        at, kind, what = due
        if kind == "instance":
            _come_back(world, what, at, now)
        elif kind == "dag":
            known = world.dags.get(what.dag_id)
            if known is not None and known is what:
                known.wake_at = None  # the clock may be set back, and then it has to be waited for again
                world.due_dags[known.dag_id] = known
        elif kind == "run":
            what.woken_at = None
            world.starting[what.dag.dag_id] = what.dag
        elif kind == "timeout":
            with _alone(world, what):
                time_out(world, what, at, now)
        elif kind == "rate":
            what.let_all_lanes_back(max(0, what.room(now)))


def _come_back(world: World, instance: Instance, at: datetime, now: datetime) -> None:
    """Let an instance go on whose retry, reschedule or delay after a loss is over."""
    run: Run = instance.run
    if run.ended or instance.cell is None or (instance.wake_at or at) != at:
        return
    if instance.state is TaskState.UP_FOR_RETRY or instance.state is TaskState.UP_FOR_RESCHEDULE:
        make_ready(world, instance)
        if run.may_start:
            line_up(world, instance, now)
    elif instance.state is TaskState.SCHEDULED and instance.wake_at is not None:
        world.touch(instance)
        instance.wake_at = None
        if run.may_start:
            line_up(world, instance, now)


def _make_runs(world: World, now: datetime) -> None:
    due = list(world.due_dags.values())
    world.due_dags.clear()
    for scheduled in due:
        make_due_runs(world, scheduled, now)


def _follow(world: World, now: datetime) -> bool:
    """Do everything that follows from what has changed; False when nothing had changed."""
    moved = False
    while _follow_tasks(world, now) or _follow_runs(world, now):
        moved = True
    return moved


def _follow_tasks(world: World, now: datetime) -> bool:
    """Do the next kind of thing that follows for task instances; False when there is none."""
    if world.ready:
        ready, world.ready = world.ready, []
        for instance in ready:
            if instance.state is TaskState.SCHEDULED and instance.run.may_start:
                line_up(world, instance, now)
    elif world.failing:
        _, (run, failed) = world.failing.popitem()
        with _alone(world, run):
            fail_fast(world, run, failed, now)
    elif world.expansions:
        known, world.expansions = world.expansions, {}
        for (_, scope, prefix), run in sorted(known.items(), key=_in_graph_order):
            with _alone(world, run):
                expand_group(world, run, scope, prefix, now)
    elif world.checks:
        checks = world.checks
        while checks:
            cell = heappop(checks)[4]
            cell.checking = False
            try:
                look(world, cell, now)
            except Exception as error:  # noqa: BLE001 - see _alone; this is the hot path
                world.set_aside(cell.node.run, error)
    elif world.group_checks:
        ended, world.group_checks = world.group_checks, {}
        for (_, name, prefix), run in sorted(ended.items(), key=_inner_groups_first):
            with _alone(world, run):
                check_group(world, run, name, prefix)
    else:
        return False
    return True


def _follow_runs(world: World, now: datetime) -> bool:
    """Start and end runs, when nothing follows for instances any more; False when nothing changed."""
    if world.starting:
        starting, world.starting = world.starting, {}
        for waiting in starting.values():
            start_runs(world, waiting, now)
    elif world.checked_runs:
        checked, world.checked_runs = world.checked_runs, {}
        for run in checked.values():
            with _alone(world, run):
                finish_run(world, run, now)
    else:
        return False
    return True


def _in_graph_order(item: tuple[tuple[int, Scope, MapIndex], Run]) -> tuple[int, int, int, MapIndex]:
    pk, scope, prefix = item[0]
    return pk, scope.tasks[0], scope.position, prefix


def _inner_groups_first(item: tuple[tuple[int, str, MapIndex], Run]) -> tuple[int, int, str, MapIndex]:
    """Order groups in which all have ended: if an inner one is tried again, those around it have not ended."""
    (pk, name, prefix), run = item
    return pk, -sum(1 for _ in run.graph.group_chain(name)), name, prefix


def _admit(world: World, now: datetime) -> list[Dispatch]:
    """Give slots to those that are next."""
    dispatches: list[Dispatch] = []
    for instance, problem in world.admission.pick(now):
        if problem is not None:
            world.move(instance, TaskEvent.FAIL, problem)
            instance.ended_at = now
            continue
        world.touch(instance)
        instance.executor = None
        instance.token += 1
        instance.queued_at = now
        instance.started_at = instance.ended_at = instance.worker = instance.claimant = None
        world.move(instance, TaskEvent.ADMIT)
        instance.executor = instance.holds.executor.name
        world.admission.count_start(instance)
        dispatches.append(_dispatch(instance))
    return dispatches


def _dispatch(instance: Instance) -> Dispatch:
    row = instance.run.row
    return Dispatch(
        instance_id=instance.id,
        token=instance.token,
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=instance.task_id,
        version_id=row.version_id,
        executor=instance.executor or "",
        map_index=instance.map_index,
        try_number=instance.try_number,
        queue=instance.queue,
        priority=instance.priority,
    )


def _wake_for_rates(world: World, now: datetime) -> None:
    rated: dict[int, Gate] = {id(gate): gate for gate in world.admission.rated}
    world.admission.rated.clear()
    for gate in rated.values():
        at = gate.opens_at()
        if at is not None:
            world.wakes.add(max(at, now), "rate", gate)
