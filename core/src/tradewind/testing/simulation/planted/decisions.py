"""Planted bugs of the pure part: rules, limits, runs, retries, schedules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from tradewind.domain import graph, outcome
from tradewind.domain.decide import decision as deciding
from tradewind.domain.decide import ready, schedule
from tradewind.domain.rules import Verdict
from tradewind.domain.states import TaskState
from tradewind.domain.world import admission, moves, slots
from tradewind.domain.world.tally import KIND
from tradewind.testing.simulation.planted.patches import Bug, bug, instead

Wrong = Callable[..., Any]


def _early(judge: Wrong) -> Wrong:
    def judged(cell: Any) -> Verdict:
        verdict: Verdict = judge(cell)
        began = any(cell.masks()[0] >> kind & 1 for kind in range(1, 6))
        return Verdict.RUN if verdict is Verdict.WAIT and began else verdict

    return judged


def _stale_pick(pick: Wrong) -> Wrong:
    def picked(self: Any, now: datetime) -> Iterator[Any]:
        taken: Counter[Any] = Counter()
        for instance, problem in pick(self, now):
            yield instance, problem
            if instance.holds is not None:  # what was just taken is not seen before the next look
                pool = instance.holds.pool
                pool.used -= instance.pool_slots
                taken[pool] += instance.pool_slots
        for pool, count in taken.items():
            pool.used += count

    return picked


def _kept_slot(release: Wrong) -> Wrong:
    def released(self: Any, instance: Any) -> None:
        pool, takes = instance.holds.pool, instance.pool_slots
        release(self, instance)
        pool.used += takes

    return released


def _forgotten(add: Wrong) -> Wrong:
    def added(self: Any, at: datetime, kind: str, what: Any) -> None:
        if kind != "instance":
            add(self, at, kind, what)

    return added


def _too_soon(finish: Wrong) -> Wrong:
    def finished(world: Any, run: Any, now: datetime) -> None:
        if run.unfinished != 1:
            finish(world, run, now)
            return
        run.unfinished = 0
        try:
            finish(world, run, now)
        finally:
            run.unfinished = 1

    return finished


def _without_first(due: Wrong) -> Wrong:
    def found(*arguments: Any, **named: Any) -> Any:
        ticks, coming = due(*arguments, **named)
        return (ticks[1:], coming) if len(ticks) > 1 else (ticks, coming)

    return found


def _unwritten(note: Wrong) -> Wrong:
    def noted(world: Any, dag: Any, cursor: Any, coming: Any) -> None:
        note(world, dag, cursor, coming)
        world.dag_writes.pop(dag.dag_id, None)

    return noted


def _left_behind(remove: Wrong) -> Wrong:
    def removed(self: Any, instance: Any) -> None:
        remove(self, instance)
        self.removed.clear()

    return removed


def _same_token(count_start: Wrong) -> Wrong:
    def counted(self: Any, instance: Any) -> None:
        count_start(self, instance)
        if instance.touched and instance.token > 1:  # just admitted again, not loaded
            instance.token -= 1

    return counted


_SKIPPED_IS_FINE: Final = MappingProxyType({**KIND, TaskState.SKIPPED: KIND[TaskState.SUCCESS]})

BUGS: Final[tuple[Bug, ...]] = (
    bug(
        "wrong successor",
        "a task starts as soon as one of its upstreams has ended",
        ready,
        "judge_cell",
        _early,
    ),
    bug(
        "skipped counted as success",
        "the counters of a task take a skipped upstream for a successful one",
        moves,
        "KIND",
        instead(_SKIPPED_IS_FINE),
    ),
    bug(
        "teardown not awaited",
        "a teardown does not wait for what lies between its setups and itself",
        graph,
        "_between",
        instead(lambda *_arguments: set()),
    ),
    bug("branch ignored", "what a branch did not choose runs", ready, "_skipper", instead(lambda *_: None)),
    bug(
        "past ignored",
        "depends_on_past lets everything start",
        ready,
        "_past_allows",
        instead(lambda *_: True),
    ),
    bug(
        "token not raised",
        "an attempt that is admitted again has the token of the one before",
        admission.Admission,
        "count_start",
        _same_token,
    ),
    bug(
        "pool counted from a stale snapshot",
        "what one decision admits is counted against the pool only in the next one",
        admission.Admission,
        "pick",
        _stale_pick,
    ),
    bug(
        "slot not freed",
        "an instance that ends keeps its slots of the pool",
        admission.Admission,
        "release",
        _kept_slot,
    ),
    bug("limit not kept", "a gate always has room", slots.Gate, "room", instead(lambda *_: 1)),
    bug(
        "parked for ever",
        "whoever a limit has stopped is never let back",
        slots.Gate,
        "let_back",
        instead(lambda *_: False),
    ),
    bug("lost wake-up", "nobody wakes up for a retry or a reschedule", moves.Wakes, "add", _forgotten),
    bug(
        "run finished with live tasks",
        "a run ends when all of its instances but one have ended",
        deciding,
        "finish_run",
        _too_soon,
    ),
    bug(
        "retry above the maximum",
        "every error is tried again",
        outcome,
        "may_retry",
        instead(lambda *_, **__: True),
    ),
    bug("tick left out", "of several due ticks the first gets no run", schedule, "due_ticks", _without_first),
    bug(
        "double run of a tick",
        "the cursor of a schedule is not written with the run of its tick",
        schedule,
        "_note",
        _unwritten,
    ),
    bug(
        "placeholder expanded twice",
        "the row of an expanded placeholder stays",
        moves.Ledger,
        "remove_instance",
        _left_behind,
    ),
)
