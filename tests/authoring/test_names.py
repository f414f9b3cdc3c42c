"""``import tradewind``: its names, what they cost, and what registers DAGs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tradewind
from tests.authoring.operators import Say
from tradewind import DAG, dag
from tradewind.authoring.compile import compile_file
from tradewind.authoring.registry import collecting
from tradewind.authoring.variants import Variants
from tradewind.errors import PluginError

HEAVY = (
    "sqlalchemy",
    "croniter",
    "jinja2",
    "jsonschema",
    "msgspec",
    "asyncio",
    "click",
    "tradewind.authoring",
)
NEVER_FOR_DAGS = ("sqlalchemy", "jinja2", "jsonschema", "asyncio", "click", "psutil")


def loaded_by(code: str, names: tuple[str, ...]) -> list[str]:
    check = f"import sys; {code}; print([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    found: list[str] = eval(done.stdout)  # noqa: S307 - our own list
    return found


def test_import_tradewind_loads_next_to_nothing() -> None:
    assert loaded_by("import tradewind", HEAVY) == []


def test_what_a_dag_file_imports_loads_nothing_of_the_server() -> None:
    assert loaded_by("from tradewind import DAG, task, Param, Asset, Cron, chain", NEVER_FOR_DAGS) == []


def test_every_name_loads_and_no_other() -> None:
    names = {name: getattr(tradewind, name) for name in tradewind.__all__}
    assert [name for name, value in names.items() if value is None] == []
    assert set(tradewind.__all__) <= set(dir(tradewind))
    assert set(tradewind._HOMES) == set(tradewind.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Dag'"):
        tradewind.Dag  # noqa: B018


def test_every_dag_of_a_file_is_found() -> None:
    @dag
    def called() -> None:
        Say(task_id="a")

    @dag(dag_id="never")
    def uncalled() -> None: ...

    with collecting() as found:
        DAG("plain")
        with DAG("opened"):
            Say(task_id="a")
        called()
        DAG("hidden", auto_register=False)
        dag(uncalled.function)
    assert [one.dag_id for one in found] == ["plain", "opened", "called"]
    assert list(found.uncalled) == ["uncalled"]
    compiled = compile_file(found)
    assert [spec.dag_id for spec, _ in compiled.dags] == ["plain", "opened", "called"]
    assert ["uncalled()" in warning.message for warning in compiled.warnings] == [True]


def test_collections_do_not_leak() -> None:
    with collecting() as outer:
        with collecting() as inner:
            DAG("inner")
        DAG("outer")
    DAG("later")
    assert ([d.dag_id for d in outer], [d.dag_id for d in inner]) == (["outer"], ["inner"])


def test_what_was_made_before_an_error_is_kept() -> None:
    found: list[list[DAG]] = []

    def import_a_broken_file() -> None:
        with collecting() as dags:
            found.append(dags)
            DAG("first")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        import_a_broken_file()
    assert [[d.dag_id for d in dags] for dags in found] == [["first"]]


def test_a_dag_made_by_a_helper_belongs_to_the_file_that_is_read(tmp_path: Path) -> None:
    helper = tmp_path / "helper.py"
    helper.write_text("from tradewind import DAG\ndef make(name):\n    return DAG(name)\n")
    file = tmp_path / "sales.py"
    file.write_text("\n\nmake('d')\n")
    names: dict[str, Any] = {}
    exec(compile(helper.read_text(), str(helper), "exec"), names)  # noqa: S102 - a helper module
    with collecting(str(file)) as found:
        exec(compile(file.read_text(), str(file), "exec"), names)  # noqa: S102 - a DAG file
    assert [(d.file, d.line, d.place) for d in found] == [(str(file), 3, (str(helper), 3))]


def test_providers_add_variants_of_task() -> None:
    variants = Variants()
    variants.add("docker", "tests.authoring.operators:Say")
    variants.add("docker", "tests.authoring.operators:Say")
    assert variants.load("docker") is Say
    assert "docker" in variants.names()
    with pytest.raises(PluginError, match="needs another name"):
        variants.add("bash", "x:Y")
    with pytest.raises(PluginError, match=r"package\.module:Class"):
        variants.add("no name", "x:Y")


def test_test_is_the_door_to_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Engine:
        @staticmethod
        def run_dag(one: DAG, **options: Any) -> str:
            asked.append((one, options))
            return "result"

    monkeypatch.setattr(
        "tradewind.authoring.dag.importlib.import_module",
        lambda name: {"tradewind.testing.dag_test": Engine}[name],
    )
    made = DAG("d")
    assert made.test(conf={"a": 1}) == "result"
    assert asked == [(made, {"at": None, "conf": {"a": 1}, "clock": "virtual"})]
