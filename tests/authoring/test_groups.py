"""Groups in the graph: edges at groups stand for edges at their first and last tasks; setups and teardowns."""

from __future__ import annotations

import pytest

from tests.authoring.operators import Say
from tradewind import DAG, TaskGroup
from tradewind.authoring.compile import CompileErrors, compile_dag
from tradewind.authoring.edges import resolve
from tradewind.errors import ArgumentError


def upstream(dag: DAG) -> dict[str, tuple[str, ...]]:
    return {t.task_id: t.upstream for t in compile_dag(dag)[0].tasks}


def test_a_group_is_entered_at_its_first_and_left_at_its_last_tasks() -> None:
    with DAG("d") as dag:
        start, end = Say(task_id="start"), Say(task_id="end")
        with TaskGroup("g") as g:
            a, b, c, d = (Say(task_id=name) for name in "abcd")
            a >> b
            c >> d
        start >> g >> end
    assert upstream(dag) == {
        "start": (),
        "g.a": ("start",),
        "g.b": ("g.a",),
        "g.c": ("start",),
        "g.d": ("g.c",),
        "end": ("g.b", "g.d"),
    }


def test_a_group_may_be_connected_before_it_is_filled() -> None:
    with DAG("d") as dag:
        start = Say(task_id="start")
        g = TaskGroup("g")
        start >> g
        with g:
            Say(task_id="a")
    assert upstream(dag) == {"start": (), "g.a": ("start",)}


def test_nested_groups_are_resolved_from_inside_out() -> None:
    with DAG("d") as dag:
        with TaskGroup("outer") as outer:
            with TaskGroup("one") as one:
                Say(task_id="a") >> Say(task_id="b")
            with TaskGroup("two") as two:
                Say(task_id="c")
            last = Say(task_id="last")
            one >> two >> last
        Say(task_id="start") >> outer >> Say(task_id="end")
    assert upstream(dag) == {
        "start": (),
        "outer.one.a": ("start",),
        "outer.one.b": ("outer.one.a",),
        "outer.two.c": ("outer.one.b",),
        "outer.last": ("outer.two.c",),
        "end": ("outer.last",),
    }
    assert last.upstream_task_ids == {"outer.two.c"}


def test_a_group_without_prefix_and_a_task_named_by_group() -> None:
    with DAG("d") as dag:
        with TaskGroup("g", prefix_group_id=False) as g:
            a = Say(task_id="a")
        b = Say(task_id="b", group=g)
    spec = compile_dag(dag)[0]
    assert [(t.task_id, t.group, node.label) for t, node in zip(spec.tasks, (a, b), strict=True)] == [
        ("a", "g", "a"),
        ("b", "g", "b"),
    ]


def test_tasks_after_a_group_do_not_wait_for_its_teardown() -> None:
    with DAG("d") as dag:
        with TaskGroup("g") as g:
            make = Say(task_id="make")
            work = Say(task_id="work")
            drop = Say(task_id="drop").as_teardown(setups=make)
            make >> work >> drop
        Say(task_id="start") >> g >> Say(task_id="end")
    assert upstream(dag) == {
        "start": (),
        "g.make": ("start",),
        "g.work": ("g.make",),
        "g.drop": ("g.make", "g.work"),
        "end": ("g.work",),
    }


def test_a_block_puts_its_tasks_between_setup_and_teardown() -> None:
    with DAG("d") as dag:
        make, drop = Say(task_id="make").as_setup(), Say(task_id="drop").as_teardown()
        with make >> drop:
            Say(task_id="a") >> Say(task_id="b")
            with TaskGroup("g"):
                Say(task_id="c")
        Say(task_id="apart")
    spec = {t.task_id: t for t in compile_dag(dag)[0].tasks}
    assert upstream(dag) == {
        "make": (),
        "a": ("make",),
        "b": ("a",),
        "g.c": ("make",),
        "drop": ("b", "g.c", "make"),
        "apart": (),
    }
    assert (spec["make"].is_setup, spec["drop"].setups) == (True, ("make",))


def test_blocks_nest() -> None:
    with DAG("d") as dag:
        make, drop = Say(task_id="make").as_setup(), Say(task_id="drop").as_teardown()
        with make >> drop:
            inner, undo = Say(task_id="inner").as_setup(), Say(task_id="undo").as_teardown()
            with inner >> undo:
                Say(task_id="work")
    assert upstream(dag) == {
        "make": (),
        "inner": ("make",),
        "work": ("inner",),
        "undo": ("inner", "work"),
        "drop": ("make", "undo"),
    }


def test_a_block_needs_a_setup_or_teardown() -> None:
    with DAG("d"):
        plain = Say(task_id="plain")
        with pytest.raises(ArgumentError, match='"plain" is neither') as caught, plain:
            pass
    assert caught.value.file == __file__


def test_a_group_cannot_be_connected_to_its_own_content() -> None:
    with DAG("d") as dag:
        with TaskGroup("g") as g:
            a = Say(task_id="a")
        a >> g
        g >> g
    messages = [str(problem) for problem in resolve(dag).problems]
    assert [problem.line for problem in resolve(dag).problems if problem.file != __file__] == []
    inside = 'Group "g" is connected to the task "g.a", which is inside it, so it would wait for itself.'
    assert messages == [
        f'{inside} DAG "d" has a cycle.',
        'Group "g" waits for itself. DAG "d" has a cycle.',
    ]


def test_a_cycle_through_groups_names_the_edges_at_groups() -> None:
    with DAG("d") as dag:
        with TaskGroup("one") as one:
            Say(task_id="a") >> Say(task_id="b")
        with TaskGroup("two") as two:
            Say(task_id="c")
        one >> two >> one
    with pytest.raises(CompileErrors) as caught:
        compile_dag(dag)
    assert "The edges one >> two, two >> one are part of it" in str(caught.value)
    assert "one.a >> one.b >> two.c >> one.a" in str(caught.value)


def test_a_group_outside_every_dag_is_refused() -> None:
    with pytest.raises(ArgumentError, match='Task group "g" belongs to no DAG') as caught:
        TaskGroup("g")
    assert caught.value.file == __file__
