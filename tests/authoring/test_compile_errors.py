"""Every error of an author: what it says, and the file and line it points at."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tradewind.authoring.compile import CompileErrors, compile_dag, compile_file
from tradewind.authoring.registry import collecting
from tradewind.errors import (
    ArgumentError,
    AuthorError,
    CycleError,
    DuplicateIdError,
    ScheduleError,
    UnknownReferenceError,
)

HEAD = """\
from datetime import date, datetime, timedelta, timezone
from tradewind import *
from tests.authoring.operators import Move, Nothing, Say, Wait
"""


def errors_of(tmp_path: Path, text: str) -> list[AuthorError]:
    """Import a DAG file as the DAG folder does; return what it is told, with lines as in ``text``."""
    file = tmp_path / "sales.py"
    file.write_text(HEAD + textwrap.dedent(text))
    with collecting(str(file)) as dags:
        try:
            exec(compile(file.read_text(), str(file), "exec"), {"__name__": "sales"})  # noqa: S102 - a DAG file
        except AuthorError as error:
            return [shifted(error, file)]
    return [shifted(error, file) for error in compile_file(dags).errors]


def shifted(error: AuthorError, file: Path) -> AuthorError:
    assert error.file == str(file)
    assert error.line is not None
    error.line -= HEAD.count("\n")
    return error


# what is written, the line of the error, its kind, what its message must have
TABLE: list[tuple[str, int, type[AuthorError], list[str]]] = [
    ('DAG("a/b")', 1, ArgumentError, ["dag_id 'a/b' has '/' at position 2", "letters"]),
    ('DAG("../up")', 1, ArgumentError, ["dag_id '../up'"]),
    ('DAG("")', 1, ArgumentError, ["dag_id cannot be empty"]),
    ("DAG(3)", 1, ArgumentError, ["a dag_id is a text, not 3"]),
    (
        'DAG("x", schedul="@daily")',
        1,
        ArgumentError,
        ['DAG "x" has no argument "schedul". Did you mean schedule?'],
    ),
    ('DAG("x", schedule_interval="@daily")', 1, ArgumentError, ["It is called schedule here"]),
    ('@dag(tag=["x"])\ndef d(): ...', 1, ArgumentError, ['@dag has no argument "tag". Did you mean tags?']),
    ('DAG("x", schedule="0 25 * * *")', 1, ScheduleError, ['DAG "x"', "hour", "25"]),
    ('DAG("x", schedule="@dayly")', 1, ScheduleError, ['DAG "x"', "@daily"]),
    ('DAG("x", schedule=3)', 1, ScheduleError, ["A schedule cannot be 3"]),
    ('DAG("x", schedule=timedelta(0))', 1, ScheduleError, ['DAG "x"']),
    ('DAG("x", schedule=["@daily", 3])', 1, ScheduleError, ["Item 1"]),
    ('DAG("x", schedule=[Asset("a"), "@daily"])', 1, ScheduleError, ["Item 0"]),
    ('DAG("x", schedule=AssetOrTime(Asset("a"), None))', 1, ScheduleError, ["needs a time schedule"]),
    ('DAG("x", timezone="Europe/Berlim")', 1, ScheduleError, ["Europe/Berlim", "Europe/Berlin"]),
    (
        'DAG("x", start_date="2026-01-01")',
        1,
        ArgumentError,
        ["start_date='2026-01-01'", "must be a datetime"],
    ),
    (
        'DAG("x", start_date=date(2026, 2, 1), end_date=date(2026, 1, 1))',
        1,
        ArgumentError,
        ["end_date 2026-01-01 before start_date 2026-02-01"],
    ),
    ('DAG("x", catchup="5 parsecs")', 1, ArgumentError, ["catchup='5 parsecs'", '"5h"']),
    ('DAG("x", overlap="quue")', 1, ArgumentError, ["overlap='quue'", "did you mean queue?"]),
    ('DAG("x", max_active_runs=0)', 1, ArgumentError, ["max_active_runs=0", "whole number from 1"]),
    ('DAG("x", max_map_length=10**9)', 1, ArgumentError, ["max_map_length", "from 1 to 200,000"]),
    ('DAG("x", run_timeout=-1)', 1, ArgumentError, ["run_timeout", "more than 0, or None"]),
    ('DAG("x", run_fails_if="never")', 1, ArgumentError, ["leaf_failed or any_task_failed"]),
    ('DAG("x", tags=[3])', 1, ArgumentError, ["tags=(3,)", "text of 1 to 250"]),
    ('DAG("x", description="a" * 10**6)', 1, ArgumentError, ["description", "at most 100,000"]),
    ('DAG("x", doc="\\ud800")', 1, ArgumentError, ["doc", "surrogates"]),
    ('DAG("x", on_failure="mail")', 1, ArgumentError, ["on_failure=('mail',)", "a function"]),
    (
        'with DAG("x", default_args={"retires": 3}):\n    Say(task_id="a")',
        1,
        ArgumentError,
        ['default_args of DAG "x" has "retires", which no task', "Did you mean retries?"],
    ),
    (
        'DAG("x", schedule="@daily", params={"n": Param()})',
        1,
        ArgumentError,
        ['param "n" has no default', "schedule"],
    ),
    (
        'DAG("x", schedule="@daily", params={\n  "n": Param("a", type="integer")})',
        2,
        ArgumentError,
        ["'n'", "'a'", "of type integer"],
    ),
    ('DAG("x", params={"n": Param(1, type="nope")})', 1, ArgumentError, ["no JSON schema"]),
    (
        'DAG("x", params={"n": datetime(2026, 1, 1)})',
        1,
        ArgumentError,
        ['default of param "n" holds a datetime', "JSON"],
    ),
    (
        'DAG("x", params={"n": object()})',
        1,
        ArgumentError,
        ['default of param "n" is an object', "cannot be stored"],
    ),
    ('DAG("x", params=["a"])', 1, ArgumentError, ["params=['a']; it must be a dict"]),
    ('DAG("x", default_args=3)', 1, ArgumentError, ["default_args=3; it must be a dict"]),
    ('DAG("x", params={3: 1})', 1, ArgumentError, ["name of a param is 3"]),
    # tasks
    ('with DAG("x"):\n    Say(task_id="a b")', 2, ArgumentError, ["task_id 'a b' has ' ' at position 2"]),
    ('with DAG("x"):\n    Say(task_id="../x")', 2, ArgumentError, ["task_id '../x'"]),
    ('with DAG("x"):\n    Say(task_id=3)', 2, ArgumentError, ["a task_id is a text, not 3"]),
    (
        'with DAG("x"):\n    Say(task_id="a")\n    Say(task_id="a")',
        3,
        DuplicateIdError,
        ['"a" is given to a task (sales.py:5)', "again to a task (sales.py:6)"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a")\n    TaskGroup("a")',
        3,
        DuplicateIdError,
        ["to a task (sales.py:5)", "again to a group (sales.py:6)"],
    ),
    ('DAG("x")\nDAG("x")', 2, DuplicateIdError, ['The dag_id "x" is given twice: sales.py:4 and sales.py:5']),
    (
        'with DAG("x"):\n    Say(task_id="a", retires=1)',
        2,
        ArgumentError,
        ['Say "a"', "Did you mean retries"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", retries=-1)',
        2,
        ArgumentError,
        ["retries=-1", "whole number from 0"],
    ),
    ('with DAG("x"):\n    Say(task_id="a", retries="3")', 2, ArgumentError, ["retries='3'"]),
    ('with DAG("x"):\n    Say(task_id="a", retries=True)', 2, ArgumentError, ["retries=True"]),
    (
        'with DAG("x"):\n    Say(task_id="a", retry_delay="5m")',
        2,
        ArgumentError,
        ["retry_delay='5m'", "timedelta"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", retry_delay=1e300)',
        2,
        ArgumentError,
        ["retry_delay=1e+300", "timedelta"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", retry_backoff=0.5)',
        2,
        ArgumentError,
        ["retry_backoff=0.5", "from 1"],
    ),
    ('with DAG("x"):\n    Say(task_id="a", retry_jitter=2)', 2, ArgumentError, ["from 0 to 1"]),
    ('with DAG("x"):\n    Say(task_id="a", retry_on="x")', 2, ArgumentError, ["retry_on='x'", "function"]),
    (
        'with DAG("x"):\n    Say(task_id="a", pool_slots=0)',
        2,
        ArgumentError,
        ["pool_slots=0", "whole number from 1"],
    ),
    ('with DAG("x"):\n    Say(task_id="a", pool="")', 2, ArgumentError, ["pool=''"]),
    ('with DAG("x"):\n    Say(task_id="a", priority_weight=2**40)', 2, ArgumentError, ["priority_weight"]),
    (
        'with DAG("x"):\n    Say(task_id="a", execution_timeout=0)',
        2,
        ArgumentError,
        ["execution_timeout", "more than 0"],
    ),
    ('with DAG("x"):\n    Say(task_id="a", limits="x")', 2, ArgumentError, ["limits='x'", "limit(key=…"]),
    (
        'with DAG("x"):\n    Say(task_id="a", outlets="s3://x")',
        2,
        ArgumentError,
        ["outlets='s3://x'", "Asset("],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", trigger_rule="all_sucess")',
        2,
        ArgumentError,
        ["trigger_rule='all_sucess'", "all_success", "one of", "did you mean all_success"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", trigger_rule="all_done_setup_success")',
        2,
        ArgumentError,
        ["for teardowns only"],
    ),
    (
        'with DAG("x", fail_fast=True):\n    Say(task_id="a", trigger_rule="all_done")',
        2,
        ArgumentError,
        ["all_done", "fail_fast=True"],
    ),
    ('with DAG("x"):\n    Say(task_id="a").as_teardown()', 2, ArgumentError, ['Teardown "a" has no setups']),
    (
        'with DAG("x"):\n    Say(task_id="a", trigger_rule="all_done").as_teardown()',
        2,
        ArgumentError,
        ["rule is always all_done_setup_success"],
    ),
    # arguments
    (
        'with DAG("x"):\n    Say(task_id="a", text=object())',
        2,
        ArgumentError,
        ['"a": text is an object (<object object>)'],
    ),
    ('with DAG("x"):\n    Say(task_id="a", text={"k": [1, open]})', 2, None, []),  # type: ignore[list-item]
    (
        'import threading\nwith DAG("x"):\n    Say(task_id="a", text={"k": [1, threading.Lock()]})',
        3,
        ArgumentError,
        ["text['k'][1] is a lock", "make it inside the task"],
    ),
    ('import os\nwith DAG("x"):\n    Say(task_id="a", text=os)', 3, ArgumentError, ["text is the module os"]),
    ('with DAG("x"):\n    Say(task_id="a", text=(i for i in []))', 2, ArgumentError, ["text is a generator"]),
    ('with DAG("x"):\n    Say(task_id="a", text=float("nan"))', 2, ArgumentError, ["text is nan", "JSON"]),
    ('with DAG("x"):\n    Say(task_id="a", text=[float("inf")])', 2, ArgumentError, ["text[0] is inf"]),
    ('with DAG("x"):\n    Say(task_id="a", text="a\\ud800")', 2, ArgumentError, ["surrogate", "position 1"]),
    (
        'with DAG("x"):\n    Say(task_id="a", text="x" * 50_000_000)',
        2,
        ArgumentError,
        ["text has 50,000,000 characters; at most 1,000,000", "file"],
    ),
    (
        'a = []\na += [a, a]\nwith DAG("x"):\n    Say(task_id="a", text=a)',
        4,
        ArgumentError,
        ["contains itself"],
    ),
    (
        'with DAG("x"):\n    b = Say(task_id="b")\n    Say(task_id="a", text=b)',
        3,
        ArgumentError,
        ['text is the task "b" itself', "b.output"],
    ),
    (
        'with DAG("x"):\n    Say(task_id="a", text="{{ ti.xcom_pull(\'extrct\') }}")\n    Say(task_id="extract")',
        2,
        UnknownReferenceError,
        ['pulls the output of "extrct"', "Did you mean extract?"],
    ),
    (
        '@task\ndef rows(): ...\nwith DAG("x"):\n    Say(task_id="a", text=[rows])',
        4,
        ArgumentError,
        ["text[0] is the decorated function rows itself. Call it: rows(…)"],
    ),
    (
        'with DAG("x"):\n    g = TaskGroup("g")\n    Say(task_id="a", text=g)',
        3,
        ArgumentError,
        ['text is the group "g" itself. For the order alone write a >> b'],
    ),
    # mapping
    (
        'with DAG("x"):\n    Say.partial(task_id="a").expand(text="abc")',
        2,
        ArgumentError,
        ["maps over a str"],
    ),
    (
        'with DAG("x", max_map_length=2):\n    Say.partial(task_id="a").expand(text=[1, 2, 3])',
        2,
        ArgumentError,
        ["3 instances", "max_map_length is 2"],
    ),
    (
        'with DAG("x", max_map_length=5):\n    Say.partial(task_id="a").expand(text=[1, 2, 3], loud=[1, 2])',
        2,
        ArgumentError,
        ["6 instances (text: 3 x loud: 2)"],
    ),
    (
        (
            'with DAG("x", max_map_length=2):\n    b = Say(task_id="b")\n'
            '    Say.partial(task_id="a").expand(text=[1, 2, 3], loud=b.output)'
        ),
        3,
        ArgumentError,
        ["list of 3 elements; at most 2"],
    ),
    (
        'with DAG("x"):\n    Say.partial(task_id="a").expand(text=[object()])',
        2,
        ArgumentError,
        ["expand(text=…)[0]"],
    ),
    (
        '@task_group\ndef g(x):\n    Say.partial(task_id="a").expand(text=x)\nwith DAG("x"):\n    g.expand(x=[[1]])',
        3,
        ArgumentError,
        ['maps over "x" of the mapped group "g"', "Let a task of the group return the list"],
    ),
    (
        (
            '@task_group\ndef g(x):\n    Say(task_id="a", trigger_rule="always")\n'
            'with DAG("x"):\n    g.expand(x=Say(task_id="b").output)'
        ),
        3,
        ArgumentError,
        ["always", 'the group "g", which is mapped over a task\'s output'],
    ),
    # groups
    ('with DAG("x"):\n    TaskGroup("a b")', 2, ArgumentError, ["group_id 'a b'"]),
    ('with DAG("x"):\n    TaskGroup("a", retries=-1)', 2, ArgumentError, ['Group "a" has retries=-1']),
    (
        'with DAG("x"):\n    with TaskGroup("g", default_args={"pol": "x"}):\n        Say(task_id="a")',
        2,
        ArgumentError,
        ['default_args of group "g" has "pol"', "Did you mean pool"],
    ),
    (
        'with DAG("x"):\n    with TaskGroup("g") as g:\n        a = Say(task_id="a")\n    g >> a',
        4,
        CycleError,
        ['Group "g" is connected to the task "g.a", which is inside it'],
    ),
    # cycles
    (
        (
            'with DAG("x"):\n    a = Say(task_id="a")\n    b = Say(task_id="b")\n    c = Say(task_id="c")\n'
            "    a >> b >> c >> a"
        ),
        2,
        CycleError,
        ["a >> b >> c >> a (a line 5, b line 6, c line 7)", "Take one of the edges away"],
    ),
    ('with DAG("x"):\n    a = Say(task_id="a")\n    a >> a', 2, CycleError, ["a >> a"]),
    # other objects
    ('limit(key="k")', 1, ArgumentError, ["limits nothing"]),
    ('limit(key="k", max=0)', 1, ArgumentError, ["max is 0"]),
    ('limit(key="k", rate="often")', 1, ArgumentError, ["10/m"]),
    ('Asset("")', 1, ArgumentError, ["uri of an Asset is ''"]),
    ('Asset("a") & "b"', 1, ArgumentError, ["& and | join assets, not str"]),
]


@pytest.mark.parametrize(("text", "line", "kind", "parts"), TABLE, ids=[row[0][:60] for row in TABLE])
def test_an_error_says_what_where_and_what_to_do(
    tmp_path: Path, text: str, line: int, kind: type[AuthorError] | None, parts: list[str]
) -> None:
    found = errors_of(tmp_path, text)
    if kind is None:
        assert found == []
        return
    assert [type(error) for error in found] == [kind]
    assert [part for part in parts if part not in str(found[0])] == []
    assert found[0].line == line


def test_all_errors_of_a_dag_come_together_by_line(tmp_path: Path) -> None:
    text = """\
    with DAG("x", max_active_runs=0, schedule="61 * * * *"):
        a = Say(task_id="a", retries=-1, pool_slots=0)
        b = Say(task_id="b", text=object())
        a >> b >> a
        Say(task_id="a")
    """
    found = errors_of(tmp_path, text)
    assert sorted((error.line, type(error).__name__) for error in found) == [
        (1, "ArgumentError"),
        (1, "ScheduleError"),
        (2, "ArgumentError"),
        (2, "ArgumentError"),
        (2, "CycleError"),
        (3, "ArgumentError"),
        (5, "DuplicateIdError"),
    ]
    assert [error.line for error in found] == sorted(error.line or 0 for error in found)


def test_compile_errors_shows_each_with_its_line() -> None:
    from tests.authoring.operators import Say
    from tradewind import DAG

    with DAG("x") as dag:
        Say(task_id="a", retries=-1)
        Say(task_id="b", retries=-2)
    with pytest.raises(CompileErrors) as caught:
        compile_dag(dag)
    first, second = caught.value.errors
    assert (first.file, caught.value.line) == (__file__, first.line)
    assert str(caught.value).splitlines() == [
        'DAG "x" has 2 errors:',
        f"  line {first.line}: {first}",
        f"  line {second.line}: {second}",
    ]


@pytest.mark.parametrize("count", [50_001])
def test_too_many_tasks_are_refused_at_once(count: int) -> None:
    from tests.authoring.operators import Nothing
    from tradewind import DAG

    with DAG("x") as dag:
        for number in range(count):
            Nothing(task_id=f"t{number}")
    with pytest.raises(CompileErrors, match=r"50,001 tasks; at most 50,000 .* one mapped task") as caught:
        compile_dag(dag)
    assert caught.value.file == __file__
