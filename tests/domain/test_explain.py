"""Every kind of reason, as the sentence a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tradewind.domain.explain import (
    ExecutorFacts,
    Facts,
    explain_dag,
    explain_instance,
    explain_run,
    explain_unfinished,
)
from tradewind.domain.graph import Graph
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import (
    DagRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    RunType,
    Term,
    instance_id,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, KeyedLimit, RefInput, TaskSpec, TriggerRule
from tradewind.domain.states import RunState, TaskState
from tradewind.errors import NotFoundError

NOW = datetime(2026, 1, 1, 6, 11, tzinfo=UTC)
SIX = datetime(2026, 1, 1, 6, tzinfo=UTC)
LEADER = (Term(shard="main", holder="host-1", number=3, lease_seconds=15), NOW + timedelta(seconds=9))
_TIMES: Mapping[TaskState, dict[str, Any]] = {
    TaskState.QUEUED: {"queued_at": SIX + timedelta(minutes=9)},
    TaskState.RUNNING: {
        "queued_at": SIX,
        "started_at": SIX + timedelta(minutes=10),
        "worker": "w1",
        "try_number": 1,
    },
    TaskState.SUCCESS: {"started_at": SIX, "ended_at": SIX + timedelta(minutes=4)},
    TaskState.FAILED: {"started_at": SIX, "ended_at": SIX + timedelta(minutes=4), "reason": "exit code 2"},
}


def task(task_id: str, *upstream: str, **more: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="Op", upstream=tuple(sorted(upstream)), **more)


def spec_of(*tasks: TaskSpec, **more: Any) -> DagSpec:
    return DagSpec(dag_id="sales", file="sales.py", tasks=tasks, **more)


def row(
    ordinal: int, task_id: str, state: str, index: MapIndex = (), *, run_pk: int = 1, **more: Any
) -> InstanceRow:
    known = TaskState(state)
    return InstanceRow(
        id=instance_id(run_pk, ordinal),
        run_pk=run_pk,
        task_id=task_id,
        map_index=index,
        state=known,
        **{**_TIMES.get(known, {}), **more},
    )


def run(pk: int = 1, state: RunState = RunState.RUNNING, **more: Any) -> RunRow:
    return RunRow(
        **{
            "pk": pk,
            "dag_id": "sales",
            "run_id": f"r{pk}",
            "version_id": 1,
            "run_type": RunType.MANUAL,
            "state": state,
            "logical_date": SIX,
            "run_after": SIX,
            "interval_start": SIX,
            "interval_end": SIX,
            "started_at": SIX if state is not RunState.QUEUED else None,
            **more,
        }
    )


def facts_of(spec: DagSpec, *snapshots: RunSnapshot, dag: DagRow | None = None, **more: Any) -> Facts:
    known = dag or DagRow(
        dag_id="sales", file="sales.py", version_id=1, version_number=1, first_seen_at=SIX, next_run_at=NOW
    )
    graph = Graph(spec)
    return Facts(
        **{
            "runs": {one.run.pk: one for one in snapshots},
            "dags": {"sales": known},
            "graph": lambda _version: graph,
            "pools": {"default": PoolRow(name="default", slots=8)},
            "executors": {"local": ExecutorFacts(slots=8, workers=1)},
            "leader": LEADER,
            **more,
        }
    )


def snapshot(of: RunRow, rows: Iterable[InstanceRow]) -> RunSnapshot:
    return RunSnapshot(run=of, instances=tuple(rows))


def why(facts: Facts, ordinal: int = 0, run_pk: int = 1) -> list[tuple[str, str]]:
    return _told(explain_instance(facts, instance_id(run_pk, ordinal), NOW))


def _told(reasons: list[Reason]) -> list[tuple[str, str]]:
    return [(reason.kind.value, reason.message) for reason in reasons]


def one_task(state: str = "scheduled", *, of: RunRow | None = None, **more: Any) -> RunSnapshot:
    return snapshot(of or run(), [row(0, "load", state, **more)])


# ---- what comes before ------------------------------------------------------------------------------


def test_upstream() -> None:
    spec = spec_of(task("extract"), task("fetch"), task("done"), task("load", "extract", "fetch", "done"))
    rows = [
        row(0, "load", "none"),
        row(1, "fetch", "queued"),
        row(2, "extract", "running"),
        row(3, "done", "success"),
    ]
    facts = facts_of(spec, snapshot(run(), rows))
    reasons = explain_instance(facts, instance_id(1, 0), NOW)
    assert reasons == [
        Reason(
            kind=ReasonKind.UPSTREAM,
            message="waiting for 2 of 3 upstream tasks: extract (running since 06:10:00 UTC), "
            "fetch (queued since 06:09:00 UTC)",
            data={"unfinished": 2, "total": 3, "tasks": ["extract", "fetch"]},
        )
    ]


def test_trigger_rule() -> None:
    spec = spec_of(task("a"), task("b"), task("load", "a", "b", trigger_rule=TriggerRule.ALL_DONE))
    facts = facts_of(
        spec, snapshot(run(), [row(0, "load", "none"), row(1, "a", "failed"), row(2, "b", "none")])
    )
    assert why(facts) == [
        ("upstream", "waiting for 1 of 2 upstream tasks: b (not started)"),
        (
            "trigger_rule",
            (
                "its rule all_done needs every upstream to finish, however it ends; "
                "of 2 upstream 1 failed, 1 not finished: a failed"
            ),
        ),
    ]


def test_upstream_failed_says_which_rule_and_who() -> None:
    spec = spec_of(task("a"), task("load", "a"))
    facts = facts_of(
        spec, snapshot(run(), [row(0, "load", "upstream_failed", ended_at=NOW), row(1, "a", "failed")])
    )
    assert why(facts) == [
        ("ended", "ended as upstream_failed at 06:11:00 UTC"),
        (
            "trigger_rule",
            "its rule all_success needs every upstream to succeed; of 1 upstream 1 failed: a failed",
        ),
    ]


def test_setup() -> None:
    spec = spec_of(task("make", is_setup=True), task("mid", "make"), task("load", "mid"))
    rows = [row(0, "load", "none"), row(1, "make", "running"), row(2, "mid", "none")]
    assert why(facts_of(spec, snapshot(run(), rows))) == [
        ("setup", "waiting for its setup: make (running since 06:10:00 UTC)"),
        ("upstream", "waiting for 1 of 1 upstream task: mid (not started)"),
    ]


def test_mapping() -> None:
    over = ExpandSpec(inputs=(("x", RefInput(task_id="list")),))
    spec = spec_of(task("list"), task("load", "list", expand=over), task("sum", "load"))
    rows = [row(0, "load", "none"), row(1, "list", "running"), row(2, "sum", "none")]
    assert why(facts_of(spec, snapshot(run(), rows)))[1] == (
        "mapping",
        "how often it is mapped is not known yet: it is mapped over list (running since 06:10:00 UTC)",
    )


def test_mapped_upstreams_are_named_by_index_and_counted_when_many() -> None:
    over = ExpandSpec(inputs=(("x", RefInput(task_id="list")),))
    spec = spec_of(task("list"), task("each", "list", expand=over), task("sum", "each"))
    rows = [row(0, "sum", "none"), row(1, "list", "success")]
    rows += [row(2 + n, "each", "success" if n < 1000 else "none", (n,)) for n in range(1010)]
    assert why(facts_of(spec, snapshot(run(), rows))) == [
        (
            "upstream",
            (
                "waiting for 10 of 1,010 upstream tasks: each[1000] (not started), each[1001] (not started), "
                "each[1002] (not started), each[1003] (not started), each[1004] (not started) and 5 more"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("option", "task_id"), [("depends_on_past", "load"), ("wait_for_downstream", "after")]
)
def test_depends_on_past(option: str, task_id: str) -> None:
    spec = spec_of(task("load", **{option: True}), task("after", "load"))
    before = snapshot(
        run(9, RunState.FAILED),
        [
            row(0, "load", "failed" if task_id == "load" else "success", run_pk=9),
            row(1, "after", "success" if task_id == "load" else "failed", run_pk=9),
        ],
    )
    facts = facts_of(spec, one_task("none"), previous=lambda _run: before)
    assert why(facts) == [("depends_on_past", f"{option}: in the run before, r9, {task_id} is failed")]
    assert why(facts_of(spec, one_task("none")))[0][0] == "queued"


# ---- slots and limits ------------------------------------------------------------------------------


def others(count: int, task_id: str = "load", **more: Any) -> list[RunSnapshot]:
    return [
        snapshot(
            run(pk), [row(0, task_id, "running", run_pk=pk, queued_at=SIX + timedelta(seconds=pk), **more)]
        )
        for pk in range(2, 2 + count)
    ]


def test_pool_full_by_whom() -> None:
    facts = facts_of(
        spec_of(task("load")),
        one_task(pool="db"),
        *others(2, pool="db", pool_slots=2),
        pools={"db": PoolRow(name="db", slots=4)},
    )
    reasons = explain_instance(facts, instance_id(1, 0), NOW)
    assert reasons == [
        Reason(
            kind=ReasonKind.POOL_FULL,
            message='pool "db" is full (4 of 4 slots): held by sales/r2/load (2), sales/r3/load (2)',
            data={
                "pool": "db",
                "slots": 4,
                "used": 4,
                "needs": 1,
                "holders": ["sales/r2/load", "sales/r3/load"],
            },
        )
    ]


def test_pool_with_too_few_slots_left() -> None:
    facts = facts_of(
        spec_of(task("load")),
        one_task(pool="db", pool_slots=3),
        *others(1, pool="db", pool_slots=2),
        pools={"db": PoolRow(name="db", slots=4)},
    )
    message = 'pool "db" has 2 of 4 slots free, and it needs 3: held by sales/r2/load (2)'
    assert why(facts) == [("pool_full", message)]


def test_pool_missing() -> None:
    facts = facts_of(spec_of(task("load")), one_task(pool="gpu", pool_slots=2))
    message = 'pool "gpu" does not exist. Pools: default. Create it: `tradewind pools set gpu 2`'
    assert why(facts) == [("pool_missing", message)]


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        (
            spec_of(task("load"), max_active_tasks=2),
            "max_active_tasks",
            'DAG "sales" has 2 of max_active_tasks=2 active: sales/r2/load, sales/r3/load',
        ),
        (
            spec_of(task("load", max_active_tis_per_dag=1)),
            "max_active_tis_per_dag",
            'task "load" has 2 of max_active_tis_per_dag=1 active: sales/r2/load, sales/r3/load',
        ),
        (
            spec_of(task("load", limits=(KeyedLimit(key="to-{{ params.region }}", max=1),))),
            "keyed_limit",
            'the limit "to-eu" has 1 of max=1 active: sales/r3/load',
        ),
        (
            spec_of(task("load", limits=(KeyedLimit(key="all", rate_count=2, rate_seconds=900.0),))),
            "keyed_limit",
            'the limit "all" lets 2 start in 900 s; the next one at 06:15:02 UTC (in 4 min)',
        ),
    ],
)
def test_limits(spec: DagSpec, kind: str, message: str) -> None:
    first, second = others(2)
    mine = one_task(of=run(params={"region": "eu"}))
    first = RunSnapshot(run=run(2, params={"region": "us"}), instances=first.instances)
    second = RunSnapshot(run=run(3, params={"region": "eu"}), instances=second.instances)
    assert why(facts_of(spec, mine, first, second)) == [(kind, message)]


def test_limit_of_the_run() -> None:
    spec = spec_of(task("load"), task("more"), max_active_tasks_per_run=1)
    mine = snapshot(run(), [row(0, "load", "scheduled"), row(1, "more", "running")])
    message = "this run has 1 of max_active_tasks_per_run=1 active: sales/r1/more"
    assert why(facts_of(spec, mine)) == [("max_active_tasks_per_run", message)]


def test_executor_full() -> None:
    facts = facts_of(spec_of(task("load")), one_task(), *others(1), executors={"local": ExecutorFacts(1, 1)})
    assert why(facts) == [("executor_full", 'executor "local" is full (1 of 1 slot): held by sales/r2/load')]


@pytest.mark.parametrize(
    ("executors", "message"),
    [
        ({"local": ExecutorFacts(0, 0, "it stopped")}, 'executor "local" has no live worker: it stopped'),
        ({"celery": ExecutorFacts(4, 1)}, 'nobody serves the executor "local". Executors now: celery'),
    ],
)
def test_no_worker(executors: Mapping[str, ExecutorFacts], message: str) -> None:
    assert why(facts_of(spec_of(task("load")), one_task(), executors=executors)) == [("no_worker", message)]
    handed = why(facts_of(spec_of(task("load")), one_task("queued"), executors=executors))
    assert handed == [
        ("queued", 'handed to executor "local" since 06:09:00 UTC (2 min), not yet claimed by a worker'),
        ("no_worker", message),
    ]


def test_several_limits_are_all_told() -> None:
    spec = spec_of(task("load"), max_active_tasks=1)
    facts = facts_of(
        spec, one_task(held=True), *others(1), pools={"default": PoolRow(name="default", slots=1)}
    )
    assert [kind for kind, _ in why(facts)] == ["task_held", "pool_full", "max_active_tasks"]


# ---- runs and DAGs ---------------------------------------------------------------------------------


def dag_row(**more: Any) -> DagRow:
    return DagRow(
        **{
            "dag_id": "sales",
            "file": "sales.py",
            "version_id": 1,
            "version_number": 1,
            "first_seen_at": SIX,
            "next_run_at": NOW + timedelta(hours=3, minutes=4),
            **more,
        }
    )


def test_a_queued_run_waits_for_max_active_runs() -> None:
    spec = spec_of(task("load"), max_active_runs=1)
    waiting = snapshot(run(1, RunState.QUEUED, queued_at=SIX), [row(0, "load", "none")])
    facts = facts_of(spec, waiting, snapshot(run(2), []))
    message = 'DAG "sales" has 1 of max_active_runs=1 running: r2 since 06:00:00 UTC (11 min)'
    assert _told(explain_run(facts, 1, NOW)) == [("max_active_runs", message)]
    assert why(facts) == [
        ("run_queued", "its run is queued and waits for its place among the active runs"),
        ("max_active_runs", message),
    ]


def test_a_run_that_could_start_says_so() -> None:
    facts = facts_of(spec_of(task("load")), snapshot(run(1, RunState.QUEUED), []))
    assert _told(explain_run(facts, 1, NOW)) == [
        ("run_queued", "nothing holds it back: the scheduler starts it at its next turn")
    ]


def test_not_due() -> None:
    due = NOW + timedelta(days=1, hours=2)
    facts = facts_of(spec_of(task("load")), snapshot(run(1, RunState.QUEUED, run_after=due), []))
    assert explain_run(facts, 1, NOW) == [
        Reason(
            kind=ReasonKind.NOT_DUE,
            message="the run is due at 2026-01-02 08:11:00 UTC (in 1 d 2 h)",
            until=due,
        )
    ]


def test_a_paused_run() -> None:
    facts = facts_of(spec_of(task("load")), one_task(of=run(1, RunState.PAUSED)))
    message = (
        "the run is paused: running tasks finish, no new ones start. "
        "Let it go on: `tradewind runs resume sales r1`"
    )
    assert why(facts) == _told(explain_run(facts, 1, NOW)) == [("run_paused", message)]


def test_a_held_dag() -> None:
    facts = facts_of(spec_of(task("load")), one_task(), dag=dag_row(paused=True, held=True))
    message = (
        'DAG "sales" is paused with --hold: its schedule makes no runs, and its active runs wait. '
        "Let it go on: `tradewind dags unpause sales`"
    )
    assert why(facts) == [("dag_held", message)]
    assert _told(explain_dag(facts, "sales", NOW))[0] == ("dag_held", message)


def test_a_paused_dag_lets_its_active_runs_go_on() -> None:
    facts = facts_of(spec_of(task("load")), one_task(), dag=dag_row(paused=True))
    assert [kind for kind, _ in why(facts)] == ["queued"]
    assert _told(explain_dag(facts, "sales", NOW)) == [
        (
            "dag_paused",
            'DAG "sales" is paused: its schedule makes no runs. Let it go on: `tradewind dags unpause sales`',
        ),
        ("not_due", "its next run is due at 09:15:00 UTC (in 3 h 4 min)"),
    ]


@pytest.mark.parametrize(
    ("dag", "expected"),
    [
        (
            dag_row(next_run_at=None),
            (
                "not_due",
                (
                    "its schedule names no further instant, or it has none: start a run with "
                    "`tradewind dags trigger sales`"
                ),
            ),
        ),
        (
            dag_row(next_run_at=SIX),
            ("not_due", "a run is due since 06:00:00 UTC: the scheduler makes it at its next turn"),
        ),
        (dag_row(retired=True), ("ended", "it is retired: its file sales.py is gone")),
    ],
)
def test_dags(dag: DagRow, expected: tuple[str, str]) -> None:
    assert _told(explain_dag(facts_of(spec_of(task("load")), dag=dag), "sales", NOW)) == [expected]


def test_a_running_run_says_how_far_it_is() -> None:
    spec = spec_of(task("a"), task("b"), task("load", "a"))
    rows = [row(0, "a", "success"), row(1, "b", "running"), row(2, "load", "none")]
    facts = facts_of(spec, snapshot(run(), rows))
    assert _told(explain_run(facts, 1, NOW)) == [
        (
            "running",
            "running since 06:00:00 UTC (11 min): 1 of 3 task instances ended, 1 not started, 1 running",
        )
    ]
    ended = snapshot(run(), [msgspec.structs.replace(one, state=TaskState.SUCCESS) for one in rows])
    assert _told(explain_run(facts_of(spec, ended), 1, NOW))[0][1].endswith(
        "3 of 3 task instances ended; its end is decided at the scheduler's next turn"
    )


def test_an_ended_run() -> None:
    over = run(1, RunState.FAILED, ended_at=SIX + timedelta(minutes=2), reason="leaf load failed")
    facts = facts_of(spec_of(task("load")), snapshot(over, [row(0, "load", "none")]))
    message = "ended as failed at 06:02:00 UTC after 2 min: leaf load failed"
    assert _told(explain_run(facts, 1, NOW)) == [("ended", message)]
    assert why(facts) == [("ended", "its run ended as failed: it does not start any more")]


# ---- leadership ------------------------------------------------------------------------------------


def test_leadership_is_being_taken_over() -> None:
    lost = (LEADER[0], NOW - timedelta(seconds=5))
    facts = facts_of(spec_of(task("load")), one_task(), leader=lost)
    message = (
        "no scheduler leads: the lease of host-1 ended at 06:10:55 UTC (5 s ago). "
        "A standby takes over within seconds; if there is none, start one: `tradewind scheduler`"
    )
    assert why(facts) == [("leadership", message)]
    assert _told(explain_run(facts, 1, NOW))[0] == ("leadership", message)
    assert _told(explain_dag(facts, "sales", NOW))[0] == ("leadership", message)
    assert why(facts_of(spec_of(task("load")), one_task("running"), leader=lost))[0][0] == "running"


def test_nobody_ever_led() -> None:
    message = "no scheduler has led here yet; start one: `tradewind scheduler` or `tradewind standalone`"
    assert why(facts_of(spec_of(task("load")), one_task(), leader=None)) == [("leadership", message)]


# ---- the other states ------------------------------------------------------------------------------

RETRY = NOW + timedelta(minutes=4)


@pytest.mark.parametrize(
    ("instance", "kind", "message"),
    [
        (
            row(0, "load", "up_for_retry", wake_at=RETRY, try_number=2, tries_max=4, reason="exit code 2"),
            "retry_at",
            "retry at 06:15:00 UTC (in 4 min): try 3 of 4; the last one failed: exit code 2",
        ),
        (
            row(0, "load", "up_for_reschedule", wake_at=RETRY, reason="file is not there"),
            "reschedule_at",
            "looks again at 06:15:00 UTC (in 4 min): file is not there",
        ),
        (
            row(0, "load", "scheduled", wake_at=RETRY, losses=2, reason="lost: worker gone"),
            "retry_at",
            "starts again at 06:15:00 UTC (in 4 min), after loss 2 of 5 of its worker: lost: worker gone",
        ),
        (
            row(0, "load", "running", tries_max=3),
            "running",
            "running on w1 since 06:10:00 UTC (1 min), try 1 of 3",
        ),
        (
            row(0, "load", "deferred", reason="S3KeyTrigger", wake_at=RETRY),
            "deferred",
            "waits without a slot for S3KeyTrigger, at most until 06:15:00 UTC (in 4 min)",
        ),
        (
            row(0, "load", "awaiting_input", reason="approve"),
            "awaiting_input",
            "waits for a person to answer: approve",
        ),
        (
            row(0, "load", "none", held=True),
            "task_held",
            "a person holds this task: it starts when it is released",
        ),
        (
            row(0, "load", "none"),
            "queued",
            "nothing holds it back: the scheduler decides on it at its next turn",
        ),
        (
            row(0, "load", "failed"),
            "ended",
            "ended as failed at 06:04:00 UTC after 4 min: exit code 2",
        ),
    ],
)
def test_states(instance: InstanceRow, kind: str, message: str) -> None:
    assert why(facts_of(spec_of(task("load")), snapshot(run(), [instance]))) == [(kind, message)]


def test_a_retry_says_until_when() -> None:
    waiting = row(0, "load", "up_for_retry", wake_at=RETRY, try_number=1, tries_max=2)
    (reason,) = explain_instance(facts_of(spec_of(task("load")), snapshot(run(), [waiting])), waiting.id, NOW)
    assert (reason.until, reason.data) == (RETRY, {"try_number": 2, "tries_max": 2})


def test_unfinished_instances_of_a_run() -> None:
    spec = spec_of(task("a"), task("load", "a"))
    rows = [row(0, "a", "running"), row(1, "load", "none"), row(2, "gone", "success")]
    told = explain_unfinished(facts_of(spec, snapshot(run(), rows)), 1, NOW)
    assert [(one.task_id, [reason.kind.value for reason in reasons]) for one, reasons in told] == [
        ("a", ["running"]),
        ("load", ["upstream"]),
    ]


def test_what_is_not_there() -> None:
    facts = facts_of(spec_of(task("load")), one_task())
    with pytest.raises(NotFoundError, match="no run with the key 7"):
        explain_run(facts, 7, NOW)
    with pytest.raises(NotFoundError, match="no task instance with the id"):
        explain_instance(facts, instance_id(1, 9), NOW)
