"""Rows to be explained, made in a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tradewind.domain.explain import (
    ExecutorFacts,
    Facts,
    explain_instance,
)
from tradewind.domain.graph import Graph
from tradewind.domain.reasons import Reason
from tradewind.domain.records import (
    DagRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    RunType,
    Term,
    instance_id,
)
from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.domain.states import RunState, TaskState

NOW = datetime(2026, 1, 1, 6, 11, tzinfo=UTC)
SIX = datetime(2026, 1, 1, 6, tzinfo=UTC)
LEADER = (Term(shard="main", holder="host-1", number=3, lease_seconds=15), NOW + timedelta(seconds=9))
_TIMES: Mapping[TaskState, dict[str, Any]] = {
    TaskState.QUEUED: {"queued_at": SIX + timedelta(minutes=9)},
    TaskState.RUNNING: {
        "queued_at": SIX,
        "started_at": SIX + timedelta(minutes=10),
        "worker": "w1",
        "try_number": 1,
    },
    TaskState.SUCCESS: {"started_at": SIX, "ended_at": SIX + timedelta(minutes=4)},
    TaskState.FAILED: {"started_at": SIX, "ended_at": SIX + timedelta(minutes=4), "reason": "exit code 2"},
}


def task(task_id: str, *upstream: str, **more: Any) -> TaskSpec:
    return TaskSpec(task_id=task_id, operator="Op", upstream=tuple(sorted(upstream)), **more)


def spec_of(*tasks: TaskSpec, **more: Any) -> DagSpec:
    return DagSpec(dag_id="sales", file="sales.py", tasks=tasks, **more)


def row(
    ordinal: int, task_id: str, state: str, index: MapIndex = (), *, run_pk: int = 1, **more: Any
) -> InstanceRow:
    known = TaskState(state)
    return InstanceRow(
        id=instance_id(run_pk, ordinal),
        run_pk=run_pk,
        task_id=task_id,
        map_index=index,
        state=known,
        **{**_TIMES.get(known, {}), **more},
    )


def run(pk: int = 1, state: RunState = RunState.RUNNING, **more: Any) -> RunRow:
    return RunRow(
        **{
            "pk": pk,
            "dag_id": "sales",
            "run_id": f"r{pk}",
            "version_id": 1,
            "run_type": RunType.MANUAL,
            "state": state,
            "logical_date": SIX,
            "run_after": SIX,
            "interval_start": SIX,
            "interval_end": SIX,
            "started_at": SIX if state is not RunState.QUEUED else None,
            **more,
        }
    )


def facts_of(spec: DagSpec, *snapshots: RunSnapshot, dag: DagRow | None = None, **more: Any) -> Facts:
    known = dag or DagRow(
        dag_id="sales", file="sales.py", version_id=1, version_number=1, first_seen_at=SIX, next_run_at=NOW
    )
    graph = Graph(spec)
    return Facts(
        **{
            "runs": {one.run.pk: one for one in snapshots},
            "dags": {"sales": known},
            "graph": lambda _version: graph,
            "pools": {"default": PoolRow(name="default", slots=8)},
            "executors": {"local": ExecutorFacts(slots=8, workers=1)},
            "leader": LEADER,
            **more,
        }
    )


def snapshot(of: RunRow, rows: Iterable[InstanceRow]) -> RunSnapshot:
    return RunSnapshot(run=of, instances=tuple(rows))


def why(facts: Facts, ordinal: int = 0, run_pk: int = 1) -> list[tuple[str, str]]:
    return told(explain_instance(facts, instance_id(run_pk, ordinal), NOW))


def told(reasons: list[Reason]) -> list[tuple[str, str]]:
    return [(reason.kind.value, reason.message) for reason in reasons]


def one_task(state: str = "scheduled", *, of: RunRow | None = None, **more: Any) -> RunSnapshot:
    return snapshot(of or run(), [row(0, "load", state, **more)])


def dag_row(**more: Any) -> DagRow:
    return DagRow(
        **{
            "dag_id": "sales",
            "file": "sales.py",
            "version_id": 1,
            "version_number": 1,
            "first_seen_at": SIX,
            "next_run_at": NOW + timedelta(hours=3, minutes=4),
            **more,
        }
    )
