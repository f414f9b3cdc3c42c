"""Whole runs through decide: rules, branches, setups, retries, limits of time, and how runs end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.domain.kernel import Kernel, by_task, dag, over, task
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.spec import DagSpec, GroupSpec, TriggerRule
from tradewind.domain.states import TaskState

OK, BAD, SKIP, FAIL = OutcomeKind.SUCCESS, OutcomeKind.ERROR, OutcomeKind.SKIPPED, OutcomeKind.FAILED


def outcome_of(spec: DagSpec, does: dict[str, Any] | None = None) -> tuple[dict[str, str], str]:
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(by_task(does or {}))
    return kernel.states(pk), kernel.run_state(pk)


# ---- the plain life ----------------------------------------------------------------------------------


def test_a_chain_is_written_step_by_step() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    pk = kernel.trigger()
    kernel.drain()
    assert kernel.states(pk) == {"a": "success", "b": "success"}
    assert [(e.kind, e.task_id) for e in kernel.store.events] == [
        ("run.running", None),
        ("task.queued", "a"),
        ("task.running", "a"),
        ("task.success", "a"),
        ("task.queued", "b"),
        ("task.running", "b"),
        ("run.success", None),
        ("task.success", "b"),
    ]
    assert [(a.token, a.outcome, a.state) for a in kernel.store.attempts] == [(1, "success", "success")] * 2
    assert kernel.world.runs == {}


def test_a_new_instance_is_written_once_with_its_final_fields() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a")))
    kernel.trigger()
    writes = kernel.decide().batch.instances
    assert [(w.row.task_id, w.row.state, w.guard, w.row.try_number, w.row.token) for w in writes] == [
        ("a", TaskState.QUEUED, None, 1, 1),
        ("b", TaskState.NONE, None, 0, 0),
    ]


def test_a_run_without_tasks_succeeds() -> None:
    assert outcome_of(dag()) == ({}, "success")


def test_empty_tasks_end_without_a_worker() -> None:
    kernel = Kernel(dag(task("a", empty=True), task("b", "a", empty=True)))
    pk = kernel.trigger()
    kernel.settle()
    assert (kernel.run_state(pk), kernel.started) == ("success", [])


def test_nothing_happens_in_a_world_at_rest() -> None:
    kernel = Kernel(dag(task("a")))
    kernel.trigger()
    kernel.settle()
    assert not kernel.decide()


# ---- rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "does", "state", "run"),
    [
        ("all_success", {}, "success", "success"),
        ("all_success", {"a": FAIL}, "upstream_failed", "failed"),
        ("all_success", {"a": SKIP}, "skipped", "success"),
        ("all_done", {"a": FAIL}, "success", "success"),
        ("one_failed", {"a": FAIL}, "success", "success"),
        ("one_failed", {}, "skipped", "success"),
        ("none_failed", {"a": SKIP}, "success", "success"),
        ("none_failed_min_one_success", {"a": SKIP, "b": SKIP}, "skipped", "success"),
        ("all_failed", {"a": FAIL, "b": FAIL}, "success", "success"),
        ("all_skipped", {"a": SKIP, "b": SKIP}, "success", "success"),
    ],
)
def test_rules_decide(rule: str, does: dict[str, Any], state: str, run: str) -> None:
    spec = dag(task("a"), task("b"), task("c", "a", "b", trigger_rule=TriggerRule(rule)))
    states, run_state = outcome_of(spec, does)
    assert (states["c"], run_state) == (state, run)


def test_all_success_fails_before_the_others_are_done() -> None:
    kernel = Kernel(dag(task("a"), task("b"), task("c", "a", "b")))
    pk = kernel.trigger()
    kernel.settle()
    launch, other = kernel.queue
    for one in (launch, other):
        kernel.claim(one)
    kernel.report(launch, FAIL)
    kernel.settle()
    assert kernel.states(pk) == {"a": "failed", "b": "running", "c": "upstream_failed"}
    kernel.report(other)
    kernel.settle()
    assert kernel.run_state(pk) == "failed"


def test_a_failed_middle_task_does_not_fail_the_run_unless_asked() -> None:
    tasks = (task("a"), task("b", "a", trigger_rule=TriggerRule.ALL_DONE))
    assert outcome_of(dag(*tasks), {"a": FAIL})[1] == "success"
    assert outcome_of(dag(*tasks, run_fails_if="any_task_failed"), {"a": FAIL})[1] == "failed"


# ---- branches and short circuits ---------------------------------------------------------------------


def test_a_branch_skips_what_it_names_and_joins_go_on() -> None:
    spec = dag(
        task("pick", decides_branch=True),
        task("left", "pick"),
        task("right", "pick"),
        task("after", "right"),
        task("join", "left", "after", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS),
    )
    assert outcome_of(spec, {"pick": {"branch": ("right",)}}) == (
        {"pick": "success", "left": "success", "right": "skipped", "after": "skipped", "join": "success"},
        "success",
    )


def test_a_branch_in_a_mapped_group_decides_for_its_own_index() -> None:
    spec = dag(
        task("g.pick", group="g", decides_branch=True),
        task("g.left", "g.pick", group="g"),
        task("g.right", "g.pick", group="g"),
        groups=(GroupSpec(group_id="g", expand=over([10, 20])),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: {"branch": (f"g.{'left' if i[0] else 'right'}",)} if t == "g.pick" else {})
    assert kernel.states(pk) == {
        "g.pick[0]": "success",
        "g.pick[1]": "success",
        "g.left[0]": "success",
        "g.left[1]": "skipped",
        "g.right[0]": "skipped",
        "g.right[1]": "success",
    }


def test_a_short_circuit_skips_everything_but_teardowns_whatever_the_rule() -> None:
    spec = dag(
        task("make", is_setup=True),
        task("stop", "make", decides_branch=True),
        task("b", "stop"),
        task("c", "b", trigger_rule=TriggerRule.ALL_DONE),
        task(
            "drop",
            "c",
            "make",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
        task("beside"),
    )
    assert outcome_of(spec, {"stop": {"skip_all_downstream": True}}) == (
        {
            "make": "success",
            "stop": "success",
            "b": "skipped",
            "c": "skipped",
            "drop": "success",
            "beside": "success",
        },
        "success",
    )


# ---- setups and teardowns ----------------------------------------------------------------------------


def setup_dag(**work: Any) -> DagSpec:
    return dag(
        task("make", is_setup=True),
        task("work", "make", **work),
        task("more", "work", trigger_rule=TriggerRule.ALL_DONE),
        task(
            "drop",
            "more",
            "make",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
    )


def test_a_teardown_runs_although_the_work_failed_and_does_not_hide_it() -> None:
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
    )
    assert outcome_of(spec, {"work": FAIL}) == (
        {"make": "success", "work": "failed", "drop": "success"},
        "failed",
    )
    assert outcome_of(spec, {"drop": FAIL})[1] == "success"


def test_a_failed_setup_fails_all_that_need_it_far_down_too() -> None:
    assert outcome_of(setup_dag(), {"make": FAIL}) == (
        {"make": "failed", "work": "upstream_failed", "more": "upstream_failed", "drop": "upstream_failed"},
        "failed",
    )


def test_a_skipped_setup_skips_all_that_need_it() -> None:
    assert outcome_of(setup_dag(), {"make": SKIP})[0] == {
        "make": "skipped",
        "work": "skipped",
        "more": "skipped",
        "drop": "skipped",
    }


def test_a_teardown_waits_for_everything_between() -> None:
    spec = dag(
        task("make", is_setup=True),
        task("slow", "make"),
        task("quick", "make"),
        task("last", "slow", "quick", trigger_rule=TriggerRule.ONE_DONE),
        task(
            "drop",
            "last",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.settle()
    kernel.work()
    slow, quick = sorted(kernel.queue, key=lambda d: d.task_id, reverse=True)
    kernel.queue.clear()
    kernel.claim(slow)
    kernel.claim(quick)
    kernel.report(quick)
    kernel.settle()
    kernel.work()
    assert kernel.states(pk)["last"] == "success"
    assert kernel.states(pk)["drop"] == "none"
    kernel.report(slow)
    kernel.settle()
    kernel.work()
    assert kernel.run_state(pk) == "success"


def test_what_comes_after_a_teardown_needs_its_setup_no_more() -> None:
    spec = dag(
        task("make", is_setup=True),
        task(
            "drop",
            "make",
            is_teardown=True,
            setups=("make",),
            trigger_rule=TriggerRule.ALL_DONE_SETUP_SUCCESS,
        ),
        task("after", "drop", trigger_rule=TriggerRule.ALL_DONE),
    )
    assert outcome_of(spec, {"make": FAIL})[0]["after"] == "success"


# ---- mapping -----------------------------------------------------------------------------------------


def test_mapping_over_nothing_skips() -> None:
    spec = dag(task("a"), task("b", "a", expand=over("a")), task("c", "b"))
    assert outcome_of(spec, {"a": {"lengths": {"return_value": 0}}}) == (
        {"a": "success", "b": "skipped", "c": "skipped"},
        "success",
    )


@pytest.mark.parametrize(
    ("does", "state"),
    [({"a": FAIL}, "upstream_failed"), ({"a": SKIP}, "skipped")],
)
def test_mapping_over_what_did_not_succeed(does: dict[str, Any], state: str) -> None:
    spec = dag(task("a"), task("b", "a", expand=over("a"), trigger_rule=TriggerRule.ALL_DONE))
    assert outcome_of(spec, does)[0]["b"] == state


def test_a_success_without_a_length_to_map_over_is_a_failure() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a", expand=over("a"))))
    pk = kernel.trigger()
    kernel.drain()
    assert kernel.states(pk) == {"a": "failed", "b": "upstream_failed"}
    assert 'pushed no list or dict under "return_value"' in kernel.row(pk, "a").reason


def test_too_long_a_mapping_fails_with_the_limit() -> None:
    kernel = Kernel(dag(task("a"), task("b", "a", expand=over("a")), max_map_length=10))
    pk = kernel.trigger()
    kernel.drain(by_task({"a": {"lengths": {"return_value": 11}}}))
    assert kernel.states(pk) == {"a": "success", "b": "failed"}
    assert "limit max_map_length is 10" in kernel.row(pk, "b").reason


def test_mapping_over_a_mapped_task_counts_its_successes() -> None:
    spec = dag(
        task("a", expand=over([1, 2, 3])),
        task("b", "a", expand=over("a"), trigger_rule=TriggerRule.ALL_DONE),
        task("c", "b"),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: FAIL if (t, i) == ("a", (1,)) else OK)
    assert [key for key in kernel.states(pk) if key.startswith("b")] == ["b[0]", "b[1]"]
    assert kernel.run_state(pk) == "success"


def test_each_index_of_a_mapped_group_goes_its_own_way() -> None:
    spec = dag(
        task("a"),
        task("g.x", "a", group="g"),
        task("g.y", "g.x", group="g"),
        task("z", "g.y", trigger_rule=TriggerRule.ALL_DONE),
        groups=(GroupSpec(group_id="g", expand=over("a")),),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.settle()
    kernel.work(by_task({"a": {"lengths": {"return_value": 3}}}))
    first = kernel.queue.pop(0)
    kernel.claim(first)
    kernel.report(first)
    kernel.settle()
    assert kernel.states(pk)["g.y[0]"] == "queued"  # before g.x[1] has started
    kernel.drain(lambda t, i, _n: FAIL if (t, i) == ("g.x", (2,)) else OK)
    assert kernel.states(pk) == {
        "a": "success",
        "g.x[0]": "success",
        "g.x[1]": "success",
        "g.x[2]": "failed",
        "g.y[0]": "success",
        "g.y[1]": "success",
        "g.y[2]": "upstream_failed",
        "z": "success",
    }


def test_nested_mapped_groups() -> None:
    spec = dag(
        task("g.list", group="g"),
        task("g.h.x", "g.list", group="g.h"),
        task("g.sum", "g.h.x", group="g"),
        task("all", "g.sum", "g.h.x"),
        groups=(
            GroupSpec(group_id="g", expand=over([1, 2])),
            GroupSpec(group_id="g.h", parent="g", expand=over("g.list")),
        ),
    )
    kernel = Kernel(spec)
    pk = kernel.trigger()
    kernel.drain(lambda t, i, _n: {"lengths": {"return_value": i[0] + 1}} if t == "g.list" else {})
    assert kernel.states(pk) == dict.fromkeys(
        ["all", "g.h.x[0.0]", "g.h.x[1.0]", "g.h.x[1.1]", "g.list[0]", "g.list[1]", "g.sum[0]", "g.sum[1]"],
        "success",
    )
    assert kernel.started.index("g.sum[0]") < kernel.started.index("all")
