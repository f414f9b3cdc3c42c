"""The tables of the in-memory metastore: dictionaries behind one lock, shared by its clones."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tradewind.domain.records import (
    AttemptRow,
    DagRow,
    EventRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    Term,
)
from tradewind.domain.spec import DEFAULT_POOL, DagSpec
from tradewind.domain.states import ACTIVE_RUN_STATES
from tradewind.ports.metastore import DEFAULT_POOL_SLOTS

XComs = dict[tuple[MapIndex, str], tuple[str, str | None]]
StateName = tuple[int, str, MapIndex]


@dataclass(slots=True)
class Version:
    """A stored DAG version."""

    id: int
    number: int
    hash: str
    spec: DagSpec
    file: str
    sha: str
    since: datetime


@dataclass(slots=True)
class Tables:
    """Everything the in-memory metastore keeps."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    dags: dict[str, DagRow] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    sources: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    import_errors: dict[str, tuple[int | None, str, str, datetime]] = field(default_factory=dict)
    runs: dict[int, RunRow] = field(default_factory=dict)
    run_names: dict[tuple[str, str], int] = field(default_factory=dict)
    ticks: dict[tuple[str, datetime], int] = field(default_factory=dict)
    instances: defaultdict[int, dict[int, InstanceRow]] = field(default_factory=lambda: defaultdict(dict))
    instance_names: dict[StateName, int] = field(default_factory=dict)
    attempts: defaultdict[int, dict[int, AttemptRow]] = field(default_factory=lambda: defaultdict(dict))
    xcoms: defaultdict[tuple[int, str], XComs] = field(default_factory=lambda: defaultdict(dict))
    task_state: dict[StateName, dict[str, str]] = field(default_factory=dict)
    rendered: dict[int, dict[int, dict[str, str]]] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    pools: dict[str, PoolRow] = field(
        default_factory=lambda: {DEFAULT_POOL: PoolRow(name=DEFAULT_POOL, slots=DEFAULT_POOL_SLOTS)}
    )
    variables: dict[str, tuple[bytes, bool, str]] = field(default_factory=dict)
    connections: dict[str, tuple[str, bytes, str]] = field(default_factory=dict)
    leaders: dict[str, tuple[Term, datetime]] = field(default_factory=dict)
    components: dict[str, tuple[str, str, int, datetime, dict[str, Any]]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=lambda: {"event": 0, "run": 0, "version": 0})

    def bump(self, name: str, count: int) -> int:
        """Raise a sequence; return its new value."""
        self.sequences[name] += count
        return self.sequences[name]

    def instance(self, row_id: int, run_pk: int) -> InstanceRow | None:
        """Return one instance."""
        rows = self.instances.get(run_pk)
        return rows.get(row_id) if rows else None

    def snapshot(self, run: RunRow) -> RunSnapshot:
        """Return a run with its instances by id."""
        rows = self.instances.get(run.pk, {})
        return RunSnapshot(run=run, instances=tuple(rows[row_id] for row_id in sorted(rows)))

    def active_runs(self) -> list[RunRow]:
        """Return the active runs by key."""
        return [run for _pk, run in sorted(self.runs.items()) if run.state in ACTIVE_RUN_STATES]

    def delete_run(self, pk: int) -> dict[str, int]:
        """Delete a run with all that hangs on it; return counts by table."""
        run = self.runs.pop(pk)
        self.run_names.pop((run.dag_id, run.run_id))
        if run.tick is not None:
            self.ticks.pop((run.dag_id, run.tick))
        rows = self.instances.pop(pk, {})
        for row in rows.values():
            self.instance_names.pop((pk, row.task_id, row.map_index), None)
        xcoms = [key for key in self.xcoms if key[0] == pk]
        states = [key for key in self.task_state if key[0] == pk]
        attempts = [row_id for row_id in self.attempts if row_id >> 20 == pk]
        rendered = [row_id for row_id in self.rendered if row_id >> 20 == pk]
        return {
            "rendered": sum(len(self.rendered.pop(key)) for key in rendered),
            "attempt": sum(len(self.attempts.pop(key)) for key in attempts),
            "xcom": sum(len(self.xcoms.pop(key)) for key in xcoms),
            "task_state": sum(len(self.task_state.pop(key)) for key in states),
            "task_instance": len(rows),
            "run": 1,
        }
