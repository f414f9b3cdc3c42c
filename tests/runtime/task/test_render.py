"""Templates: the names there are, where strings are found, and what a wrong one is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.runtime.task.conftest import NOON, Attempts
from tradewind import DAG
from tradewind.authoring.context import TEMPLATE_NAMES
from tradewind.authoring.operator import ActionOperator
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.runtime.task.render import Renderer, TemplateProblem


class Show(ActionOperator):
    """Returns its field."""

    template_fields: ClassVar[tuple[str, ...]] = ("field", "other")
    template_ext: ClassVar[tuple[str, ...]] = (".sql",)

    def __init__(self, *, field: Any, other: Any = None, plain: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.field = field
        self.other = other
        self.plain = plain

    def execute(self, context: Any) -> Any:
        return self.field


def shown(field: Any, *, dag: dict[str, Any] | None = None, **facts: Any) -> Any:
    with DAG("d", **(dag or {})) as made:
        Show(task_id="t", field=field)
    runner = Attempts(made)
    report = runner.run("t", **facts)
    assert report.kind is OutcomeKind.SUCCESS, report.reason
    return runner.store.xcoms["t"][()]["return_value"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ ds }} {{ ds_nodash }}", "2026-01-02 20260102"),
        ("{{ ts }}", "2026-01-02T12:00:00+00:00"),
        ("{{ logical_date | ts_nodash }}", "20260102T120000"),
        ("{{ data_interval_start | ds }}..{{ data_interval_end | ds }}", "2026-01-01..2026-01-02"),
        ("{{ prev_logical_date_success | ds }}", "2026-01-01"),
        ("{{ prev_data_interval_start_success }}", "None"),
        ("{{ run_id }} {{ dag.dag_id }} {{ task.task_id }} {{ ti.try_number }}", "manual__1 d t 1"),
        ("{{ params.region }}/{{ conf.x }}/{{ run.run_type }}", "eu/1/manual"),
        ("{{ macros.ds_add(ds, -2) }} {{ macros.ds_format(ds, '%Y-%m-%d', '%d.%m.') }}", "2025-12-31 02.01."),
        ("{{ (logical_date - macros.timedelta(days=1)).date() }}", "2026-01-01"),
        ("{{ triggering_asset_events }}", "{}"),
        ("{{ params | tojson }}", '{"region": "eu"}'),
        ("no template\n", "no template\n"),
    ],
)
def test_names_and_filters(template: str, expected: str) -> None:
    text = shown(
        template,
        params={"region": "eu"},
        conf={"x": 1},
        prev_logical_date_success=NOON - timedelta(days=1),
    )
    assert text == _json(expected)


def _json(value: Any) -> str:
    from tradewind.runtime.task.values import encode

    return encode(value)


def test_every_promised_name_is_there() -> None:
    with DAG("d") as dag:
        Show(task_id="t", field=[f"{{{{ {name} is defined }}}}" for name in TEMPLATE_NAMES])
    runner = Attempts(dag)
    runner.run("t")
    assert runner.store.xcoms["t"][()]["return_value"] == _json(["True"] * len(TEMPLATE_NAMES))


def test_strings_are_found_in_any_structure_and_the_original_stays() -> None:
    field = {"{{ ds }}": ["{{ ds }}", ("{{ ds }}", 5), {"k": {"{{ ds }}"}}], "n": None}
    day = "2026-01-02"
    assert shown(field) == _json({day: [day, (day, 5), {"k": {day}}], "n": None})
    assert field["{{ ds }}"][0] == "{{ ds }}"  # type: ignore[index]


def test_only_template_fields_are_rendered() -> None:
    with DAG("d") as dag:
        task = Show(task_id="t", field="x", plain="{{ ds }}")
    Attempts(dag).run("t")
    assert task.plain == "{{ ds }}"


def test_rendered_fields_are_told_masked_and_cut() -> None:
    with DAG("d") as dag:
        Show(task_id="t", field="{{ conn.db.password }} and {{ 'x' * 9000 }}", other={"password": "{{ ds }}"})
    runner = Attempts(dag)
    runner.store.connection = lambda _: {"type": "postgres", "password": "hunter2-hunter2"}
    runner.run("t")
    told = runner.store.rendered["t", ()]
    assert told == {"field": "*** and " + "x" * 4088 + "…", "other": "{'password': '***'}"}


def test_without_a_template_nothing_is_told_and_jinja_is_not_asked() -> None:
    with DAG("d") as dag:
        Show(task_id="t", field="plain")
    runner = Attempts(dag)
    runner.run("t")
    assert runner.asked == []


def test_native_objects() -> None:
    options = {"render_template_as_native_obj": True}
    assert shown(
        ["{{ params.n }}", "{{ params.l }}", "a {{ 1 }}"], dag=options, params={"n": 5, "l": [1]}
    ) == _json([5, [1], "a 1"])


def test_macros_and_filters_of_the_dag() -> None:
    options = {"user_defined_macros": {"twice": lambda x: x * 2}, "user_defined_filters": {"up": str.upper}}
    assert shown("{{ twice('a') | up }}", dag=options) == '"AA"'


def test_template_files(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("select '{{ ds }}'{% include 'more.sql' %}")
    (tmp_path / "more.sql").write_text(" from {{ params.t }}")
    options = {"template_searchpath": str(tmp_path)}
    assert shown(["q.sql", "not a file.sql"], dag=options, params={"t": "x"}) == _json(
        ["select '2026-01-02' from x", "not a file.sql"]
    )


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ dss }}", '"dss" is not a name of templates. Did you mean ds'),
        ("{{ params.regoin }}", 'there is no "regoin" in it. Did you mean region?'),
        ("{{ ti.tri_number }}", 'a TaskInstance has no "tri_number". Did you mean try_number?'),
        ("{% if %}", "(line 1 of the template)"),
        ("{{ ds | no_filter }}", "No filter named 'no_filter'"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__ }}", "is unsafe"),
        ("{{ params.update(x=1) }}", "attribute 'update' of 'dict' object is unsafe"),
        ("{{ conn.nowhere.host }}", 'There is no connection "nowhere"'),
        ("{{ var.value.nowhere }}", 'There is no variable "nowhere"'),
        ("nowhere.sql", 'names the template file "nowhere.sql", which was not found in'),
    ],
)
def test_a_wrong_template_names_field_and_cure(template: str, problem: str) -> None:
    with DAG("d") as dag:
        Show(task_id="t", field={"a": [template]})
    report = Attempts(dag).run("t", params={"region": "eu"})
    assert report.kind is OutcomeKind.ERROR
    assert problem in report.reason
    if "There is no" not in problem:
        assert report.reason.startswith('Field "field[\'a\'][0]" of task "t" ')


def test_what_a_template_names_is_asked_for_once() -> None:
    with DAG("d") as dag:
        Show(task_id="t", field="{{ conn.db.host }}{{ conn.db.port }}{{ var.value.a }}{{ var.value.a }}")
    runner = Attempts(dag)
    runner.store.connection = lambda _: {"type": "t", "host": "h", "port": 1}
    runner.store.variable = lambda _: "v"
    assert runner.run("t").xcoms == {"return_value": '"h1vv"'}
    assert [verb for verb, _ in runner.asked] == ["connection_get", "variable_get", "rendered_put"]


def test_an_error_of_a_filter_keeps_its_cause() -> None:
    def broken(_value: Any) -> str:
        raise ValueError("no such day")

    renderer = Renderer({"at": datetime(2026, 1, 1, tzinfo=UTC)}, filters={"broken": broken}, task_id="t")
    with pytest.raises(TemplateProblem, match="ValueError: no such day") as caught:
        renderer.text("{{ at | broken }}", field="f")
    assert isinstance(caught.value.__cause__, ValueError)
