"""Every kind of reason of a task instance, as the sentence a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.domain.explaining import (
    NOW,
    SIX,
    facts_of,
    one_task,
    row,
    run,
    snapshot,
    spec_of,
    task,
    why,
)
from tradewind.domain.explain import (
    ExecutorFacts,
    explain_instance,
    explain_run,
    explain_unfinished,
)
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import (
    InstanceRow,
    PoolRow,
    RunSnapshot,
    instance_id,
)
from tradewind.domain.spec import DagSpec, ExpandSpec, KeyedLimit, RefInput, TriggerRule
from tradewind.domain.states import RunState
from tradewind.errors import NotFoundError

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


def test_several_limits_are_alltold() -> None:
    spec = spec_of(task("load"), max_active_tasks=1)
    facts = facts_of(
        spec, one_task(held=True), *others(1), pools={"default": PoolRow(name="default", slots=1)}
    )
    assert [kind for kind, _ in why(facts)] == ["task_held", "pool_full", "max_active_tasks"]


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
