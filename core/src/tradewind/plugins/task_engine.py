"""Brings plugins' template names into task processes: the engine of workers whose installation has such names.

The names travel to the worker's fork server in its environment, as import strings; a name is imported by the task
that uses it. ``DAG(user_defined_macros=…)`` and ``user_defined_filters`` win over a plugin's name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tradewind.plugins.imports import load_object
from tradewind.plugins.local import make_importable
from tradewind.runtime.forkserver.engine import TaskEngine
from tradewind.runtime.forkserver.messages import DagSource

VARIABLE = "TW_TASK_PLUGINS"  # what is called TRADEWIND… is a setting or a secret, and does not reach tasks
MODULE = __name__  # what WorkerOptions.engine names


class Name(msgspec.Struct, frozen=True):
    """A name for templates: kind "macro" or "filter", and its import string."""

    name: str
    kind: str
    target: str


class TaskPlugins(msgspec.Struct, frozen=True):
    """What a task process has to know of plugins."""

    folder: str | None = None
    names: tuple[Name, ...] = ()


class _Declared(Protocol):
    """A :class:`Name`, or what a plugin declares."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def target(self) -> str: ...


class _Dag(Protocol):
    user_defined_macros: dict[str, Any]
    user_defined_filters: dict[str, Any]


def environment_for(folder: Path | None, declared: Sequence[_Declared]) -> dict[str, str]:
    """Return what to add to a worker's environment; empty when no plugin has a name for templates."""
    if not declared:
        return {}
    names = tuple(Name(item.name, item.kind, item.target) for item in declared)
    plugins = TaskPlugins(None if folder is None else str(folder), names)
    return {VARIABLE: msgspec.json.encode(plugins).decode()}


class Lazy:
    """A function that is imported when it is first called."""

    def __init__(self, name: _Declared) -> None:
        self._name = name
        self._function: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:
            self._function = load_object(
                self._name.target, wanted_by=f'The template name "{self._name.name}"'
            )
        return self._function(*args, **kwargs)


def add_names(dag: _Dag, names: Sequence[_Declared]) -> None:
    """Give the templates of a DAG the names that it does not define itself."""
    for name in names:
        known = dag.user_defined_macros if name.kind == "macro" else dag.user_defined_filters
        known.setdefault(name.name, Lazy(name))


class PluginEngine(TaskEngine):
    """The engine of real attempts, with the names of plugins."""

    def __init__(self, plugins: TaskPlugins) -> None:
        self._plugins = plugins

    def prepare(self) -> None:
        super().prepare()
        if self._plugins.folder is not None:
            make_importable(Path(self._plugins.folder))

    def load(self, source: DagSource) -> Mapping[str, Any]:
        loaded = super().load(source)
        for dag in loaded.values():
            add_names(dag, self._plugins.names)
        return loaded


def engine() -> PluginEngine:
    """Return the engine for the names in this process' environment."""
    text = os.environ.get(VARIABLE)
    return PluginEngine(TaskPlugins() if text is None else msgspec.json.decode(text, type=TaskPlugins))
