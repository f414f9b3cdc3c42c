"""Large DAGs: no recursion, no quadratic work; times are printed (pytest -s), the budgets are the bench's."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.authoring.operators import Nothing
from tradewind import DAG, TaskGroup, task
from tradewind.authoring.compile import CompileErrors, compile_dag
from tradewind.authoring.edges import EDGES_MAX, resolve
from tradewind.domain.spec import TASKS_PER_DAG_MAX


def timed(what: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    answer = work()
    print(f"{what}: {time.perf_counter() - started:.2f} s")
    return answer


def five_thousand() -> DAG:
    with DAG("d") as dag:

        @task
        def work(x: int) -> int:
            return x + 1

        rows = [work(number) for number in range(1_000)]
        for _ in range(4):
            rows = [work(row) for row in rows]
    return dag


def test_five_thousand_tasks() -> None:
    dag = timed("write 5,000 decorated tasks", five_thousand)
    spec, _ = timed("compile them", lambda: compile_dag(dag))
    assert len(spec.tasks) == 5_000
    assert [t.task_id for t in spec.tasks] == [t.task_id for t in dag.tasks]


def chain_of(count: int) -> DAG:
    with DAG("d") as dag:
        tasks = [Nothing(task_id=f"t{number}") for number in range(count)]
        for above, below in pairwise(tasks):
            above >> below
    return dag


def test_the_longest_chain_needs_no_recursion() -> None:
    dag = timed("write a chain of 50,000", lambda: chain_of(TASKS_PER_DAG_MAX))
    spec, _ = timed("compile it", lambda: compile_dag(dag))
    assert spec.tasks[-1].upstream == (f"t{TASKS_PER_DAG_MAX - 2}",)


def test_the_longest_cycle_is_found_and_shown_short() -> None:
    dag = chain_of(20_000)
    dag.get_task("t19999") >> dag.get_task("t0")
    with pytest.raises(CompileErrors) as caught:
        timed("find a cycle of 20,000", lambda: compile_dag(dag))
    assert "t0 >> t1 >> t2" in str(caught.value)
    assert "… >> t19999 >> t0" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_deep_groups_need_no_recursion() -> None:
    with DAG("d") as dag:
        start = Nothing(task_id="start")
        groups = []
        for number in range(60):
            group = TaskGroup(f"g{number}", prefix_group_id=False)
            group.__enter__()
            groups.append(group)
        Nothing(task_id="inner")
        for group in reversed(groups):
            group.__exit__(None, None, None)
        start >> groups[0]
    assert list(dag.resolve_edges()) == [("start", "inner")]


def test_groups_connected_each_to_each_have_a_limit() -> None:
    with DAG("d") as dag:
        groups = []
        for name in ("a", "b"):
            with TaskGroup(name) as group:
                for number in range(1_001):
                    Nothing(task_id=f"t{number}")
            groups.append(group)
        groups[0] >> groups[1]
    problems = timed("refuse a million edges", lambda: resolve(dag).problems)
    assert [f"{EDGES_MAX:,} edges" in str(problem) for problem in problems] == [True]
    assert "EmptyOperator between two groups" in str(problems[0])
