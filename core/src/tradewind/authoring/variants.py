"""The kinds of decorated tasks: ``task.branch`` and its like, by name and import string."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tradewind.authoring.arguments import nearest
from tradewind.errors import PluginError

# Each class takes python_callable, op_args and op_kwargs besides its own arguments.
BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "python": "tradewind.authoring.callables:PythonOperator",
        "bash": "tradewind.operators.bash:BashCallableOperator",
        "branch": "tradewind.operators.branch:BranchPythonOperator",
        "external_python": "tradewind.operators.virtualenv:ExternalPythonOperator",
        "sensor": "tradewind.sensors.python:PythonSensor",
        "short_circuit": "tradewind.operators.branch:ShortCircuitOperator",
        "virtualenv": "tradewind.operators.virtualenv:PythonVirtualenvOperator",
    }
)


class Variants:
    """The names known to one ``task`` object; providers add theirs with :meth:`add`."""

    def __init__(self) -> None:
        self._paths = dict(BUILT_IN)

    def add(self, name: str, path: str) -> None:
        """Make ``@task.<name>`` use the operator at ``path`` ("package.module:Class"); refuses a name in use."""
        taken = self._paths.get(name)
        if taken is not None and taken != path:
            raise PluginError(f"@task.{name} is {taken} already; {path} needs another name.")
        if not name.isidentifier() or ":" not in path:
            raise PluginError(
                f'A variant of @task has a name and "package.module:Class", not {name!r} and {path!r}.'
            )
        self._paths[name] = path

    def names(self) -> list[str]:
        """Return the known names, sorted."""
        return sorted(self._paths)

    def load(self, name: str) -> type[Any]:
        """Return the operator class; raises AttributeError for a name nobody added."""
        path = self._paths.get(name)
        if path is None:
            close = nearest(name, self._paths)
            advice = f"Did you mean {close}?" if close else f"Known: {', '.join(self.names())}."
            raise AttributeError(f"There is no @task.{name}. {advice}")
        module, _, attribute = path.partition(":")
        try:
            loaded: type[Any] = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise PluginError(f"@task.{name} is {path}, which cannot be imported: {error}.") from error
        return loaded
