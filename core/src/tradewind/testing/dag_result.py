"""What a test run of a DAG came to, in the shapes people and programs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from tradewind.domain.records import InstanceRow, MapIndex, RunRow, format_map_index
from tradewind.domain.spec import DagSpec
from tradewind.runtime.task.values import Types, decode, plain


@dataclass(frozen=True)
class DagTestResult:
    """The run's ``state``, its ``tasks`` as ``runs show`` lists them, and the ``xcoms`` they returned."""

    run: RunRow
    rows: tuple[InstanceRow, ...]
    spec: DagSpec
    pushed: Mapping[str, Mapping[MapIndex, Mapping[str, str]]]
    types: Types

    @property
    def state(self) -> str:
        """``success``, ``failed`` or ``cancelled``."""
        return str(self.run.state)

    @cached_property
    def tasks(self) -> list[dict[str, Any]]:
        """One dict per task instance: task_id, map_index, state, try_number, dates, duration, pool, operator."""
        operators = {task.task_id: task.operator for task in self.spec.tasks}
        return [_shown(row, operators[row.task_id]) for row in self.rows]

    @cached_property
    def xcoms(self) -> dict[str, Any]:
        """What tasks returned, by ``"task_id"`` or ``"task_id[index]"``."""
        return {name: decode(text, self.types) for name, text in self._returned()}

    def xcom(self, task_id: str, key: str = "return_value", map_index: Sequence[int] = ()) -> Any:
        """Return one value that was pushed; ``KeyError`` when it was not."""
        return decode(self.pushed[task_id][tuple(map_index)][key], self.types)

    def states(self) -> dict[str, str]:
        """Return the state of each instance, by ``"task_id"`` or ``"task_id[index]"``."""
        return {_name(row.task_id, row.map_index): str(row.state) for row in self.rows}

    def reasons(self) -> dict[str, str]:
        """Return why instances ended as they did, where that is not plain."""
        return {_name(row.task_id, row.map_index): row.reason for row in self.rows if row.reason}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON shape of ``tradewind dags test -o json``."""
        run = self.run
        return {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "state": self.state,
            "logical_date": _iso(run.logical_date),
            "run_after": _iso(run.run_after),
            "start_date": _iso(run.started_at),
            "end_date": _iso(run.ended_at),
            "tasks": self.tasks,
            "xcoms": {name: plain(json.loads(text)) for name, text in self._returned()},
        }

    def _returned(self) -> list[tuple[str, str]]:
        texts = ((row, self.pushed.get(row.task_id, {}).get(row.map_index, {})) for row in self.rows)
        return [
            (_name(row.task_id, row.map_index), pushed["return_value"])
            for row, pushed in texts
            if "return_value" in pushed
        ]

    def __repr__(self) -> str:
        return f"<DagTestResult {self.run.dag_id} {self.state}>"


def _shown(row: InstanceRow, operator: str) -> dict[str, Any]:
    ended = row.started_at is not None and row.ended_at is not None
    return {
        "task_id": row.task_id,
        "map_index": _index(row.map_index),
        "state": str(row.state),
        "try_number": row.try_number,
        "start_date": _iso(row.started_at),
        "end_date": _iso(row.ended_at),
        "duration": (row.ended_at - row.started_at).total_seconds() if ended else None,  # type: ignore[operator]
        "pool": row.pool,
        "operator": operator,
    }


def _index(index: MapIndex) -> int | str | None:
    if not index:
        return None
    return index[0] if len(index) == 1 else format_map_index(index)


def _name(task_id: str, index: MapIndex) -> str:
    return f"{task_id}[{format_map_index(index)}]" if index else task_id


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
