"""Operators: arguments, defaults, registration, edges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.authoring.operators import Move, MoveTwice, Nothing, Say, Wait
from tradewind.authoring.chains import chain, chain_linear, cross_downstream
from tradewind.authoring.compile import compile_dag
from tradewind.authoring.dag import DAG
from tradewind.authoring.graph import Label
from tradewind.authoring.group import TaskGroup
from tradewind.authoring.operator import Operator
from tradewind.authoring.options import TASK_OPTION_NAMES, TaskDefaults
from tradewind.authoring.task import Task
from tradewind.domain.spec import RetrySpec, TriggerRule
from tradewind.errors import ArgumentError


def edges(dag: DAG) -> list[tuple[str, str]]:
    return list(dag.resolve_edges())


def test_what_editors_see_is_what_instances_have() -> None:
    assert set(TaskDefaults.__annotations__) == TASK_OPTION_NAMES


def test_an_operator_joins_the_open_dag_and_knows_its_line() -> None:
    with DAG("d") as dag:
        say = Say(task_id="say", text="hi", retries=3, retry_delay=60, on_failure=print)
    assert (say.dag, say.task_id, say.given) == (dag, "say", {"text": "hi"})
    assert (say.retries, say.retry_delay, say.on_failure) == (3, timedelta(seconds=60), (print,))
    assert say.place.file == __file__
    assert dag.get_task("say") is say


def test_an_operator_can_be_made_outside_a_dag_or_be_given_one() -> None:
    alone = Say(task_id="alone")
    assert (alone.dag, alone.task_id) == (None, "alone")
    dag = DAG("d")
    assert Say(task_id="given", dag=dag).dag is dag
    with DAG("other"):
        inner = Say(task_id="x", dag=dag)
    assert inner.dag is dag


def test_default_args_go_from_dag_to_group_to_call() -> None:
    with (
        DAG("d", default_args={"retries": 1, "pool": "dag", "text": "of the dag", "owner": "dag"}),
        TaskGroup("outer", default_args={"pool": "outer", "owner": "outer"}),
        TaskGroup("inner", default_args={"owner": "inner"}),
    ):
        say = Say(task_id="say", retries=5)
        wait = Wait(task_id="wait")
    assert (say.retries, say.pool, say.owner, say.text) == (5, "outer", "inner", "of the dag")
    assert (wait.retries, wait.pool, wait.owner) == (1, "outer", "inner")


def test_class_defaults_and_arguments_that_a_subclass_fixes() -> None:
    task = MoveTwice(task_id="m", source="a")
    assert (task.retries, task.source, task.target, task.again) == (2, "a", "fixed", 1)
    assert MoveTwice(task_id="m", source="a", retries=0).retries == 0


def test_kinds_are_compiled() -> None:
    with DAG("d") as dag:
        Say(task_id="a")
        Move(task_id="b", source=1, target=2)
        Wait(task_id="c")
        Nothing(task_id="d")
        Nothing(task_id="e", on_success=print)
    spec, _ = compile_dag(dag)
    assert [(t.task_id, t.operator, t.operator_kind, t.empty) for t in spec.tasks] == [
        ("a", "Say", "action", False),
        ("b", "Move", "transfer", False),
        ("c", "Wait", "sensor", False),
        ("d", "Nothing", "action", True),
        ("e", "Nothing", "action", False),
    ]


def test_options_are_compiled() -> None:
    with DAG("d") as dag:
        Say(
            task_id="a",
            retries=2,
            retry_delay=timedelta(minutes=1),
            retry_backoff=2,
            retry_delay_max=600,
            execution_timeout=30,
            trigger_rule="none_failed",
            wait_for_downstream=True,
            pool="io",
            pool_slots=2,
            priority_weight=7,
            at_most_once=True,
            no_retry_on=ValueError,
            doc="says it",
        )
    task = compile_dag(dag)[0].tasks[0]
    assert task.retry == RetrySpec(retries=2, delay_seconds=60, backoff=2, delay_max_seconds=600)
    assert (task.timeout_seconds, task.trigger_rule, task.depends_on_past) == (
        30,
        TriggerRule.NONE_FAILED,
        True,
    )
    assert (task.pool, task.pool_slots, task.priority_weight, task.at_most_once) == ("io", 2, 7, True)
    assert task.arguments == {
        "no_retry_on": [{"__tw__": "callable", "value": "builtins:ValueError", "code": ""}]
    } | {"class": task.arguments["class"]}


# What mypy would not let an author write either.
any_say: Any = Say
any_move: Any = Move


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (
            lambda: any_say(task_id="s", retires=3),
            ['Say "s"', 'no argument "retires"', "Did you mean retries"],
        ),
        (lambda: any_say(task_id="s", txt="x"), ['"txt"', "text"]),
        (lambda: any_say(task_id="s", retry_exponential_backoff=2), ["It is called retry_backoff here"]),
        (lambda: any_say(text="x"), ["Say needs the argument task_id: task_id=…."]),
        (lambda: any_move(task_id="m"), ['Move "m" needs the arguments source, target']),
        (lambda: any_say("s"), ["by name only", 'Say(task_id="…"']),
        (
            lambda: MoveTwice(task_id="m", source=1, target=2),
            ["multiple values for keyword argument 'target'"],
        ),
        (lambda: Forgetful(task_id="f"), ["must call super().__init__(**kwargs)"]),
    ],
)
def test_a_wrong_call_says_what_is_right_and_where(wrong: Any, parts: list[str]) -> None:
    with pytest.raises(ArgumentError) as caught:
        wrong()
    assert [part for part in parts if part not in str(caught.value)] == []
    assert caught.value.file == __file__
    assert caught.value.line == wrong.__code__.co_firstlineno


class Forgetful(Operator):
    """Does not hand its arguments on."""

    def __init__(self, **kwargs: Any) -> None:
        pass


def make(*names: str) -> list[Say]:
    return [Say(task_id=name) for name in names]


def test_shifts_connect_tasks_lists_and_each_other() -> None:
    with DAG("d") as dag:
        a, b, c, d, e = make("a", "b", "c", "d", "e")
        a >> [b, c] >> d
        e << d
    assert edges(dag) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]
    assert d.upstream_task_ids == {"b", "c"}
    assert a.downstream_task_ids == {"b", "c"}


def test_lists_shift_left_and_methods_connect_too() -> None:
    with DAG("d") as dag:
        a, b, c, d = make("a", "b", "c", "d")
        [b, c] << a
        d.set_upstream([b, c])
        a.set_downstream(d)
    assert edges(dag) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("a", "d")]


def test_labels_are_kept_on_edges() -> None:
    with DAG("d") as dag:
        a, b, c, d = make("a", "b", "c", "d")
        a >> Label("rows") >> [b, c]
        d << Label("back") << b
        [c] >> Label("list") >> d
    assert compile_dag(dag)[0].labels == (
        ("a", "b", "rows"),
        ("a", "c", "rows"),
        ("b", "d", "back"),
        ("c", "d", "list"),
    )


def test_chains() -> None:
    with DAG("d") as dag:
        a, b, c, d, e, f = make("a", "b", "c", "d", "e", "f")
        chain(a, Label("first"), [b, c], [d, e], f)
    assert edges(dag) == [("a", "b"), ("a", "c"), ("b", "d"), ("c", "e"), ("d", "f"), ("e", "f")]
    assert compile_dag(dag)[0].labels == (("a", "b", "first"), ("a", "c", "first"))
    with DAG("d") as dag:
        a, b, c, d, e, f = make("a", "b", "c", "d", "e", "f")
        chain_linear(a, [b, c], [d, e, f])
        cross_downstream([b], [f])
    assert edges(dag) == [("a", "b"), ("a", "c"), *[(x, y) for x in "bc" for y in "def"]]


def test_chain_refuses_lists_of_different_length() -> None:
    with DAG("d"):
        a, b, c = make("a", "b", "c")
        with pytest.raises(ArgumentError, match=r"2 and 1 items. Use chain_linear") as caught:
            chain([a, b], [c])
    assert caught.value.file == __file__


@pytest.mark.parametrize(
    ("connect", "part"),
    [
        (lambda a, b: a >> 3, "connect tasks, groups and lists of them, not int (3)"),
        (lambda a, b: a >> "b", "not str ('b')"),
        (lambda a, b: a >> print, "must be called first"),
        (lambda a, b: a >> Say(task_id="alone", dag=None), None),
        (lambda a, b: a >> b, 'belongs to DAG "one" and "b" to DAG "two"'),
    ],
)
def test_what_cannot_be_connected(connect: Any, part: str | None) -> None:
    with DAG("one"):
        a = Say(task_id="a")
    with DAG("two"):
        b = Say(task_id="b")
    with pytest.raises(ArgumentError) as caught:
        connect(a, b)
    assert (part or 'The task "alone" belongs to no DAG') in str(caught.value)
    assert caught.value.file == __file__


def test_every_task_is_a_task() -> None:
    with DAG("d") as dag:
        Say(task_id="a")
    assert all(isinstance(task, Task) for task in dag.tasks)
