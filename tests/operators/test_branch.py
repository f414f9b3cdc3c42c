"""Branches and short circuits: what follows, what is skipped, and what a wrong choice is told."""

from collections.abc import Callable
from typing import Any

import pytest

from tradewind import TaskGroup, task, task_group
from tradewind.operators import (
    BranchOperator,
    BranchPythonOperator,
    EmptyOperator,
    PythonOperator,
    ShortCircuitOperator,
)
from tradewind.testing.dag_result import DagTestResult

Run = Callable[..., DagTestResult]


def step(task_id: str, **options: Any) -> PythonOperator:
    return PythonOperator(task_id=task_id, python_callable=lambda: task_id, **options)


def diamond(chosen: Any) -> Callable[[], None]:
    def build() -> None:
        branch = BranchPythonOperator(task_id="branch", python_callable=lambda: chosen)
        join = step("join", trigger_rule="none_failed_min_one_success")
        branch >> [step("a"), step("b")] >> join
        branch >> join
        with TaskGroup("g"):
            first = step("x")
            first >> step("y")
        branch >> first

    return build


@pytest.mark.parametrize(
    ("chosen", "skipped"),
    [
        ("a", {"b", "g.x", "g.y"}),
        (["a", "b"], {"g.x", "g.y"}),
        ("g", {"a", "b", "join"}),
        ("g.x", {"a", "b", "join"}),
        ("join", {"a", "b", "g.x", "g.y"}),
        (None, {"a", "b", "join", "g.x", "g.y"}),
    ],
)
def test_what_was_not_chosen_is_skipped(run: Run, chosen: Any, skipped: set[str]) -> None:
    result = run(diamond(chosen))
    assert {name for name, state in result.states().items() if state == "skipped"} == skipped
    assert result.state == "success"


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        (
            "aa",
            'chose "aa", which does not follow it directly. It may choose: a, b, join, g.x, g. Did you mean a',
        ),
        ("g.y", "Did you mean g.x"),
        ([5], "returned 5; it must return ids of tasks or groups, or None"),
    ],
)
def test_a_wrong_choice_names_what_is_right(run: Run, chosen: Any, problem: str) -> None:
    result = run(diamond(chosen))
    assert result.states()["branch"] == "failed"
    assert problem in result.reasons()["branch"]


def test_ids_may_leave_out_the_groups_prefix(run: Run) -> None:
    def build() -> None:
        with TaskGroup("g"):
            BranchPythonOperator(task_id="branch", python_callable=lambda: "a") >> [step("a"), step("b")]

    assert run(build).states() == {"g.branch": "success", "g.a": "success", "g.b": "skipped"}


def test_each_index_of_a_mapped_group_branches_for_itself(run: Run) -> None:
    def build() -> None:
        @task_group
        def g(x: int) -> None:
            @task.branch
            def pick(x: int) -> str:
                return "even" if x % 2 == 0 else "odd"

            pick(x) >> [step("even"), step("odd")]

        g.expand(x=[0, 1])

    states = run(build).states()
    assert {name: states[name] for name in states if "pick" not in name} == {
        "g.even[0]": "success",
        "g.even[1]": "skipped",
        "g.odd[0]": "skipped",
        "g.odd[1]": "success",
    }


def test_a_branch_class_of_ones_own(run: Run) -> None:
    class Pick(BranchOperator):
        def choose(self, context: Any) -> Any:
            return context.params["to"]

    def build() -> None:
        Pick(task_id="p") >> [EmptyOperator(task_id="a"), EmptyOperator(task_id="b")]

    assert run(build, params={"to": "b"}).states() == {"p": "success", "a": "skipped", "b": "success"}


def circuit(*, result: Any, **options: Any) -> Callable[[], None]:
    def build() -> None:
        check = ShortCircuitOperator(task_id="check", python_callable=lambda: result, **options)
        clean = step("clean").as_teardown(setups=step("make").as_setup())
        check >> step("near") >> step("far", trigger_rule="all_done") >> clean

    return build


@pytest.mark.parametrize(
    ("options", "near", "far"),
    [
        ({"result": 1}, "success", "success"),
        ({"result": []}, "skipped", "skipped"),
        ({"result": 0, "ignore_downstream_trigger_rules": False}, "skipped", "success"),
    ],
)
def test_short_circuit(run: Run, options: dict[str, Any], near: str, far: str) -> None:
    assert run(circuit(**options)).states() == {
        "make": "success",
        "check": "success",
        "near": near,
        "far": far,
        "clean": "success",
    }
