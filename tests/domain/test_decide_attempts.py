"""Attempts through decide: retries, claims, reports, losses, and what ends or waits before its time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.kernel import T0, Kernel, by_task, dag, over, seconds, task
from tradewind.domain.actions import Selection, clear
from tradewind.domain.decide import decision
from tradewind.domain.decide.ready import look
from tradewind.domain.leases import LOSSES_MAX, Loss, ReportVerdict
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.spec import GroupSpec, RetrySpec, TriggerRule
from tradewind.domain.states import RunState, TaskState
from tradewind.domain.world import Claim

OK, BAD, SKIP, FAIL = OutcomeKind.SUCCESS, OutcomeKind.ERROR, OutcomeKind.SKIPPED, OutcomeKind.FAILED


# ---- retries -----------------------------------------------------------------------------------------


def test_a_retry_waits_its_time_and_clears_xcoms_at_its_start() -> None:
    kernel = Kernel(dag(task("a", retry=RetrySpec(retries=1, delay_seconds=60))))
    pk = kernel.trigger()
    kernel.settle()
    kernel.work(lambda *_: {"kind": BAD, "xcoms": {"k": "1"}})
    assert kernel.states(pk) == {"a": "up_for_retry"}
    assert kernel.decision.wake_at == T0 + seconds(60)
    assert kernel.store.xcoms == {(pk, "a", ()): {"k": "1"}}
    kernel.now = T0 + seconds(60)
    kernel.settle()
    launch = kernel.queue.pop()
    assert (launch.try_number, launch.token) == (2, 2)
    kernel.claim(launch)
    kernel.settle()
    assert kernel.store.xcoms == {}
    kernel.report(launch, BAD, reason="exit code 1")
    kernel.settle()
    assert (kernel.row(pk, "a").state, kernel.row(pk, "a").reason) == ("failed", "exit code 1")
    assert [(a.token, a.try_number, a.state) for a in kernel.store.attempts] == [
        (1, 1, "up_for_retry"),
        (2, 2, "failed"),
    ]


@pytest.mark.parametrize(("report", "state"), [({"retry": False}, "failed"), ({}, "up_for_retry")])
def test_the_worker_may_forbid_a_retry(report: dict[str, Any], state: str) -> None:
    kernel = Kernel(dag(task("a", retry=RetrySpec(retries=3))))
    pk = kernel.trigger()
    kernel.settle()
    kernel.work(lambda *_: {"kind": BAD, **report})
    assert kernel.states(pk) == {"a": state}


def test_a_reschedule_keeps_the_try_and_the_first_start() -> None:
    kernel = Kernel(dag(task("a")))
    pk = kernel.trigger()
    kernel.settle()
    kernel.work(
        lambda *_: {"kind": OutcomeKind.RESCHEDULE, "wake_at": kernel.now + seconds(30), "xcoms": {"k": "1"}}
    )
    assert kernel.states(pk) == {"a": "up_for_reschedule"}
    kernel.now = T0 + seconds(30)
    kernel.settle()
    launch = kernel.queue.pop()
    assert (launch.try_number, launch.token) == (1, 2)
    kernel.claim(launch)
    kernel.settle()
    row = kernel.row(pk, "a")
    assert (row.first_started_at, row.started_at) == (T0, kernel.now)
    assert kernel.store.xcoms == {(pk, "a", ()): {"k": "1"}}


def test_a_group_is_tried_again_as_a_whole_before_the_outside_sees_it() -> None:
    spec = dag(
        task("g.a", group="g"),
        task("g.b", "g.a", group="g"),
        task("after", "g.b"),
        task("alarm", "g.b", trigger_rule=TriggerRule.ONE_FAILED),
        groups=(GroupSpec(group_id="g", retries=1),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, _i, n: FAIL if t == "g.b" and n == 1 else OK)
    assert kernel.states(pk) == {"g.a": "success", "g.b": "success", "after": "success", "alarm": "skipped"}
    assert kernel.started == ["g.a", "g.b", "g.a", "g.b", "after"]
    assert kernel.store.runs[pk].retries_used == {"g": 1}


def test_a_group_that_fails_for_good_is_seen_then() -> None:
    spec = dag(
        task("g.a", group="g"),
        task("g.b", "g.a", group="g"),
        task("after", "g.b"),
        groups=(GroupSpec(group_id="g", retries=2),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(by_task({"g.a": FAIL}))
    assert kernel.started == ["g.a"] * 3
    assert kernel.states(pk) == {"g.a": "failed", "g.b": "upstream_failed", "after": "upstream_failed"}


def test_each_index_of_a_mapped_group_is_tried_again_alone() -> None:
    spec = dag(
        task("g.a", group="g"),
        task("g.b", "g.a", group="g"),
        groups=(GroupSpec(group_id="g", retries=1, expand=over([1, 2])),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, n: FAIL if (t, i, n) == ("g.b", (1,), 1) else OK)
    assert sorted(kernel.started) == ["g.a[0]", "g.a[1]", "g.a[1]", "g.b[0]", "g.b[1]", "g.b[1]"]
    assert kernel.store.runs[pk].retries_used == {"g[1]": 1}
    assert kernel.run_state(pk) == "success"


def test_an_inner_group_uses_its_retries_before_the_outer_one() -> None:
    spec = dag(
        task("o.g.a", group="o.g"),
        task("alarm", "o.g.a", trigger_rule=TriggerRule.ONE_FAILED),
        groups=(GroupSpec(group_id="o", retries=1), GroupSpec(group_id="o.g", parent="o", retries=1)),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(by_task({"o.g.a": FAIL}))
    assert kernel.started == [*["o.g.a"] * 4, "alarm"]
    assert kernel.store.runs[pk].retries_used == {"o.g": 1, "o": 1}


def test_what_an_inner_group_had_shown_is_taken_back_when_the_outer_one_begins_again() -> None:
    spec = dag(
        task("o.g.a", group="o.g"),
        task("o.b", "o.g.a", group="o"),
        groups=(GroupSpec(group_id="o", retries=1), GroupSpec(group_id="o.g", parent="o", retries=1)),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, _i, n: FAIL if (t, n) == ("o.b", 1) else OK, limit=1)
    assert kernel.started == ["o.g.a", "o.b", "o.g.a", "o.b"]
    assert kernel.run_state(pk) == "success"


def test_a_way_that_comes_back_into_a_group_does_not_wait_for_its_end() -> None:
    spec = dag(
        task("g.a", group="g"),
        task("beside", "g.a"),
        task("g.b", "beside", group="g"),
        groups=(GroupSpec(group_id="g", retries=1),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain()
    assert (kernel.started, kernel.run_state(pk)) == (["g.a", "beside", "g.b"], "success")


def test_a_run_is_tried_again_with_new_lengths() -> None:
    spec = dag(task("a"), task("b", "a", expand=over("a")), run_retries=1)
    kernel = Kernel(spec)
    pk = kernel.trigger()
    lengths = iter([3, 2])
    kernel.drain(
        lambda t, i, n: {"lengths": {"return_value": next(lengths)}} if t == "a" else (FAIL if n == 1 else OK)
    )
    assert kernel.states(pk) == {"a": "success", "b[0]": "success", "b[1]": "success", "b[2]": "removed"}
    assert kernel.run_state(pk) == "success"
    assert [e.kind for e in kernel.store.events if e.kind.startswith("run.")] == [
        "run.running",
        "run.retried",
        "run.success",
    ]


# ---- claims, reports, losses -------------------------------------------------------------------------


def test_a_claim_is_granted_once_and_again_to_the_same_launch() -> None:
    kernel = Kernel(dag(task("a")))
    kernel.trigger()
    kernel.settle()
    (launch,) = kernel.queue
    key = launch.instance_id, launch.token
    world = kernel.world
    assert world.claim(*key, "w1", "c1", T0) is Claim.GRANTED
    assert world.claim(*key, "w1", "c1", T0) is Claim.GRANTED
    assert world.claim(*key, "w1", "c2", T0) is Claim.TAKEN
    assert world.claim(*key, "w2", "c1", T0) is Claim.TAKEN
    assert world.claim(launch.instance_id, launch.token + 1, "w1", "c1", T0) is Claim.STALE
    (write,) = kernel.decide().batch.instances
    assert (write.row.worker, write.lease_seconds, write.guard) == ("w1", 30.0, (TaskState.QUEUED, 1))


def test_a_report_is_recorded_once() -> None:
    kernel = Kernel(dag(task("a"), task("b")))
    kernel.trigger()
    kernel.settle()
    launch = kernel.queue[0]
    assert kernel.report(launch) == ReportVerdict.FENCED  # nobody has claimed it
    kernel.claim(launch)
    assert kernel.report(launch) == ReportVerdict.ACCEPTED
    assert kernel.report(launch) == ReportVerdict.DUPLICATE
    kernel.settle()
    assert len(kernel.store.attempts) == 1


def test_a_loss_uses_up_no_try_and_fences_the_old_attempt() -> None:
    kernel = Kernel(dag(task("a")))
    pk = kernel.trigger()
    kernel.settle()
    old = kernel.queue.pop()
    kernel.claim(old)
    kernel.settle()
    assert (
        kernel.world.lose(old.instance_id, old.token, "worker died", kernel.now, lease_expired=True)
        is Loss.AGAIN
    )
    assert kernel.decide().batch.instances[0].lease_expired
    (new,) = kernel.queue
    assert (new.token, new.try_number) == (3, 1)  # once with the loss, once with the admission
    assert kernel.report(old) == ReportVerdict.FENCED
    assert kernel.row(pk, "a").losses == 1


def test_the_sixth_loss_fails_the_task() -> None:
    kernel = Kernel(dag(task("a")))
    pk = kernel.trigger()
    kernel.settle()
    for _ in range(LOSSES_MAX + 1):
        (launch,) = kernel.queue
        kernel.queue.clear()
        kernel.claim(launch)
        kernel.settle()
        kernel.world.lose(launch.instance_id, launch.token, "out of memory", kernel.now)
        kernel.settle()
        kernel.now += seconds(60)
        kernel.settle()
    assert kernel.states(pk) == {"a": "failed"}
    assert kernel.row(pk, "a").reason == "lost: out of memory; its worker or machine was lost 6 times"
    assert kernel.run_state(pk) == "failed"


def test_an_at_most_once_task_becomes_unknown() -> None:
    kernel = Kernel(dag(task("a", at_most_once=True)))
    pk = kernel.trigger()
    kernel.settle()
    (launch,) = kernel.queue
    kernel.claim(launch)
    assert kernel.world.lose(launch.instance_id, launch.token, "gone", kernel.now) is Loss.UNKNOWN
    kernel.settle()
    assert (kernel.states(pk), kernel.run_state(pk)) == ({"a": "unknown"}, "failed")


# ---- ends before their time --------------------------------------------------------------------------


def test_a_run_that_takes_too_long_fails_after_its_teardowns() -> None:
    spec = dag(
        task("make", is_setup=True),
        task("work", "make"),
        task(
            "drop",
            "work",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
        run_timeout_seconds=60,
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.settle()
    kernel.work()
    launch = kernel.queue.pop()
    kernel.claim(launch)
    kernel.settle()
    kernel.now = T0 + seconds(60)
    kernel.settle()
    assert kernel.states(pk) == {"make": "success", "work": "failed", "drop": "queued"}
    assert kernel.cancels == [(launch.instance_id, launch.token, "local")]
    assert kernel.report(launch) == ReportVerdict.FENCED
    kernel.work()
    assert kernel.run_state(pk) == "failed"
    assert kernel.store.runs[pk].reason == "the run took longer than its limit of 60 s"


def test_fail_fast_stops_the_rest() -> None:
    kernel = Kernel(dag(task("a"), task("b"), task("c", "b"), fail_fast=True))
    pk = kernel.trigger()
    kernel.settle()
    first, second = kernel.queue
    kernel.claim(first)
    kernel.claim(second)
    kernel.report(first, FAIL)
    kernel.settle()
    assert kernel.states(pk) == {"a": "failed", "b": "failed", "c": "skipped"}
    assert kernel.cancels == [(second.instance_id, 1, "local")]
    assert kernel.run_state(pk) == "failed"


def test_a_user_cancels_a_run() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.settle()
    (launch,) = kernel.queue
    kernel.claim(launch)
    kernel.settle()
    for task_id in ("a", "b"):
        row = kernel.row(pk, task_id)
        kernel.store.instances[row.id] = type(row)(
            **{f: getattr(row, f) for f in row.__struct_fields__}
            | {"state": TaskState.CANCELLED, "token": row.token + 1}
        )
    kernel.change(kernel.store.runs[pk], state=RunState.CANCELLED)
    kernel.settle()
    assert kernel.cancels == [(launch.instance_id, launch.token, "local")]
    assert kernel.world.runs == {}


def test_a_paused_run_starts_nothing_and_goes_on_when_resumed() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.settle()
    launch = kernel.queue.pop()
    kernel.claim(launch)
    kernel.settle()
    kernel.change(kernel.store.runs[pk], state=RunState.PAUSED)
    kernel.report(launch)
    kernel.settle()
    assert (kernel.states(pk), kernel.queue) == ({"a": "success", "b": "none"}, [])
    kernel.change(kernel.store.runs[pk], state=RunState.QUEUED)
    kernel.drain()
    assert kernel.run_state(pk) == "success"


def test_an_attempt_of_a_paused_run_is_not_given_away() -> None:
    kernel = Kernel(dag(task("a")))
    pk = kernel.trigger()
    kernel.settle()
    launch = kernel.queue.pop()
    kernel.change(kernel.store.runs[pk], state=RunState.PAUSED)
    assert kernel.world.claim(launch.instance_id, launch.token, "w", "c", T0) is Claim.HELD
    kernel.settle()
    assert kernel.states(pk) == {"a": "scheduled"}
    kernel.change(kernel.store.runs[pk], state=RunState.QUEUED)
    kernel.drain()
    assert (kernel.run_state(pk), kernel.row(pk, "a").losses) == ("success", 0)


def test_a_held_task_waits_until_it_is_released() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a"), task("c", "a", empty=True)))
    pk = kernel.trigger()
    kernel.settle()
    for task_id in ("b", "c"):
        kernel.change(kernel.row(pk, task_id), held=True)
    kernel.drain()
    assert kernel.states(pk) == {"a": "success", "b": "scheduled", "c": "scheduled"}
    for task_id in ("b", "c"):
        kernel.change(kernel.row(pk, task_id), held=False)
        kernel.settle()
    kernel.drain()
    assert kernel.run_state(pk) == "success"


def test_a_cleared_running_task_starts_again_and_the_old_attempt_is_cancelled() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.settle()
    old = kernel.queue.pop()
    kernel.claim(old)
    kernel.settle()
    kernel.change(kernel.row(pk, "a"), state=TaskState.NONE, token=2)
    kernel.settle()
    assert kernel.cancels == [(old.instance_id, 1, "local")]
    assert kernel.report(old) == ReportVerdict.FENCED
    (new,) = kernel.queue
    assert (new.token, new.try_number) == (3, 2)


def test_a_new_version_adds_and_removes_tasks() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.drain(by_task({"a": FAIL}))
    kernel.add_dag(dag(task("a"), task("c", "a")))
    kernel.world.put_version(2, kernel.store.graphs[2])
    for task_id in ("a", "b"):
        row = kernel.row(pk, task_id)
        kernel.store.instances[row.id] = type(row)(
            **{f: getattr(row, f) for f in row.__struct_fields__} | {"state": TaskState.NONE}
        )
    kernel.change(kernel.store.runs[pk], state=RunState.QUEUED, version_id=2)
    kernel.drain()
    assert kernel.states(pk) == {"a": "success", "b": "removed", "c": "success"}
    assert kernel.run_state(pk) == "success"


def test_nothing_waits_for_ever() -> None:
    """A rule that nothing can satisfy any more because of a stray row is failed with the reason."""
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.settle()
    kernel.work()
    row = kernel.row(pk, "a")
    del kernel.store.instances[kernel.row(pk, "b").id]
    kernel.queue.clear()
    kernel.change(row, state=TaskState.SUCCESS)
    kernel.drain()
    assert kernel.run_state(pk) == "success"


# ---- depends_on_past ---------------------------------------------------------------------------------


def test_depends_on_past_waits_for_the_run_before() -> None:
    kernel = Kernel(dag(task("a", depends_on_past=True), task("b", "a")))
    first = kernel.trigger(at=T0 - seconds(20))
    second = kernel.trigger(at=T0 - seconds(10))
    kernel.settle()
    assert [launch.run_id for launch in kernel.queue] == [f"manual__{first}"]
    kernel.work()
    assert kernel.states(second)["a"] == "queued"
    kernel.drain()
    assert (kernel.run_state(first), kernel.run_state(second)) == ("success", "success")


def test_depends_on_past_waits_for_a_failed_run_until_it_is_repaired() -> None:
    kernel = Kernel(dag(task("a", depends_on_past=True)))
    first = kernel.trigger(at=T0 - seconds(20))
    kernel.drain(by_task({"a": FAIL}))
    second = kernel.trigger(at=T0 - seconds(10))
    kernel.settle()
    assert (kernel.states(second), kernel.run_state(second)) == ({"a": "none"}, "running")
    kernel.change(kernel.row(first, "a"), state=TaskState.SUCCESS)
    kernel.drain()
    assert kernel.run_state(second) == "success"


def test_wait_for_downstream_waits_for_the_next_tasks_too() -> None:
    kernel = Kernel(dag(task("a", wait_for_downstream=True), task("b", "a")))
    kernel.trigger(at=T0 - seconds(20))
    second = kernel.trigger(at=T0 - seconds(10))
    kernel.settle()
    kernel.work()
    assert kernel.states(second)["a"] == "none"
    kernel.work()
    assert kernel.states(second)["a"] == "queued"


def test_a_run_is_not_kept_from_starting_by_one_that_waits_for_it() -> None:
    kernel = Kernel(dag(task("a", depends_on_past=True), max_active_runs=1))
    late = kernel.trigger(at=T0 - seconds(10), priority=5)
    early = kernel.trigger(at=T0 - seconds(20))
    kernel.drain()
    assert (kernel.run_state(early), kernel.run_state(late)) == ("success", "success")
    assert kernel.store.attempts[0].instance_id >> 20 == early


def test_a_run_that_is_queued_again_gets_its_whole_time() -> None:
    kernel = Kernel(dag(task("a"), run_timeout_seconds=60))
    pk = kernel.trigger()
    kernel.drain(by_task({"a": FAIL}))
    kernel.now += seconds(3600)
    graph = kernel.store.graphs[1]
    plan = clear(kernel.store.snapshot(pk), graph, Selection(("a",)), now=kernel.now, actor="cli:anna")
    kernel.store.apply(plan.batch)
    kernel.world.sync_run(kernel.store.snapshot(pk))
    kernel.drain()
    assert kernel.run_state(pk) == "success"


def test_a_run_that_cannot_be_decided_on_is_set_aside_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    bad, good = kernel.trigger(), kernel.trigger()
    kernel.settle()

    def broken(world: Any, cell: Any, now: Any) -> None:
        if cell.node.run.pk == bad:
            raise RuntimeError("a bug")
        look(world, cell, now)

    monkeypatch.setattr(decision, "look", broken)
    for launch in list(kernel.queue):
        kernel.claim(launch)
        kernel.report(launch)
    kernel.queue.clear()
    troubles = kernel.decide().troubles
    assert [(pk, str(error)) for pk, error in troubles] == [(bad, "a bug")]
    assert list(kernel.world.runs) == [good]
    assert kernel.states(bad) == {"a": "queued", "b": "none"}
    kernel.drain()
    assert kernel.run_state(good) == "success"
    monkeypatch.undo()
    kernel.world.load_run(kernel.store.snapshot(bad))
    kernel.drain()
    assert kernel.run_state(bad) == "success"
