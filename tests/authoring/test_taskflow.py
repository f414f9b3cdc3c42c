"""Decorated functions, references to outputs, steps, context."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest

from tests.authoring.operators import Say
from tradewind import DAG, Param, dag, get_current_context, setup, step, task, teardown
from tradewind.authoring.callables import PythonOperator
from tradewind.authoring.compile import compile_dag
from tradewind.authoring.context import use_context
from tradewind.authoring.xcom import XComRef
from tradewind.errors import ArgumentError, Skip


@task
def extract(region: str = "eu") -> list[int]:
    """Get the rows."""
    return [1, 2]


@task(retries=3)
def load(rows: list[int], table: str = "t", *more: int, **options: Any) -> int:
    return len(rows)


any_task: Any = task  # what mypy would not let an author write either


class FakeContext(dict[str, Any]):
    """A context with names and a step memory."""

    params: dict[str, Any]

    def __init__(self, **names: Any) -> None:
        super().__init__(names)
        self.params = names.get("params", {})
        self.done: dict[str, Any] = {}

    def step(self, name: str, function: Any) -> Any:
        if name not in self.done:
            self.done[name] = function()
        return self.done[name]


def run(ref: XComRef, **names: Any) -> Any:
    assert isinstance(ref.task, PythonOperator)
    return ref.task.execute(FakeContext(**names))  # type: ignore[arg-type]


def test_a_call_makes_a_task_and_passing_its_output_an_edge() -> None:
    with DAG("d") as made:
        rows = extract("us")
        count = load(rows, "people", 7, debug=True)
    assert (rows.task_id, rows.key, count.task_id) == ("extract", "return_value", "load")
    first, second = made.get_task("extract"), made.get_task("load")
    assert (first.op_args, first.op_kwargs, first.doc) == ([], {"region": "us"}, "Get the rows.")
    assert (second.op_args, second.op_kwargs, second.retries) == ([rows, "people", 7], {"debug": True}, 3)
    assert list(made.resolve_edges()) == [("extract", "load")]


def test_calling_again_and_override_make_other_tasks() -> None:
    with DAG("d") as made:
        extract()
        extract()
        extract.override(task_id="fetch", pool="io")()
        extract()
    assert [t.task_id for t in made.tasks] == ["extract", "extract__1", "fetch", "extract__2"]
    assert made.get_task("fetch").pool == "io"
    assert made.get_task("extract").pool == "default"


def test_the_function_stays_callable() -> None:
    assert extract.function("x") == [1, 2]
    assert extract.__name__ == "extract"


def test_references_are_found_anywhere() -> None:
    with DAG("d") as made:
        a, b, c, d = (extract.override(task_id=name)() for name in "abcd")
        Say(task_id="list", text=[1, {"x": (a,)}])
        Say(task_id="key", text=b["other"])
        Say(task_id="text", text=f"cp {c} /tmp")
        late = Say(task_id="late")
        late.text = d
    compiled = {t.task_id: t.upstream for t in compile_dag(made)[0].tasks}
    assert {name: compiled[name] for name in ("list", "key", "text", "late")} == {
        "list": ("a",),
        "key": ("b",),
        "text": ("c",),
        "late": ("d",),
    }


def test_references_connect_and_are_equal_by_task_and_key() -> None:
    with DAG("d") as made:
        rows = extract()
        rows >> load([1])
        assert rows == made.get_task("extract").output
        assert rows["a"] == rows["a"]
        assert rows != rows["a"]
        assert len({rows, made.get_task("extract").output}) == 1
    assert list(made.resolve_edges()) == [("extract", "load")]


@pytest.mark.parametrize(
    ("use", "part"),
    [
        (lambda ref: [*ref], 'The output of task "extract" is known only at run time, so a loop'),
        (lambda ref: [*ref.map(str)], "some_task.expand"),
        (lambda ref: 1 if ref else 2, "@task.branch"),
        (lambda ref: ref[0], "named by a string, not by 0"),
        (lambda ref: ref.map(3), ".map() takes a plain function, not int"),
    ],
)
def test_what_cannot_be_done_with_an_output_while_the_dag_is_written(use: Any, part: str) -> None:
    with DAG("d"):
        ref = extract()
        with pytest.raises(ArgumentError) as caught:
            use(ref)
    assert part in str(caught.value)
    assert caught.value.file == __file__


@task
def needs(a: int, ds: str, params: Any = None, *, ti: Any) -> tuple[Any, ...]:
    return a, ds, params, ti


@task
def takes_all(a: int, **context: Any) -> tuple[int, dict[str, Any]]:
    return a, context


@task
def takes_whole(ctx: Any, context: Any = None, run_id: str = "mine") -> tuple[bool, str]:
    return ctx is context, run_id


@task
async def later(a: int) -> int:
    return a + 1


def test_functions_get_context_by_name() -> None:
    with DAG("d"):
        assert run(needs(1), ds="D", params={"p": 1}, ti="TI") == (1, "D", {"p": 1}, "TI")
        assert run(needs(1, ds="given", params=2, ti=3)) == (1, "given", 2, 3)
        assert run(takes_all(1), ds="D", secret="no") == (1, {"ds": "D"})
        assert run(takes_whole(), run_id="R") == (True, "mine")
        assert run(later(1)) == 2


@pytest.mark.parametrize(
    ("wrong", "parts"),
    [
        (lambda: needs.override()(), ["needs() needs the argument a."]),  # noqa: PLW0108 - its line is checked
        (lambda: extract(regoin="eu"), ['extract() has no argument "regoin". Did you mean region?']),
        (lambda: extract(1, 2), ["extract(): too many positional arguments"]),
        (lambda: extract(retries=2), ['no argument "retries"', "extract().override(retries=…)"]),
        (lambda: extract.override(retrys=2), ['extract().override has no argument "retrys"', "retries"]),
        (lambda: task(lambda: 1).override()(), ['A task made of "<lambda>" needs an id']),  # noqa: PLW0108 - its line is checked
        (lambda: any_task(3), ["@task decorates a function, not int (3)"]),
        (lambda: task(extract), ["@task decorates a function, not DecoratedTask"]),
        (lambda: task(retires=1), ['@task has no argument "retires". Did you mean retries']),
        (lambda: any_task.skip_if(True), ["takes a function of the context"]),
        (lambda: any_task.run_if(bool)(print), ["stands above @task"]),
    ],
)
def test_a_wrong_call_says_what_is_right_and_where(wrong: Any, parts: list[str]) -> None:
    with DAG("d"), pytest.raises(ArgumentError) as caught:
        wrong()
    assert [part for part in parts if part not in str(caught.value)] == []
    assert (caught.value.file, caught.value.line) == (__file__, wrong.__code__.co_firstlineno)


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no @task.brunch. Did you mean branch"):
        task.brunch  # noqa: B018


class Both(TypedDict):
    a: int
    b: int


def returns_typed_dict() -> Both: ...  # type: ignore[empty-body]
def returns_dict_of() -> dict[str, int]: ...  # type: ignore[empty-body]
def returns_dict() -> dict: ...  # type: ignore[empty-body,type-arg]
def returns_list() -> list[dict[str, int]]: ...  # type: ignore[empty-body]
def returns_unknown() -> Nowhere: ...  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("function", "several"),
    [
        (returns_typed_dict, True),
        (returns_dict_of, True),
        (returns_dict, False),
        (returns_list, False),
        (returns_unknown, False),
    ],
)
def test_multiple_outputs_follow_the_return_annotation(function: Any, several: bool) -> None:
    with DAG("d") as made:
        task(function)()
        task(multiple_outputs=not several, task_id="asked")(function)()
    assert made.get_task(function.__name__).multiple_outputs is several
    assert made.get_task("asked").multiple_outputs is not several


def test_guards_skip_before_the_task_runs() -> None:
    @task.skip_if(lambda context: context["ds"] == "holiday", "closed")
    @task.run_if(lambda context: context["params"]["full"])
    @task
    def work() -> int:
        return 1

    with DAG("d") as made:
        work()
    operator = made.get_task("work")
    operator.pre_execute(FakeContext(ds="monday", params={"full": True}))
    with pytest.raises(Skip, match="closed"):
        operator.pre_execute(FakeContext(ds="holiday", params={"full": True}))
    with pytest.raises(Skip, match="run_if"):
        operator.pre_execute(FakeContext(ds="monday", params={"full": False}))


def test_setup_and_teardown_functions() -> None:
    @setup
    def make() -> None: ...

    @teardown(on_failure_fail_dagrun=True)
    @task(retries=2)
    def drop() -> None: ...

    with DAG("d") as made, make() >> drop():
        extract() >> load([1])
    compiled = {t.task_id: t for t in compile_dag(made)[0].tasks}
    assert {name: t.upstream for name, t in compiled.items()} == {
        "make": (),
        "extract": ("make",),
        "load": ("extract",),
        "drop": ("load", "make"),
    }
    drop_spec = compiled["drop"]
    assert (drop_spec.setups, drop_spec.is_teardown, drop_spec.on_failure_fail_dagrun) == (
        ("make",),
        True,
        True,
    )
    assert (drop_spec.trigger_rule, drop_spec.retry.retries) == ("all_done_setup_success", 2)


KIND = Param("a", enum=["a", "b"])


def test_a_dag_function_makes_params_of_its_parameters() -> None:
    seen: dict[str, Any] = {}

    @dag(schedule="@daily", params={"size": Param(1, type="integer")})
    def sales(region: str = "eu", size: int = 5, kind: Any = KIND) -> None:
        """Sell."""
        seen.update(region=region, size=size)
        Say(task_id="say", text=region)

    made = sales(region="us")
    assert (made.dag_id, made.doc) == ("sales", "Sell.")
    spec = compile_dag(made)[0]
    assert [(p.name, p.default, p.schema) for p in spec.params] == [
        ("size", 1, {"type": "integer"}),
        ("region", "us", {}),
        ("kind", "a", {"enum": ["a", "b"]}),
    ]
    assert seen == {"region": "{{ params.region }}", "size": "{{ params.size }}"}
    assert made.get_task("say").text.resolve(FakeContext(params={"region": "xx"})) == "xx"


def test_steps_run_once_for_each_name_and_arguments() -> None:
    calls = []

    @step
    def charge(amount: int, who: str = "x") -> int:
        calls.append((amount, who))
        return len(calls)

    with use_context(FakeContext()):  # type: ignore[arg-type]
        assert [charge(1), charge(1), charge(2), charge(1, who="y"), charge(2)] == [1, 1, 2, 3, 2]
    assert calls == [(1, "x"), (2, "x"), (1, "y")]


def test_there_is_no_context_outside_a_task() -> None:
    with pytest.raises(RuntimeError, match="no task is running here"):
        get_current_context()
