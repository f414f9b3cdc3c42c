"""Templates of tasks know the names of plugins, and import them only when they are used."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tidy.source import ROOT
from tradewind.errors import PluginError
from tradewind.hookspecs import TemplateName
from tradewind.plugins import Registry, task_engine
from tradewind.plugins.local_executor import equipped
from tradewind.plugins.task_engine import VARIABLE, Lazy, Name, TaskPlugins, add_names, environment_for
from tradewind.runtime.forkserver.messages import DagSource
from tradewind.runtime.supervisor.options import WorkerOptions

NEXT = Name("next_working_day", "macro", "tradewind_plugin_working_day_timetable:next_working_day")


def test_without_names_a_worker_is_as_it_was(folder: Path, registry: Callable[..., Registry]) -> None:
    options = WorkerOptions(home="home")
    assert equipped(options, {"A": "b"}, folder, registry()) == (options, {"A": "b"})


def test_names_travel_in_the_environment(
    folder: Path, registry: Callable[..., Registry], plugin: Callable[[str, str], Path]
) -> None:
    plugin(
        "shout",
        """
        def shout(text):
            return text.upper()

        @hookimpl
        def tradewind_template_names():
            return [TemplateName(name="shout", target=f"{__name__}:shout", kind="filter")]
        """,
    )
    options, environment = equipped(WorkerOptions(home="home"), {"A": "b"}, folder, registry())
    assert options == WorkerOptions(home="home", engine="tradewind.plugins.task_engine")
    assert (sorted(environment), json.loads(environment[VARIABLE])) == (
        ["A", VARIABLE],
        {
            "folder": str(folder),
            "names": [{"name": "shout", "kind": "filter", "target": "tradewind_plugin_shout:shout"}],
        },
    )


def test_a_dags_own_names_win() -> None:
    dag = SimpleNamespace(user_defined_macros={"mine": 1}, user_defined_filters={})
    add_names(dag, [Name("mine", "macro", "a:b"), NEXT, Name("loud", "filter", "a:c")])
    assert (
        dag.user_defined_macros["mine"],
        sorted(dag.user_defined_macros),
        sorted(dag.user_defined_filters),
    ) == (
        1,
        ["mine", "next_working_day"],
        ["loud"],
    )


def test_a_name_whose_function_is_not_there_fails_where_it_is_used() -> None:
    lazy = Lazy(Name("gone", "macro", "no_such_module_here:gone"))
    with pytest.raises(PluginError, match='The template name "gone" needs "no_such_module_here:gone"'):
        lazy()


def test_the_engine_of_a_worker_gives_dags_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    declared = [TemplateName(name=NEXT.name, target=NEXT.target)]
    monkeypatch.setenv(VARIABLE, environment_for(ROOT / "plugins", declared)[VARIABLE])
    text = tmp_path / "version.py"
    text.write_text("from tradewind import DAG\nDAG('sales')\n")
    engine = task_engine.engine()
    engine.prepare()
    loaded = engine.load(DagSource(folder=str(tmp_path), file="sales.py", sha="0" * 64, text_path=str(text)))
    assert loaded["sales"].user_defined_macros["next_working_day"]("2026-11-06") == "2026-11-09"


def test_without_the_environment_the_engine_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert task_engine.engine()._plugins == TaskPlugins()


def test_the_engine_keeps_the_fork_server_small() -> None:
    code = "import sys, tradewind.plugins.task_engine as e; e.engine(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert (
        sorted({"pluggy", "importlib.metadata", "sqlalchemy", "tradewind.plugins.registry"} & set(loaded))
        == []
    )
