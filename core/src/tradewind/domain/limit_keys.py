"""The key of a keyed limit: its template, filled in for a task of a run.

The scheduler runs no template language; a key may only name what every run has.
"""

from __future__ import annotations

import re

from tradewind.domain.records import RunRow

_NAME = re.compile(r"\{\{\s*([\w.]+)\s*\}\}")


def limit_key(template: str, run: RunRow, task_id: str) -> str:
    """Return ``template`` with its names filled in.

    ``{{ params.x }}``, ``{{ conf.x }}``, ``{{ run_id }}``, ``{{ dag_id }}`` and ``{{ task_id }}`` are replaced;
    any other name stays as it is written.
    """
    fixed = {"run_id": run.run_id, "dag_id": run.dag_id, "task_id": task_id}

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in fixed:
            return fixed[name]
        source, _, key = name.partition(".")
        values = {"params": run.params, "conf": run.conf}.get(source, {})
        return str(values[key]) if key in values else match.group(0)

    return _NAME.sub(value, template)
