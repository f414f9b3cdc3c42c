"""A DAG file can do what it likes: it is an error of that file, and the others go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import NewHouse
from tests.acceptance.house import House

pytestmark = pytest.mark.acceptance

SETTINGS = "[dags]\nscan_seconds = 0.5\nparse_seconds_max = 4.0\n"

GOOD = """\
from tradewind import DAG, task

with DAG("{dag_id}"):

    @task
    def only():
        return {value}

    only()
"""

HEAD = "from tradewind import DAG, Param, task, task_group\n"
GIANT = """
from tradewind.operators import EmptyOperator
with DAG("giant"):
    for n in range(100_000):
        EmptyOperator(task_id=f"t{n}")
"""
CYCLIC = """
with DAG("cyclic"):

    @task_group
    def one():
        @task
        def a(): ...
        return a()

    @task_group
    def two():
        @task
        def b(): ...
        return b()

    x, y = one(), two()
    x >> y
    y >> x
"""
BAD: dict[str, tuple[str, str]] = {
    "syntax": ("def (:\n", "SyntaxError"),
    "endless": ("while True:\n    pass\n", "took longer than 4 s"),
    "leaves": ("import os\nos._exit(0)\n", "ended the process with exit code 0"),
    "fork_bomb": ("import os\nwhile True:\n    os.fork()\n", "processes"),
    "segfault": ("import ctypes\nctypes.string_at(0)\n", "SIGSEGV"),
    "giant": (GIANT, "100,000"),
    "long_text": ("with DAG('long_text', description='x' * 50_000_000):\n    pass\n", ""),
    "outside": ("with DAG('../../etc/passwd'):\n    pass\n", "../../etc/passwd"),
    "thief": (GOOD.format(dag_id="good_a", value=666), 'DAG "good_a" is defined in two files'),
    "cyclic": (CYCLIC, "one.a >> two.b >> one.a"),
    "default": ("with DAG('default', params={'x': Param(object())}):\n    pass\n", "object"),
}


def write_bad(house: House) -> None:
    for name, (text, _said) in BAD.items():
        house.write(name, HEAD + text)


def test_each_is_an_error_of_its_file_and_the_others_run(new_house: NewHouse) -> None:
    house = new_house(settings=SETTINGS)
    house.write("good_a", GOOD.format(dag_id="good_a", value=1))
    house.standalone()
    write_bad(house)
    house.write("good_b", GOOD.format(dag_id="good_b", value=1))
    house.until(lambda: len(house.store.import_errors()) == len(BAD), "an error of each bad file", 90)
    house.until(lambda: house.knows("good_a", "good_b"), "the good files")
    shown = {row["file"]: row["message"] for row in house.json("dags", "errors")}
    assert sorted(shown) == sorted(f"{name}.py" for name in BAD)
    for name, (_text, said) in BAD.items():
        assert said in shown[f"{name}.py"], shown[f"{name}.py"]
        assert len(shown[f"{name}.py"]) < 30_000
    assert [dag.dag_id for dag in house.store.dags()] == ["good_a", "good_b"]
    for name in ("good_a", "good_b"):
        house.trigger(name, "r1")
        assert house.ends(name, "r1") == "success"
        run = house.snapshot(name, "r1").run
        assert house.store.xcoms(run.pk, "only")[0][2] == "1"
    assert "started again" not in house.log("standalone"), "no part died of it"


def test_check_finds_the_same_without_a_database(home: House) -> None:
    write_bad(home)
    home.write("good_a", GOOD.format(dag_id="good_a", value=1))
    said = home.run("dags", "check", "-o", "json", more={"TRADEWIND__DAGS__PARSE_SECONDS_MAX": "4"})
    assert said.code == 1
    found = json.loads(said.out)
    assert found["ok"] is False
    messages: dict[str, str] = {}
    for error in found["errors"]:
        messages[Path(error["file"]).stem] = error["message"]
    assert sorted(set(messages) - {"good_a", "thief"}) == sorted(set(BAD) - {"thief"})
    assert len({"good_a", "thief"} & set(messages)) == 1, "one of the two that have the same DAG"
    assert not (home.home / "tradewind.db").exists()


@pytest.mark.parametrize("name", ["syntax", "endless", "leaves", "segfault", "outside"])
def test_the_last_good_version_stays(new_house: NewHouse, name: str) -> None:
    house = new_house(settings=SETTINGS)
    house.write("good", GOOD.format(dag_id="good", value=1))
    house.standalone()
    house.write("good", HEAD + BAD[name][0])
    house.until(lambda: [error[0] for error in house.store.import_errors()] == ["good.py"], "the error")
    house.trigger("good", "r1")
    assert house.ends("good", "r1") == "success"
    house.write("good", GOOD.format(dag_id="good", value=2))
    house.until(lambda: not house.store.import_errors(), "the repair")
    house.trigger("good", "r2")
    assert house.ends("good", "r2") == "success"
    values = [
        house.store.xcoms(house.snapshot("good", run_id).run.pk, "only")[0][2] for run_id in ("r1", "r2")
    ]
    assert values == ["1", "2"]
