"""Mapped tasks and groups: each index gets its elements, and fetches no others."""

import json
from typing import Any

from tests.runtime.task.conftest import Attempts
from tradewind import DAG, task, task_group
from tradewind.errors import Skip
from tradewind.ports.runtime_api import OutcomeKind


@task
def numbers() -> list[int]:
    return [10, 20, 30]


@task
def table() -> dict[str, int]:
    return {"a": 1, "b": 2}


@task
def show(**kwargs: Any) -> Any:
    names = ("x", "y", "z")
    return [kwargs[name] for name in names if name in kwargs]


def results(runner: Attempts, task_id: str, count: int) -> list[Any]:
    found = []
    for index in range(count):
        report = runner.run(task_id, (index,))
        assert report.kind is OutcomeKind.SUCCESS, report
        found.append(json.loads(report.xcoms["return_value"]))
    return found


def test_the_last_argument_moves_fastest() -> None:
    with DAG("d") as dag:
        show.partial(z="{{ ds }}").expand(x=numbers(), y=["{{ run_id }}", "b"])
    runner = Attempts(dag)
    assert runner.run("numbers").lengths == {"return_value": 3}
    assert results(runner, "show", 3) == [
        [10, "manual__1", "2026-01-02"],
        [10, "b", "2026-01-02"],
        [20, "manual__1", "2026-01-02"],
    ]


def test_one_element_is_fetched_not_the_list() -> None:
    with DAG("d") as dag:
        show.expand(x=numbers())
    runner = Attempts(dag)
    runner.run("numbers")
    assert results(runner, "show", 2) == [[10], [20]]
    assert [arguments.get("item") for verb, arguments in runner.asked if verb == "xcom_get"] == [0, 1]


def test_dicts_map_over_their_pairs() -> None:
    with DAG("d") as dag:
        show.expand(x=table(), y={"k": "v"})
    runner = Attempts(dag)
    assert runner.run("table").lengths == {"return_value": 2}
    assert results(runner, "show", 2) == [
        [{"__tw__": "tuple", "value": ["a", 1]}, {"__tw__": "tuple", "value": ["k", "v"]}],
        [{"__tw__": "tuple", "value": ["b", 2]}, {"__tw__": "tuple", "value": ["k", "v"]}],
    ]


def test_expand_kwargs() -> None:
    with DAG("d") as dag:

        @task
        def rows() -> list[dict[str, Any]]:
            return [{"x": 1}, {"x": "{{ ds }}", "y": 3}, {"q": 1}, 5]  # type: ignore[list-item]

        show.expand_kwargs(rows())
        show.override(task_id="literal").expand_kwargs([{"x": "{{ ds }}"}, {"y": numbers()}])
    runner = Attempts(dag)
    runner.run("rows")
    runner.run("numbers")
    assert results(runner, "show", 3) == [[1], ["{{ ds }}", 3], []]
    assert results(runner, "literal", 2) == [["2026-01-02"], [[10, 20, 30]]]
    assert "element 3 of expand_kwargs is 5; it must be a dict" in runner.run("show", (3,)).reason


def test_map_zip_concat() -> None:
    def halve(number: int) -> int:
        if number == 20:
            raise Skip("not this one")
        return number // 2

    with DAG("d") as dag:
        show.override(task_id="m").expand(x=numbers().map(halve))
        show.override(task_id="z").expand(x=numbers().zip(["a", "b"]))
        show.override(task_id="f").expand(x=numbers().zip(["a"], fill_value=None))
        show.override(task_id="c").expand(x=numbers().concat(["a", "b"]).map(str))
    runner = Attempts(dag)
    for name in ("numbers", "numbers__1", "numbers__2", "numbers__3"):
        runner.run(name)
    assert runner.run("m", (0,)).xcoms == {"return_value": "[5]"}
    assert runner.run("m", (1,)).kind is OutcomeKind.SKIPPED
    assert [row[0]["value"] for row in results(runner, "z", 2)] == [[10, "a"], [20, "b"]]
    assert [row[0]["value"] for row in results(runner, "f", 3)] == [[10, "a"], [20, None], [30, None]]
    assert results(runner, "c", 5) == [["10"], ["20"], ["30"], ["a"], ["b"]]


def test_an_index_past_the_end_says_what_to_do() -> None:
    with DAG("d") as dag:
        show.expand(x=numbers())
    runner = Attempts(dag)
    runner.run("numbers")
    assert "Clear the task to map it again" in runner.run("show", (9,)).reason


def test_what_is_mapped_over_must_have_a_length() -> None:
    with DAG("d") as dag:

        @task
        def wrong() -> int:
            return 5

        @task
        def none() -> None:
            pass

        show.expand(x=wrong())
        show.expand(x=none())
    runner = Attempts(dag)
    assert runner.run("wrong").reason == (
        'task "show" is mapped over "return_value", but that is int (5): return a list or a dict, an empty one if '
        "there is nothing to do"
    )
    assert "but that is nothing (None)" in runner.run("none").reason


def test_data_is_never_rendered() -> None:
    with DAG("d") as dag:

        @task
        def evil() -> list[str]:
            return ["{{ conn.db.password }}"]

        show.partial(y=evil()).expand(x=evil())
    runner = Attempts(dag)
    runner.run("evil")
    runner.run("evil__1")
    assert results(runner, "show", 1) == [["{{ conn.db.password }}", ["{{ conn.db.password }}"]]]


def test_a_plain_downstream_gets_a_lazy_sequence_in_index_order() -> None:
    seen: list[Any] = []
    with DAG("d") as dag:

        @task
        def double(x: int) -> int | None:
            return None if x == 20 else x * 2

        @task
        def gather(values: Any) -> Any:
            seen.extend([len(values), values[0], values[-1], values[0:2], list(values), values.map_indexes])
            return values

        gather(double.expand(x=numbers()))
    runner = Attempts(dag)
    runner.run("numbers")
    for index in (2, 0, 1):
        runner.run("double", (index,))
    report = runner.run("gather")
    assert report.xcoms == {"return_value": "[20,null,60]"}
    assert seen == [3, 20, 60, [20, None], [20, None, 60], [(0,), (1,), (2,)]]


def test_mapping_over_a_mapped_task_takes_its_results_in_order() -> None:
    with DAG("d") as dag:

        @task
        def double(x: int) -> int:
            return x * 2

        double.override(task_id="again").expand(x=double.expand(x=numbers()))
    runner = Attempts(dag)
    runner.run("numbers")
    runner.run("double", (2,))
    runner.run("double", (0,))  # index 1 was skipped
    assert results(runner, "again", 2) == [40, 120]
    assert "has only 2 results" in runner.run("again", (2,)).reason


def test_groups_give_each_index_its_own_element() -> None:
    with DAG("d") as dag:

        @task_group
        def city(name: str, factor: int) -> Any:
            @task
            def load() -> list[str]:
                return [name, "{{ ds }}"]

            @task
            def count(rows: Any, name: Any, factor: Any) -> list[Any]:
                return [rows, name, factor]

            first = load.override(task_id="first")()
            return count(first, name, factor)

        @task
        def collect(values: Any) -> Any:
            return values

        @task
        def pairs() -> list[dict[str, Any]]:
            return [{"name": "Oslo", "factor": 1}, {"name": "{{ ds }}", "factor": 2}]

        collect(city.expand_kwargs(pairs()))
    runner = Attempts(dag)

    @task
    def unused() -> None:
        """Never run."""

    assert runner.run("pairs").lengths == {"return_value": 2}
    runner.store.put("city.first", (0,), {"return_value": '"zero"'})
    runner.store.put("city.first", (1,), {"return_value": '"one"'})
    assert results(runner, "city.count", 2) == [["zero", "Oslo", 1], ["one", "{{ ds }}", 2]]
    assert runner.run("collect").xcoms == {"return_value": '[["zero","Oslo",1],["one","{{ ds }}",2]]'}


def test_nested_groups() -> None:
    with DAG("d") as dag:

        @task_group
        def inner(y: int, x: int) -> Any:
            @task
            def leaf(x: Any, y: Any) -> list[Any]:
                return [x, y]

            @task
            def fan(z: Any, x: Any) -> list[Any]:
                return [z, x]

            made = leaf(x, y)
            return fan.partial(x=x).expand(z=made)

        @task_group
        def outer(x: int) -> Any:
            @task
            def ys(x: int) -> list[int]:
                return [x * 10, x * 10 + 1]

            @task
            def gather(values: Any) -> Any:
                return values

            return gather(inner.partial(x=x).expand(y=ys(x)))

        outer.expand(x=[1, 2])
    runner = Attempts(dag)
    for index in (0, 1):
        assert runner.run("outer.ys", (index,)).lengths == {"return_value": 2}
    for first in (0, 1):
        for second in (0, 1):
            report = runner.run("outer.inner.leaf", (first, second))
            assert json.loads(report.xcoms["return_value"]) == [first + 1, (first + 1) * 10 + second]
            for third in (0, 1):
                report = runner.run("outer.inner.fan", (first, second, third))
                leaf = [first + 1, (first + 1) * 10 + second]
                assert json.loads(report.xcoms["return_value"]) == [leaf[third], first + 1]
    assert json.loads(runner.run("outer.gather", (1,)).xcoms["return_value"]) == [
        [2, 2],
        [20, 2],
        [2, 2],
        [21, 2],
    ]


def test_the_label_of_an_index() -> None:
    with DAG("d") as dag:
        show.override(map_index_template="{{ task.op_kwargs['x'] }}!").expand(x=["a", "b"])
    assert [Attempts(dag).run("show", (index,)).label for index in (0, 1)] == ["a!", "b!"]


def test_a_server_that_ignores_paging_is_understood() -> None:
    with DAG("d") as dag:

        @task
        def double(x: int) -> int:
            return x * 2

        double.override(task_id="again").expand(x=double.expand(x=[1, 2, 3]))
        show.expand(x=numbers())
    runner = Attempts(dag)
    runner.run("numbers")
    for index in range(3):
        runner.run("double", (index,))
    plain = Attempts.ask

    def ignorant(self: Attempts, verb: str, **arguments: Any) -> Any:
        known = {"task_id", "key", "map_index"} if verb == "xcom_get" else set(arguments)
        return plain(self, verb, **{name: value for name, value in arguments.items() if name in known})

    runner.ask = ignorant.__get__(runner)  # type: ignore[method-assign]
    assert results(runner, "again", 3) == [4, 8, 12]
    assert results(runner, "show", 3) == [[10], [20], [30]]
