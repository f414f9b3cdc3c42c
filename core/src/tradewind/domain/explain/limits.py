"""Why a task instance that is ready has no slots yet: pools, limits, executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from tradewind.domain.explain.facts import Facts, Holder
from tradewind.domain.explain.words import at_and_in, full_name, plural, some
from tradewind.domain.graph import GraphTask
from tradewind.domain.limit_keys import limit_key
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.domain.spec import KeyedLimit


def limit_reasons(
    facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask, now: datetime
) -> list[Reason]:
    """Return every limit that stops an instance now, each with who holds it; empty when there is room."""
    found = [
        _executor(facts, row, task),
        _pool(facts, row),
        *_counted_limits(facts, run, row, task),
        *(_keyed(facts, run, task, limit, now) for limit in task.spec.limits),
    ]
    reasons = [reason for reason in found if reason is not None]
    if not reasons:
        ahead = _line(facts, run, row)
        reasons += [ahead] if ahead else []
    return reasons


def no_worker(facts: Facts, row: InstanceRow, task: GraphTask | None) -> Reason | None:
    """Return that nothing would run it: its executor is not there or has no live worker; None if it has."""
    executor = facts.executor_of(row, task)
    known = facts.executors.get(executor)
    if known is not None and known.workers:
        return None
    if known is None:
        there = ", ".join(sorted(facts.executors)) or "none"
        message = f'nobody serves the executor "{executor}". Executors now: {there}'
    else:
        message = f'executor "{executor}" has no live worker{": " + known.detail if known.detail else ""}'
    return Reason(kind=ReasonKind.NO_WORKER, message=message, data={"executor": executor})


def _executor(facts: Facts, row: InstanceRow, task: GraphTask) -> Reason | None:
    missing = no_worker(facts, row, task)
    if missing is not None:
        return missing
    executor = facts.executor_of(row, task)
    slots = facts.executors[executor].slots
    held = [one for one in facts.holders() if (one.row.executor or facts.default_executor) == executor]
    if len(held) < slots:
        return None
    return Reason(
        kind=ReasonKind.EXECUTOR_FULL,
        message=f'executor "{executor}" is full ({len(held)} of {plural(slots, "slot")}): held by {_told(held)}',
        data={"executor": executor, "slots": slots, "used": len(held), "holders": _names(held)},
    )


def _pool(facts: Facts, row: InstanceRow) -> Reason | None:
    pool = facts.pools.get(row.pool)
    if pool is None:
        names = ", ".join(sorted(facts.pools)) or "none"
        return Reason(
            kind=ReasonKind.POOL_MISSING,
            message=f'pool "{row.pool}" does not exist. Pools: {names}. '
            f"Create it: `tradewind pools set {row.pool} {max(row.pool_slots, 1)}`",
            data={"pool": row.pool},
        )
    held = [one for one in facts.holders() if one.row.pool == row.pool]
    used = sum(one.row.pool_slots for one in held)
    if used + row.pool_slots <= pool.slots:
        return None
    state = (
        f"is full ({used} of {plural(pool.slots, 'slot')})"
        if used >= pool.slots
        else f"has {pool.slots - used} of {plural(pool.slots, 'slot')} free, and it needs {row.pool_slots}"
    )
    return Reason(
        kind=ReasonKind.POOL_FULL,
        message=f'pool "{row.pool}" {state}' + (f": held by {_told(held, slots=True)}" if held else ""),
        data={
            "pool": row.pool,
            "slots": pool.slots,
            "used": used,
            "needs": row.pool_slots,
            "holders": _names(held),
        },
    )


def _line(facts: Facts, run: RunRow, row: InstanceRow) -> Reason | None:
    """Return who stands before it in the line of its pool and needs more slots than are free: lines are kept."""
    slots = facts.pools[row.pool].slots
    free = slots - sum(one.row.pool_slots for one in facts.holders() if one.row.pool == row.pool)
    mine = _place_in_line(facts, Holder(row, run))
    before = [
        one
        for one in facts.ready()
        if one.row.pool == row.pool
        and one.row.id != row.id
        and free < one.row.pool_slots <= slots
        and _place_in_line(facts, one) <= mine
    ]
    if not before:
        return None
    first = min(before, key=lambda one: (_place_in_line(facts, one), one.row.id))
    return Reason(
        kind=ReasonKind.POOL_FULL,
        message=f'pool "{row.pool}" has {free} of {plural(slots, "slot")} free, but '
        f"{full_name(first.row, first.run)} stands before it in line and needs {first.row.pool_slots}",
        data={"pool": row.pool, "slots": slots, "used": slots - free, "before": _names(before)},
    )


def _place_in_line(facts: Facts, one: Holder) -> tuple[int, int, int, datetime]:
    """Return what admission sorts by; DAGs that are equal in it take turns, which rows do not tell."""
    return (-facts.graph_of(one.run).spec.priority, -one.run.priority, -one.row.priority, one.run.run_after)


def _counted_limits(facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask) -> Iterable[Reason | None]:
    spec = facts.graph_of(run).spec
    dag = [one for one in facts.holders() if one.run.dag_id == run.dag_id]
    here = [one for one in dag if one.run.pk == run.pk]
    same = [one for one in dag if one.row.task_id == row.task_id]
    label = f'DAG "{run.dag_id}"'
    yield _limit(ReasonKind.LIMIT_DAG_TASKS, label, spec.max_active_tasks, dag)
    yield _limit(ReasonKind.LIMIT_RUN_TASKS, "this run", spec.max_active_tasks_per_run, here)
    yield _limit(ReasonKind.LIMIT_TASK, f'task "{row.task_id}"', task.spec.max_active_tis_per_dag, same)


def _limit(kind: ReasonKind, label: str, limit: int | None, held: Sequence[Holder]) -> Reason | None:
    if limit is None or len(held) < limit:
        return None
    return Reason(
        kind=kind,
        message=f"{label} has {len(held)} of {kind.value}={limit} active: {_told(held)}",
        data={"limit": limit, "used": len(held), "holders": _names(held)},
    )


def _keyed(facts: Facts, run: RunRow, task: GraphTask, limit: KeyedLimit, now: datetime) -> Reason | None:
    key = limit_key(limit.key, run, task.task_id)
    shares = _sharers(facts, key)
    if limit.max is not None:
        held = [one for one in facts.holders() if shares(one)]
        if len(held) >= limit.max:
            return Reason(
                kind=ReasonKind.LIMIT_KEYED,
                message=f'the limit "{key}" has {len(held)} of max={limit.max} active: {_told(held)}',
                data={"key": key, "limit": limit.max, "used": len(held), "holders": _names(held)},
            )
    if limit.rate_count is None or limit.rate_seconds is None:
        return None
    within = timedelta(seconds=limit.rate_seconds)
    starts = sorted(
        row.queued_at
        for snapshot in facts.runs.values()
        for row in snapshot.instances
        if row.queued_at is not None and now - within < row.queued_at and shares(Holder(row, snapshot.run))
    )
    if len(starts) < limit.rate_count:
        return None
    until = starts[-limit.rate_count] + within
    return Reason(
        kind=ReasonKind.LIMIT_KEYED,
        message=f'the limit "{key}" lets {limit.rate_count} start in {limit.rate_seconds:g} s; '
        f"the next one at {at_and_in(until, now)}",
        until=until,
        data={"key": key, "rate_count": limit.rate_count, "rate_seconds": limit.rate_seconds},
    )


def _sharers(facts: Facts, key: str) -> Callable[[Holder], bool]:
    """Return whether an instance falls under the limit with that rendered key."""
    known: dict[tuple[int, str], bool] = {}

    def shares(one: Holder) -> bool:
        place = (one.run.pk, one.row.task_id)
        if place not in known:
            task = facts.graph_of(one.run).by_id.get(one.row.task_id)
            limits = task.spec.limits if task else ()
            known[place] = any(limit_key(limit.key, one.run, one.row.task_id) == key for limit in limits)
        return known[place]

    return shares


def _told(held: Sequence[Holder], *, slots: bool = False) -> str:
    return some([full_name(one.row, one.run) + (f" ({one.row.pool_slots})" if slots else "") for one in held])


def _names(held: Sequence[Holder]) -> list[str]:
    return [full_name(one.row, one.run) for one in held[:100]]  # for programs, yet no dump
