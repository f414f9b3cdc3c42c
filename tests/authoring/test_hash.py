"""The hash of a DAG: the same in every process, and another one exactly when something really changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.authoring.operators import Say
from tradewind import DAG
from tradewind.authoring.compile import compile_dag, compile_file
from tradewind.authoring.registry import collecting

ROOT = Path(__file__).parents[2]

EVERYTHING = """
import enum, functools, re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo
from tradewind import *
from tests.authoring.operators import Move, Say

class Colour(enum.Enum):
    RED = 1

@dataclass
class Row:
    name: str
    when: date = date(2026, 1, 1)
    tags: set = field(default_factory=lambda: {"x", "y", "z"})

class Own(Say):
    limit = {"a", "b", "c"}
    def execute(self, context):
        return helper(self.text)

NAMES = {"one", "two", "three", "four"}

def helper(x):
    return x in {"p", "q", "r", "s"} or x in NAMES

@dag(schedule=Asset("b") & (Asset("a") | Asset("c")), tags={"q", "w", "e", "r"}, owner="me",
     params={"p": Param("x", enum=["x", "y"])}, default_args={"retries": 2})
def everything():
    @task(retry_on=[ValueError, KeyError], outlets=Asset("out"))
    def first(x): return helper(x)
    Own(task_id="own", text={"s": {"k", "l", "m"}, "f": frozenset({1, 2}), 3: Decimal("1.50")})
    Say(task_id="types", text=[
        datetime(2026, 1, 1, tzinfo=timezone.utc), date(2026, 1, 1), time(1, 2), timedelta(days=1, seconds=1.5),
        UUID("12345678-1234-8234-9234-123456781234"), Path("/tmp/x"), Colour.RED, Row("n"), b"bytes", (1, 2), range(3),
        re.compile("a+"), ZoneInfo("Europe/Berlin"), functools.partial(helper, 3), helper, Row, len, 2**80, None, True,
        "{{ ds }}", {"a": 1}.items, Asset("s3://x"),
    ])
    rows = first("{{ params.p }}")
    first.expand(x=rows.map(lambda r: helper(r)).zip([1, 2]))
    @task_group(retries=1)
    def g(x):
        first(x) >> Move(task_id="m", source={"a", "b", "c"}, target=rows["k"])
    g.expand(x={"k": 1, "a": 2}) >> Label("done") >> Say(task_id="end", limits=limit(key="k", rate="2/m"))
everything()
"""

COMPILE = """
import json, sys
from tradewind.authoring.compile import compile_file
from tradewind.authoring.registry import collecting
with collecting() as dags:
    exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__name__": sys.argv[2]})
made = compile_file(dags)
print(json.dumps([[s.dag_id, h] for s, h in made.dags] + [str(e) for e in made.errors]))
"""


def hashes_in_process(file: Path, seed: str, module: str) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(file), module],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    answer: list[object] = json.loads(done.stdout)
    return answer


def test_every_process_finds_the_same_hash(tmp_path: Path) -> None:
    file = tmp_path / "everything.py"
    file.write_text(EVERYTHING)
    found = [
        hashes_in_process(file, seed, module) for seed, module in [("1", "__main__"), ("2", "x"), ("77", "y")]
    ]
    assert len(found[0]) == 1
    assert isinstance(found[0][0], list)
    assert found[0] == found[1] == found[2]


def spec_hash_of(tmp_path: Path, text: str, name: str = "sales.py") -> str:
    file = tmp_path / name
    file.write_text(
        "from tradewind import *\nfrom tests.authoring.operators import Say\n" + textwrap.dedent(text)
    )
    with collecting() as dags:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "sales"})  # noqa: S102 - a DAG file
    made = compile_file(dags)
    assert made.errors == []
    return made.dags[0][1]


BEFORE = """
import os, time
RATE = 3
STARTED = time.time()
LIMITS = {"a": [1, 2], "b": {"x", "y"}}

def noted(f):
    def inner(*args):
        return f(*args)
    inner.__wrapped__ = f
    return inner

def helper(x):
    return x * RATE + LIMITS["a"][0] - STARTED

def unused(x):
    return x

class Loud(Say):
    def execute(self, context):
        return helper(4)

with DAG("d", schedule="@daily") as d:
    @task
    @noted
    def work(x):
        return [helper(y) for y in range(x)]
    a = work(3)
    b = Loud(task_id="b", text="hi")
    c = Say(task_id="c")
    a >> b
    work.expand(x=[1, 2])
"""

NO_CHANGE = [
    ("\nRATE", "\n\n\n# a comment\nRATE"),
    ("    return x * RATE", "    # why\n\n    return x * RATE"),
    ("time.time()", "time.time() + 1"),  # computed when the file is read
    ("    return x\n", "    return x + 1\n"),  # unused by any task
    ('Loud(task_id="b", text="hi")', 'Loud(text="hi", task_id="b")'),
    ("    a >> b", "    b << a\n    a >> b"),
    ('"@daily"', "'@daily'"),
]
CHANGE = [
    ("RATE = 3", "RATE = 4"),
    ("return x * RATE", "return x + RATE"),
    ('"a": [1, 2]', '"a": [1, 3]'),
    ('{"x", "y"}', '{"x", "z"}'),
    ("return f(*args)", "return f(*args) or 1"),
    ("return helper(4)", "return helper(5)"),
    ("range(x)]", "range(x + 1)]"),
    ("work(3)", "work(4)"),
    ('text="hi"', 'text="ho"'),
    ('text="hi"', 'text="hi", retries=1'),
    ("    a >> b", "    a >> b >> c"),
    ("    a >> b", "    a >> Label('x') >> b"),
    ("[1, 2]", "[2, 1]"),
    ('"@daily"', '"@hourly"'),
    ('"d", ', '"d", max_active_runs=1, '),
    ("class Loud(Say):", "class Loud(Say):\n    retries = 3"),
    ("def work(x):", "def work(x, y=1):"),
]


@pytest.mark.parametrize(("old", "new"), NO_CHANGE)
def test_what_changes_nothing_makes_no_version(tmp_path: Path, old: str, new: str) -> None:
    assert old in BEFORE
    assert spec_hash_of(tmp_path, BEFORE.replace(old, new, 1)) == spec_hash_of(tmp_path, BEFORE)


@pytest.mark.parametrize(("old", "new"), CHANGE)
def test_what_changes_something_makes_a_version(tmp_path: Path, old: str, new: str) -> None:
    assert old in BEFORE
    assert spec_hash_of(tmp_path, BEFORE.replace(old, new, 1)) != spec_hash_of(tmp_path, BEFORE)


def test_values_that_look_new_each_time_are_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "now.py"
    file.write_text(
        textwrap.dedent("""\
            from datetime import datetime
            from uuid import UUID
            from tradewind import DAG
            from tests.authoring.operators import Say
            with DAG("d", start_date=datetime(2026, 1, 1, 1, 1, 1, 123456)):
                Say(task_id="a", text={"at": datetime(2026, 1, 1, 0, 0, 0, 5), "ok": datetime(2026, 1, 1)})
                Say(task_id="b", text=UUID("12345678-1234-4234-9234-123456781234"))
            """)
    )
    with collecting() as dags:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "now"})  # noqa: S102 - a DAG file
    compile_dag(dags[0])
    assert [(w.line, w.message.split(",")[0]) for w in dags[0].warnings] == [
        (5, 'start_date of DAG "d" is 2026-01-01T01:01:01.123456'),
        (6, "Task \"a\": text['at'] is 2026-01-01T00:00:00.000005"),
        (7, 'Task "b": text is the UUID 12345678-1234-4234-9234-123456781234'),
    ]
    assert {w.file for w in dags[0].warnings} == {str(file)}


def test_compiling_twice_gives_the_same_and_warns_once() -> None:
    with DAG("d") as dag:
        Say(task_id="a", text="x")
    assert compile_dag(dag) == compile_dag(dag)


def test_the_file_is_relative_to_the_dag_folder(tmp_path: Path) -> None:
    file = tmp_path / "team" / "sales.py"
    file.parent.mkdir()
    file.write_text('from tradewind import DAG\n\nDAG("d")\n')
    with collecting() as dags:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "sales"})  # noqa: S102 - a DAG file
    specs = [compile_dag(dags[0], folder=folder)[0] for folder in (tmp_path, None, tmp_path / "other")]
    assert [(spec.file, spec.line) for spec in specs] == [
        ("team/sales.py", 3),
        ("sales.py", 3),
        ("sales.py", 3),
    ]
