"""Do once, before attempts are forked, what each of them would do again."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.authoring.callables import parameters_of
from tradewind.runtime.task.execute import dag_folder, own_folder
from tradewind.runtime.task.lengths import mapped_keys
from tradewind.runtime.task.render import is_template

_DEPTH_MAX = 6  # templates hide no deeper than this in practice; a missed one costs an attempt 20 ms
_TEMPLATE_MODULES = ("jinja2.sandbox", "jinja2.nativetypes", "tradewind.runtime.task.macros")


def warm(dags: Iterable[Any], file: str) -> None:
    """Resolve the edges of ``dags``, ask what is remembered; load the template engine if a task has a template.

    ``file`` is their file relative to the DAG folder.
    """
    templates = False
    for dag in dags:
        own_folder(dag.file)
        dag_folder(dag.file, file)
        dag.downstream_of("")  # the edges between tasks are worked out at the first question
        for task in dag.tasks:
            templates = templates or _has_template(task.given)
            mapped_keys(task)
            function = task.given.get("python_callable")
            if callable(function):
                parameters_of(function)
    if templates:
        for name in _TEMPLATE_MODULES:
            importlib.import_module(name)


def _has_template(value: Any, depth: int = 0) -> bool:
    if isinstance(value, str):
        return is_template(value)
    if depth > _DEPTH_MAX:
        return False
    if isinstance(value, Mapping):
        return any(_has_template(item, depth + 1) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_has_template(item, depth + 1) for item in value)
    return False
