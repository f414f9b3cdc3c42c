"""Do once, before attempts are forked, what each of them would do again."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from tradewind.runtime.task.render import is_template

_DEPTH_MAX = 6  # templates hide no deeper than this in practice; a missed one costs an attempt 20 ms
_TEMPLATE_MODULES = ("jinja2.sandbox", "jinja2.nativetypes", "tradewind.runtime.task.macros")


def warm(dags: Iterable[Any]) -> None:
    """Resolve the edges of ``dags``; load the template engine if a task has a template."""
    templates = False
    for dag in dags:
        dag.downstream_of("")  # the edges between tasks are worked out at the first question
        templates = templates or any(_has_template(task.given) for task in dag.tasks)
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
