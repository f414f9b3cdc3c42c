"""What the built-in plugin declares is there."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from tradewind.plugins import PluginState, Registry
from tradewind.plugins.declarations import KINDS
from tradewind.plugins.manager import PluginManager
from tradewind.runtime.logs import FileLogStore


@pytest.fixture
def registry() -> Registry:
    return Registry(PluginManager())


def test_it_is_loaded_without_problems(registry: Registry) -> None:
    (info,) = registry.plugins()
    assert (info.name, info.state, info.problems) == ("tradewind", PluginState.LOADED, ())


def test_everything_it_names_can_be_loaded(registry: Registry) -> None:
    loaded = {
        (hook, name): registry.load(hook, name)
        for hook in KINDS
        for name in registry.declarations(hook).names()
    }
    assert [name for name, thing in loaded.items() if not callable(thing)] == []


def test_operators_are_of_the_kind_that_is_declared(registry: Registry) -> None:
    wrong = [
        declared.name
        for declared in registry.catalogue()
        if declared.kind != registry.load("tradewind_operators", declared.name).operator_kind
    ]
    assert wrong == []


def test_the_file_log_store_lies_where_the_settings_say(registry: Registry, tmp_path: Path) -> None:
    store = registry.log_store_factory("file")(SimpleNamespace(logs_path=tmp_path))
    store.append("sales/run/load/1.jsonl", b"{}\n")
    assert isinstance(store, FileLogStore)
    assert [path.name for path in tmp_path.rglob("*.jsonl")] == ["1.jsonl"]
