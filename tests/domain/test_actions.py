"""What people do to runs: whole plans compared with what they must write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tradewind.domain.actions import (
    WHOLE_RUN,
    ActionPlan,
    Affected,
    Selection,
    cancel_run,
    clear,
    hold_task,
    mark,
    mark_run,
    pause_run,
    release_task,
    resume_run,
)
from tradewind.domain.graph import Graph
from tradewind.domain.leases import LEASE_SECONDS
from tradewind.domain.records import (
    AttemptRow,
    Batch,
    EventRow,
    Guard,
    InstanceRow,
    InstanceWrite,
    MapIndex,
    RunRow,
    RunSnapshot,
    RunType,
    RunWrite,
    instance_id,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, GroupSpec, RefInput, RetrySpec, TaskSpec
from tradewind.domain.states import RunState, TaskState
from tradewind.errors import ConflictError, NotFoundError

NOW = datetime(2026, 1, 1, 7, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=30)
S, F, U, K, N, R = (
    TaskState.SUCCESS,
    TaskState.FAILED,
    TaskState.UPSTREAM_FAILED,
    TaskState.SKIPPED,
    TaskState.NONE,
    TaskState.RUNNING,
)
Rows = Sequence[tuple[str, MapIndex, TaskState]]


def task(task_id: str, *upstream: str, **more: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="Op", upstream=tuple(sorted(upstream)), **more)


def graph_of(*tasks: TaskSpec, groups: tuple[GroupSpec, ...] = ()) -> Graph:
    return Graph(DagSpec(dag_id="sales", file="sales.py", tasks=tasks, groups=groups))


def over(task_id: str) -> ExpandSpec:
    return ExpandSpec(inputs=(("x", RefInput(task_id=task_id)),))


def snapshot_of(state: RunState, rows: Rows, **run: Any) -> RunSnapshot:
    row = RunRow(
        pk=5,
        dag_id="sales",
        run_id="r1",
        version_id=1,
        run_type=RunType.MANUAL,
        state=state,
        logical_date=BEFORE,
        run_after=BEFORE,
        interval_start=BEFORE,
        interval_end=BEFORE,
        started_at=BEFORE,
        ended_at=BEFORE if state in {RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED} else None,
        instances=len(rows),
        **run,
    )
    return RunSnapshot(run=row, instances=tuple(_instance(place, *one) for place, one in enumerate(rows)))


def _instance(ordinal: int, task_id: str, map_index: MapIndex, state: TaskState) -> InstanceRow:
    begun = state not in {N, U}
    return InstanceRow(
        id=instance_id(5, ordinal),
        run_pk=5,
        task_id=task_id,
        map_index=map_index,
        state=state,
        token=3 if begun else 0,
        try_number=2 if begun else 0,
        tries_max=2,
        started_at=BEFORE if begun else None,
        queued_at=BEFORE if begun else None,
        worker="w1" if begun else None,
        reason="old" if begun else "",
        lengths={"return_value": 2} if state is S else {},
    )


def becomes(plan: ActionPlan) -> list[tuple[str, MapIndex, str, str]]:
    return [(one.task_id, one.map_index, one.state.value, one.becomes.value) for one in plan.affected]


def cleared(plan: ActionPlan) -> list[str]:
    """Short names of what became none: ``load[3]``."""
    return [
        f"{one.task_id}{list(one.map_index) if one.map_index else ''}"
        for one in plan.affected
        if one.becomes is N
    ]


CHAIN = graph_of(task("a"), task("b", "a", retry=RetrySpec(retries=1)), task("c", "b"))


def test_clear_writes_afresh_archives_and_reopens() -> None:
    snapshot = snapshot_of(RunState.FAILED, [("a", (), S), ("b", (), F), ("c", (), U)], retries_used={"": 1})
    plan = clear(snapshot, CHAIN, Selection(("b",)), now=NOW, actor="cli:anna", why="fixed")
    run = msgspec.structs.replace(
        snapshot.run,
        state=RunState.QUEUED,
        clear_number=1,
        started_at=None,
        ended_at=None,
        queued_at=NOW,
        retries_used={},
    )
    b, c = snapshot.instances[1:]

    def event(kind: str, **more: Any) -> EventRow:
        return EventRow(kind=kind, dag_id="sales", run_pk=5, run_id="r1", actor="cli:anna", **more)

    def moved(row: InstanceRow, before: str) -> EventRow:
        data = {"from": before, "act": "clear", "why": "fixed"}
        return event("task.none", instance_id=row.id, task_id=row.task_id, data=data)

    assert plan == ActionPlan(
        batch=Batch(
            runs=(RunWrite(row=run, guard=RunState.FAILED),),
            instances=(
                InstanceWrite(
                    row=InstanceRow(
                        id=b.id, run_pk=5, task_id="b", state=N, token=3, try_number=2, tries_max=4
                    ),
                    guard=Guard(F, 3),
                ),
                InstanceWrite(
                    row=InstanceRow(id=c.id, run_pk=5, task_id="c", state=N, tries_max=1), guard=Guard(U, 0)
                ),
            ),
            events=(
                event("act.clear", data={"why": "fixed", "instances": 2, "selection": {"tasks": ["b"]}}),
                moved(b, "failed"),
                moved(c, "upstream_failed"),
                event("run.queued", data={"from": "failed", "act": "clear"}),
            ),
        ),
        affected=(Affected("b", (), F, N), Affected("c", (), U, N)),
        notes=('run "r1" had ended as failed: it is queued again',),
    )


def test_clearing_what_runs_makes_its_token_stale_and_archives_the_attempt() -> None:
    snapshot = snapshot_of(RunState.RUNNING, [("a", (), R), ("b", (), N), ("c", (), N)])
    plan = clear(snapshot, CHAIN, Selection(("a",), downstream=True), now=NOW, actor="anna")
    row = snapshot.instances[0]
    assert plan.batch.runs == (RunWrite(row=snapshot.run, guard=RunState.RUNNING),)
    assert [(one.row.state, one.row.token, one.guard) for one in plan.batch.instances] == [
        (N, 4, Guard(R, 3))
    ]
    assert plan.batch.attempts == (
        AttemptRow(
            instance_id=row.id,
            token=3,
            try_number=2,
            state=N,
            outcome="cleared",
            reason="cleared by anna",
            worker="w1",
            queued_at=BEFORE,
            started_at=BEFORE,
            ended_at=NOW,
        ),
    )


def test_clearing_nothing_writes_nothing() -> None:
    snapshot = snapshot_of(RunState.RUNNING, [("a", (), R), ("b", (), N), ("c", (), N)])
    plan = clear(snapshot, CHAIN, Selection(("b",)), now=NOW, actor="anna")
    assert plan == ActionPlan(
        Batch(), notes=("nothing to clear: none of the selected task instances has begun",)
    )
    assert not plan.batch


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (WHOLE_RUN, ["a", "b", "c"]),
        (Selection(only_failed=True), ["b", "c"]),
        (Selection(("c",)), ["c"]),
        (Selection(("c",), upstream=True), ["a", "b", "c"]),
        (Selection(("b",), upstream=True), ["a", "b", "c"]),
        (Selection(("a",), downstream=True), ["a", "b", "c"]),
        (Selection(("a",), downstream=True, only_failed=True), ["b", "c"]),
    ],
)
def test_selections(selection: Selection, expected: list[str]) -> None:
    snapshot = snapshot_of(RunState.FAILED, [("a", (), S), ("b", (), F), ("c", (), U)])
    assert cleared(clear(snapshot, CHAIN, selection, now=NOW, actor="anna")) == expected


def test_an_unknown_task_or_index_is_named() -> None:
    snapshot = snapshot_of(RunState.FAILED, [("a", (), S), ("b", (), F), ("c", (), U)])
    with pytest.raises(NotFoundError, match=r'DAG "sales" has no task "x". Tasks: a, b, c'):
        clear(snapshot, CHAIN, Selection(("x",)), now=NOW, actor="anna")
    with pytest.raises(NotFoundError, match="no instance of b has map index 3"):
        clear(snapshot, CHAIN, Selection(("b",), map_index=(3,)), now=NOW, actor="anna")


SETUPS = graph_of(
    task("make", is_setup=True),
    task("work", "make"),
    task("more", "work"),
    task("drop", "make", "more", is_teardown=True, setups=("make",)),
    task("after", "more"),
)


@pytest.mark.parametrize(
    ("task_id", "expected"),
    [
        ("work", ["make", "work", "drop"]),
        ("make", ["make", "drop"]),
        ("drop", ["drop"]),
    ],
)
def test_work_between_setup_and_teardown_takes_them_along(task_id: str, expected: list[str]) -> None:
    names = ("make", "work", "more", "drop", "after")
    snapshot = snapshot_of(RunState.SUCCESS, [(name, (), S) for name in names])
    plan = clear(snapshot, SETUPS, Selection((task_id,)), now=NOW, actor="anna")
    assert cleared(plan) == expected


GROUPED = graph_of(
    task("rows"),
    task("g.one", "rows", group="g"),
    task("g.two", "g.one", group="g"),
    task("sum", "g.two"),
    groups=(GroupSpec(group_id="g", expand=over("rows")),),
)
GROUPED_ROWS: Rows = [
    ("rows", (), S),
    ("g.one", (0,), S),
    ("g.one", (1,), S),
    ("g.two", (0,), S),
    ("g.two", (1,), S),
    ("sum", (), S),
]


def test_inside_a_mapped_group_an_index_takes_its_own_index_along() -> None:
    snapshot = snapshot_of(RunState.SUCCESS, GROUPED_ROWS)
    select = Selection(("g.one",), map_index=(1,), downstream=True)
    assert cleared(clear(snapshot, GROUPED, select, now=NOW, actor="anna")) == ["g.one[1]", "g.two[1]", "sum"]
    select = Selection(("g.two",), map_index=(0,), upstream=True)
    assert cleared(clear(snapshot, GROUPED, select, now=NOW, actor="anna")) == [
        "rows",
        "g.one[0]",
        "g.two[0]",
        "g.one",
        "g.two",
    ]


def test_a_changed_length_is_taken_anew_by_placeholders() -> None:
    snapshot = snapshot_of(RunState.SUCCESS, GROUPED_ROWS)
    plan = clear(snapshot, GROUPED, Selection(("rows",), downstream=True), now=NOW, actor="anna")
    inserted = [one.row for one in plan.batch.instances if one.guard is None]
    assert [(row.id, row.task_id, row.map_index, row.state) for row in inserted] == [
        (instance_id(5, 6), "g.one", (), N),
        (instance_id(5, 7), "g.two", (), N),
    ]
    assert plan.batch.runs[0].row.instances == 8
    again = clear(snapshot, GROUPED, Selection(("g.one",), downstream=True), now=NOW, actor="anna")
    assert [one.row for one in again.batch.instances if one.guard is None] == []


NESTED = graph_of(
    task("rows"),
    task("g.list", "rows", group="g"),
    task("g.each", "g.list", group="g", expand=over("g.list")),
    groups=(GroupSpec(group_id="g", expand=over("rows")),),
)


def test_an_inner_mapping_is_expanded_anew_at_the_cleared_index_only() -> None:
    snapshot = snapshot_of(
        RunState.SUCCESS,
        [
            ("rows", (), S),
            ("g.list", (0,), S),
            ("g.list", (1,), S),
            ("g.each", (0, 0), S),
            ("g.each", (1, 0), S),
            ("g.each", (1, 1), S),
        ],
    )
    select = Selection(("g.list",), map_index=(1,), downstream=True)
    plan = clear(snapshot, NESTED, select, now=NOW, actor="anna")
    assert cleared(plan) == ["g.list[1]", "g.each[1, 0]", "g.each[1, 1]", "g.each[1]"]


def test_a_placeholder_that_never_expanded_is_not_doubled() -> None:
    graph = graph_of(task("rows"), task("load", "rows", expand=over("rows")))
    snapshot = snapshot_of(RunState.SUCCESS, [("rows", (), S), ("load", (), K)])
    plan = clear(snapshot, graph, WHOLE_RUN, now=NOW, actor="anna")
    assert (cleared(plan), plan.batch.runs[0].row.instances) == (["rows", "load"], 2)


def test_removed_indexes_stay_removed() -> None:
    graph = graph_of(task("load", expand=over("load")))
    snapshot = snapshot_of(RunState.SUCCESS, [("load", (0,), S), ("load", (1,), TaskState.REMOVED)])
    assert cleared(clear(snapshot, graph, WHOLE_RUN, now=NOW, actor="anna"))[:1] == ["load[0]"]


def test_the_newest_version_removes_adds_and_refreshes() -> None:
    new = graph_of(
        task("a", pool="io", retry=RetrySpec(retries=4)),
        task("c", "a"),
        task("d", "a", expand=over("a")),
    )
    snapshot = snapshot_of(RunState.FAILED, [("a", (), F), ("b", (), R), ("c", (), U)])
    plan = clear(snapshot, CHAIN, Selection(("a",)), now=NOW, actor="anna", newest=(9, new))
    assert becomes(plan) == [
        ("b", (), "running", "removed"),
        ("d", (), "none", "none"),
        ("a", (), "failed", "none"),
        ("c", (), "upstream_failed", "none"),
    ]
    run = plan.batch.runs[0].row
    assert (run.version_id, run.instances, run.state) == (9, 4, RunState.QUEUED)
    first = plan.batch.instances[0].row
    assert (first.pool, first.tries_max, first.priority) == ("io", 7, 3)
    assert [(one.outcome, one.state) for one in plan.batch.attempts] == [("cleared", TaskState.REMOVED)]


def test_the_newest_version_turns_a_task_into_a_mapped_one_and_back() -> None:
    plain = graph_of(task("a"), task("b", "a"))
    mapped = graph_of(task("a"), task("b", "a", expand=over("a")))
    snapshot = snapshot_of(RunState.SUCCESS, [("a", (), S), ("b", (), S)])
    plan = clear(snapshot, plain, Selection(("a",)), now=NOW, actor="anna", newest=(2, mapped))
    assert becomes(plan) == [("a", (), "success", "none"), ("b", (), "success", "none")]
    snapshot = snapshot_of(RunState.SUCCESS, [("a", (), S), ("b", (0,), S), ("b", (1,), S)])
    plan = clear(snapshot, mapped, Selection(("a",)), now=NOW, actor="anna", newest=(2, plain))
    assert becomes(plan) == [
        ("b", (0,), "success", "removed"),
        ("b", (1,), "success", "removed"),
        ("b", (), "none", "none"),
        ("a", (), "success", "none"),
    ]


def test_retries_of_cleared_groups_start_again() -> None:
    used = {"": 1, "g": 1, "g[1]": 2, "other": 1}
    snapshot = snapshot_of(RunState.RUNNING, GROUPED_ROWS, retries_used=used)
    plan = clear(snapshot, GROUPED, Selection(("g.two",)), now=NOW, actor="anna")
    assert plan.batch.runs[0].row.retries_used == {"other": 1}


def test_mark_success_frees_what_failed_because_of_it() -> None:
    snapshot = snapshot_of(RunState.FAILED, [("a", (), S), ("b", (), F), ("c", (), U)])
    plan = mark(snapshot, CHAIN, Selection(("b",)), S, now=NOW, actor="anna", why="by hand")
    assert becomes(plan) == [("b", (), "failed", "success"), ("c", (), "upstream_failed", "none")]
    assert plan.batch.runs[0].row.state is RunState.QUEUED
    assert plan.batch.instances[0].row.reason == "marked success by anna: by hand"


def test_mark_failed_ends_a_running_attempt() -> None:
    snapshot = snapshot_of(RunState.RUNNING, [("a", (), R), ("b", (), N), ("c", (), N)])
    plan = mark(snapshot, CHAIN, Selection(("a",)), F, now=NOW, actor="anna")
    write = plan.batch.instances[0]
    assert (write.guard, write.row.state, write.row.token, write.row.ended_at) == (Guard(R, 3), F, 4, NOW)
    assert [(one.token, one.outcome, one.state) for one in plan.batch.attempts] == [(3, "marked failed", F)]


def test_marks_that_change_nothing_and_marks_that_cannot_be() -> None:
    snapshot = snapshot_of(RunState.SUCCESS, [("a", (), S), ("b", (), S), ("c", (), S)])
    assert not mark(snapshot, CHAIN, WHOLE_RUN, S, now=NOW, actor="anna").batch
    with pytest.raises(ValueError, match="cannot mark as skipped; marks are success and failed"):
        mark(snapshot, CHAIN, WHOLE_RUN, K, now=NOW, actor="anna")


def test_mark_run_ends_what_has_not_ended() -> None:
    rows: Rows = [("a", (), S), ("b", (), R), ("c", (), N)]
    failed = mark_run(snapshot_of(RunState.RUNNING, rows), F, now=NOW, actor="anna")
    assert becomes(failed) == [("b", (), "running", "failed"), ("c", (), "none", "skipped")]
    assert failed.batch.runs[0].row.state is RunState.FAILED
    success = mark_run(snapshot_of(RunState.RUNNING, rows), S, now=NOW, actor="anna")
    assert becomes(success) == [("b", (), "running", "success"), ("c", (), "none", "success")]
    with pytest.raises(ConflictError, match='run "r1" of DAG "sales" is success: it cannot mark success now'):
        mark_run(snapshot_of(RunState.SUCCESS, rows), S, now=NOW, actor="anna")


def test_cancel_ends_everything_and_makes_tokens_stale() -> None:
    rows: Rows = [("a", (), R), ("b", (), TaskState.UP_FOR_RETRY), ("c", (), N)]
    snapshot = snapshot_of(RunState.RUNNING, rows)
    plan = cancel_run(snapshot, now=NOW, actor="anna", why="wrong day")
    assert [(w.row.task_id, w.row.state, w.row.token, w.row.reason) for w in plan.batch.instances] == [
        ("a", TaskState.CANCELLED, 4, "cancelled by anna: wrong day"),
        ("b", TaskState.CANCELLED, 4, "cancelled by anna: wrong day"),
        ("c", TaskState.CANCELLED, 0, "cancelled by anna: wrong day"),
    ]
    assert [(one.token, one.outcome) for one in plan.batch.attempts] == [(3, "cancelled")]
    assert (plan.batch.runs[0].row.state, plan.batch.runs[0].row.ended_at) == (RunState.CANCELLED, NOW)


@pytest.mark.parametrize("act", [cancel_run, pause_run, resume_run])
def test_an_ended_run_takes_no_such_act(act: Callable[..., ActionPlan]) -> None:
    with pytest.raises(ConflictError, match='run "r1" of DAG "sales" is success'):
        act(snapshot_of(RunState.SUCCESS, [("a", (), S)]), now=NOW, actor="anna")


def test_pause_and_resume() -> None:
    snapshot = snapshot_of(RunState.RUNNING, [("a", (), R)])
    paused = pause_run(snapshot, now=NOW, actor="anna")
    assert paused.batch.runs[0].row.state is RunState.PAUSED
    assert paused.notes == ("1 task instances are queued or running; what runs will finish",)
    assert [event.kind for event in paused.batch.events] == ["act.pause", "run.paused"]
    again = RunSnapshot(run=paused.batch.runs[0].row, instances=snapshot.instances)
    resumed = resume_run(again, now=NOW, actor="anna")
    assert resumed.batch.runs == (
        RunWrite(
            row=msgspec.structs.replace(snapshot.run, state=RunState.QUEUED, queued_at=NOW),
            guard=RunState.PAUSED,
        ),
    )


def test_hold_and_release() -> None:
    snapshot = snapshot_of(RunState.RUNNING, [("a", (), S), ("b", (), R), ("c", (), N)])
    plan = hold_task(snapshot, CHAIN, WHOLE_RUN, now=NOW, actor="anna")
    b, c = snapshot.instances[1:]
    assert plan.batch.instances == (
        InstanceWrite(
            row=msgspec.structs.replace(b, held=True), guard=Guard(R, 3), lease_seconds=LEASE_SECONDS
        ),
        InstanceWrite(row=msgspec.structs.replace(c, held=True), guard=Guard(N, 0)),
    )
    assert plan.batch.attempts == ()
    held = RunSnapshot(
        run=snapshot.run, instances=(snapshot.instances[0], *(write.row for write in plan.batch.instances))
    )
    released = release_task(held, CHAIN, WHOLE_RUN, now=NOW, actor="anna")
    assert [(w.row.task_id, w.row.held) for w in released.batch.instances] == [("b", False), ("c", False)]
    assert not release_task(snapshot, CHAIN, WHOLE_RUN, now=NOW, actor="anna").batch
