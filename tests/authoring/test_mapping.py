"""Mapped tasks and groups: what authors write, what is stored, what the task process gets back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.authoring.operators import Move, Say
from tradewind import DAG, TaskGroup, task, task_group
from tradewind.authoring.compile import compile_dag
from tradewind.authoring.mapped import MappedOperator
from tradewind.authoring.xcom import GroupItem
from tradewind.domain.spec import (
    ConcatInput,
    DagSpec,
    ExpandSpec,
    GroupSpec,
    LiteralInput,
    MapInput,
    RefInput,
    TaskSpec,
    ZipInput,
)
from tradewind.errors import ArgumentError


@task
def rows() -> list[int]:
    return [1, 2]


@task
def add(x: int, y: int = 0, z: int = 0) -> int:
    return x + y + z


def compiled(dag: DAG, task_id: str) -> TaskSpec:
    return next(t for t in compile_dag(dag)[0].tasks if t.task_id == task_id)


def test_expand_stores_its_inputs_in_order() -> None:
    with DAG("d") as dag:
        made = rows()
        add.partial(z=3).expand(y=[1, 2], x=made)
    spec = compiled(dag, "add")
    assert spec.expand == ExpandSpec(
        inputs=(("y", LiteralInput(value=[1, 2])), ("x", RefInput(task_id="rows")))
    )
    assert spec.upstream == ("rows",)
    assert compiled(dag, "rows").length_keys == ("return_value",)
    assert spec.arguments["op_kwargs"] == {"z": 3}


def test_map_zip_concat_and_dicts_are_stored() -> None:
    with DAG("d") as dag:
        made = rows()
        add.override(task_id="m").expand(x=made.map(str), y={"b": 1, "a": 2})
        add.override(task_id="z").expand(x=made.zip([1, 2], fill_value=0))
        add.override(task_id="c").expand(x=made["k"].concat(made.map(str), [5]))
        add.override(task_id="k").expand_kwargs(made.map(lambda x: {"x": x}))
    m = compiled(dag, "m").expand
    assert m is not None
    mapped = dict(m.inputs)["x"]
    assert isinstance(mapped, MapInput)
    assert (mapped.source, mapped.function) == (RefInput(task_id="rows"), "builtins:str@")
    assert dict(m.inputs)["y"] == LiteralInput(value=[["b", 1], ["a", 2]])
    assert compiled(dag, "z").expand == ExpandSpec(
        inputs=(
            (
                "x",
                ZipInput(
                    sources=(RefInput(task_id="rows"), LiteralInput(value=[1, 2])), fill=True, fill_value=0
                ),
            ),
        )
    )
    c = compiled(dag, "c").expand
    assert c is not None
    assert c.inputs[0][1] == ConcatInput(
        sources=(RefInput(task_id="rows", key="k"), mapped, LiteralInput(value=[5]))
    )
    k = compiled(dag, "k").expand
    assert k is not None
    assert (k.mode, k.inputs[0][0]) == ("kwargs", "")
    assert compiled(dag, "rows").length_keys == ("k", "return_value")


def test_two_lambdas_are_told_apart_by_their_code() -> None:
    with DAG("d") as dag:
        made = rows()
        one = add.expand(x=made.map(lambda x: x + 1)).task
        two = add.expand(x=made.map(lambda x: x + 2)).task
    assert compiled(dag, one.task_id).expand != compiled(dag, two.task_id).expand


def test_unmapping_a_function_gives_its_operator() -> None:
    with DAG("d", default_args={"retries": 4}) as dag:
        add.partial(z=3).expand(x=[1, 2])
    mapped = dag.get_task("add")
    assert isinstance(mapped, MappedOperator)
    operator = mapped.unmap({"x": 2})
    assert (operator.task_id, operator.op_kwargs, operator.retries) == ("add", {"z": 3, "x": 2}, 4)
    assert (operator.dag, operator.execute({})) == (dag, 5)
    assert dag.tasks == [mapped]


def test_unmapping_an_operator_class() -> None:
    with DAG("d") as dag, TaskGroup("g"):
        mapped = Move.partial(task_id="m", source="s", pool="io").expand(target=["a", "b"])
    assert (mapped.task_id, mapped.pool, mapped.operator_class) == ("g.m", "io", Move)
    assert (dict(mapped.partial_kwargs)["source"], dict(mapped.expand_kwargs)) == (
        "s",
        {"target": ["a", "b"]},
    )
    operator = mapped.unmap({"target": "b"})
    assert (operator.task_id, operator.source, operator.target, operator.pool) == ("g.m", "s", "b", "io")
    assert operator.group is dag.groups["g"]
    with pytest.raises(ArgumentError, match=r'no argument "targte"\. Did you mean target'):
        mapped.unmap({"targte": "b"})
    with pytest.raises(ArgumentError, match=r"got source from partial\(\) and again"):
        mapped.unmap({"source": "x", "target": "b"})


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (lambda: add.partial().expand(), "needs at least one argument"),
        (lambda: add.expand(x="abc"), "maps over a str. Give a list: x=['abc']"),
        (lambda: add.expand(x={1, 2}), "maps over a set, which has no order"),
        (lambda: add.expand(x=3), "goes to partial(x=…)"),
        (lambda: add.expand(w=[1]), 'add().expand has no argument "w"'),
        (lambda: add.expand(retries=[1]), "retries is an option of the task"),
        (lambda: add.expand(y=[1]), "needs the argument x"),
        (lambda: add.partial(x=1).expand(x=[1]), "x is given to partial() and to expand()"),
        (lambda: add.partial(q=1), 'add().partial has no argument "q"'),
        (lambda: add.partial(x=1).partial(y=2)(), "is followed by .expand"),  # noqa: PLW0108 - its line is checked
        (lambda: add.expand_kwargs({"x": [1]}), "takes a list of dicts or a task's output, not dict"),
        (lambda: add.expand_kwargs([{"x": 1}, 2]), "element 1 of expand_kwargs() is 2"),
        (lambda: Say.partial(task_id="s").expand(retries=[1]), "retries is the same for all instances"),
        (lambda: Say.partial(task_id="s").expand(txt=[1]), 'no argument "txt". Did you mean text?'),
        (lambda: Say.partial(task_id="s", txt=1), 'no argument "txt"'),
        (
            lambda: Move.partial(task_id="m").expand(source=[1]),
            "needs target: give it to partial() or expand()",
        ),
    ],
)
def test_wrong_mappings_say_what_is_right_and_where(wrong: Any, part: str) -> None:
    with DAG("d"), pytest.raises(ArgumentError) as caught:
        wrong()
    assert part in str(caught.value)
    assert (caught.value.file, caught.value.line) == (__file__, wrong.__code__.co_firstlineno)


@task_group
def pipeline(x: Any, y: int = 0) -> Any:
    """Work on one x."""
    first = add.override(task_id="first")(x, y)
    return add.override(task_id="second")(first)


def groups(spec: DagSpec) -> dict[str, GroupSpec]:
    return {group.group_id: group for group in spec.groups}


def test_a_group_function_prefixes_and_returns() -> None:
    with DAG("d") as dag:
        done = pipeline(rows())
        again = pipeline.override(group_id="other", retries=2)(3)
        pipeline(4)
        add.override(task_id="end")(done, again)
    spec = compile_dag(dag)[0]
    assert [(t.task_id, t.upstream, t.group) for t in spec.tasks] == [
        ("rows", (), None),
        ("pipeline.first", ("rows",), "pipeline"),
        ("pipeline.second", ("pipeline.first",), "pipeline"),
        ("other.first", (), "other"),
        ("other.second", ("other.first",), "other"),
        ("pipeline__1.first", (), "pipeline__1"),
        ("pipeline__1.second", ("pipeline__1.first",), "pipeline__1"),
        ("end", ("other.second", "pipeline.second"), None),
    ]
    assert groups(spec) == {
        "pipeline": GroupSpec(group_id="pipeline", doc="Work on one x."),
        "other": GroupSpec(group_id="other", retries=2, doc="Work on one x."),
        "pipeline__1": GroupSpec(group_id="pipeline__1", doc="Work on one x."),
    }


def test_a_mapped_group_passes_its_elements() -> None:
    with DAG("d") as dag:
        done = pipeline.partial(y=2).expand(x=rows())
        add.override(task_id="sum")(done)
    first = dag.get_task("pipeline.first")
    item = first.op_kwargs["x"]
    assert isinstance(item, GroupItem)
    assert (item.group, item.name, first.op_kwargs["y"]) == (dag.groups["pipeline"], "x", 2)
    spec = compile_dag(dag)[0]
    assert groups(spec)["pipeline"].expand == ExpandSpec(inputs=(("x", RefInput(task_id="rows")),))
    assert [(t.task_id, t.upstream) for t in spec.tasks] == [
        ("rows", ()),
        ("pipeline.first", ("rows",)),
        ("pipeline.second", ("pipeline.first",)),
        ("sum", ("pipeline.second",)),
    ]
    assert compiled(dag, "rows").length_keys == ("return_value",)


def test_mapped_groups_nest_and_take_dicts_of_arguments() -> None:
    @task_group
    def outer(a: Any) -> None:
        inner_rows = rows.override(task_id="inner_rows")()

        @task_group
        def inner(b: Any) -> None:
            add.override(task_id="t")(a, b)

        inner.expand(b=inner_rows)

    with DAG("d") as dag:
        outer.expand_kwargs([{"a": 1}, {"a": 2}])
    spec = compile_dag(dag)[0]
    assert groups(spec) == {
        "outer": GroupSpec(
            group_id="outer",
            expand=ExpandSpec(mode="kwargs", inputs=(("", LiteralInput(value=[{"a": 1}, {"a": 2}])),)),
        ),
        "outer.inner": GroupSpec(
            group_id="outer.inner",
            parent="outer",
            expand=ExpandSpec(inputs=(("b", RefInput(task_id="outer.inner_rows")),)),
        ),
    }
    assert compiled(dag, "outer.inner.t").upstream == ("outer.inner_rows",)


def test_an_element_of_a_group_stays_inside_it() -> None:
    leaked: list[Any] = []

    @task_group
    def leaky(x: Any) -> None:
        leaked.append(x)
        add(x)

    with DAG("d"):
        leaky.expand(x=[1])
        with pytest.raises(ArgumentError, match="exists only inside the group") as caught:
            add(leaked[0])
        assert caught.value.file == __file__
        with pytest.raises(ArgumentError, match=r"a loop over it is not possible"):
            list(leaked[0])


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        (lambda: pipeline.expand(q=[1]), 'pipeline().expand has no argument "q"'),
        (lambda: pipeline.expand(y=[1]), "pipeline() needs x: give it to partial() or expand()"),
        (lambda: pipeline.expand(x="abc"), "maps over a str"),
        (lambda: pipeline(w=2), 'pipeline() has no argument "w"'),
        (lambda: pipeline.override(groop_id="x"), "Did you mean group_id"),
        (lambda: task_group(tooltips="x"), "@task_group has no argument"),
    ],
)
def test_wrong_groups_say_what_is_right_and_where(wrong: Any, part: str) -> None:
    with DAG("d"), pytest.raises(ArgumentError) as caught:
        wrong()
    assert part in str(caught.value)
    assert (caught.value.file, caught.value.line) == (__file__, wrong.__code__.co_firstlineno)
