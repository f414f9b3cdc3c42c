"""Why something waits: rows read from the metastore, explained by the rules that decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from tradewind.api.trigger import find_dag
from tradewind.api.usecases.find import find_instances, find_snapshot
from tradewind.api.usecases.shapes import map_index_shape, reason_shape
from tradewind.domain.explain import (
    ExecutorFacts,
    Facts,
    explain_dag,
    explain_instance,
    explain_run,
    explain_unfinished,
)
from tradewind.domain.graph import Graph
from tradewind.domain.reasons import Reason
from tradewind.domain.records import InstanceRow, MapIndex, RunSnapshot
from tradewind.ports.metastore import Metastore

BEAT_OLD = timedelta(seconds=30)  # what a scheduler said longer ago is not true any more

PluginReasons = Callable[[RunSnapshot, InstanceRow, datetime], Sequence[Reason]]


def gather(
    store: Metastore,
    now: datetime,
    *asked: RunSnapshot,
    default_executor: str = "local",
    shard: str = "main",
) -> Facts:
    """Return the facts about all active runs and those ``asked`` about. ``now`` is database time."""
    graphs: dict[int, Graph] = {}

    def graph(version_id: int) -> Graph:
        if version_id not in graphs:
            graphs[version_id] = Graph(store.spec(version_id))
        return graphs[version_id]

    return Facts(
        runs={one.run.pk: one for one in (*store.active_runs(), *asked)},
        dags={dag.dag_id: dag for dag in store.dags()},
        graph=graph,
        pools={pool.name: pool for pool in store.pools()},
        executors=executor_facts(store, now),
        default_executor=default_executor,
        leader=store.leader(shard),
        previous=store.previous_run,
    )


def executor_facts(store: Metastore, now: datetime) -> dict[str, ExecutorFacts]:
    """Return what the leading scheduler last said of its executors; nothing when that is long ago."""
    newest: tuple[datetime, dict[str, Any]] | None = None
    for _component, kind, _host, _pid, at, data in store.components():
        leads = kind == "scheduler" and data.get("leads") and now - at <= BEAT_OLD
        if leads and (newest is None or at > newest[0]):
            newest = (at, data)
    known = newest[1].get("executors", {}) if newest is not None else {}
    return {
        name: ExecutorFacts(slots=one["slots"], workers=one["workers"], detail=one.get("detail", ""))
        for name, one in known.items()
    }


def why_task(
    store: Metastore,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: MapIndex | None = None,
    *,
    plugins: PluginReasons | None = None,
    default_executor: str = "local",
    shard: str = "main",
) -> list[dict[str, Any]]:
    """Return why a task's instances stand where they stand, one entry each; errors as ``find_instances``."""
    snapshot = find_snapshot(store, dag_id, run_id)
    now = store.now()
    facts = gather(store, now, snapshot, default_executor=default_executor, shard=shard)
    if not snapshot.instances and task_id in facts.graph_of(snapshot.run).by_id:
        reasons = explain_run(facts, snapshot.run.pk, now)  # it waits for its run to start
        return [_told(task_id, None, "none", reasons)]
    told = []
    for row in find_instances(snapshot, task_id, map_index):
        reasons = explain_instance(facts, row.id, now)
        told.append(_entry(row, [*reasons, *(plugins(snapshot, row, now) if plugins else ())]))
    return told


def why_run(
    store: Metastore, dag_id: str, run_id: str, *, default_executor: str = "local", shard: str = "main"
) -> list[dict[str, Any]]:
    """Return why a run stands where it stands (an entry with task_id null), then each of its unfinished instances."""
    snapshot = find_snapshot(store, dag_id, run_id)
    now = store.now()
    facts = gather(store, now, snapshot, default_executor=default_executor, shard=shard)
    own = _told(None, None, snapshot.run.state.value, explain_run(facts, snapshot.run.pk, now))
    return [own, *(_entry(row, reasons) for row, reasons in explain_unfinished(facts, snapshot.run.pk, now))]


def why_dag(store: Metastore, dag_id: str, *, shard: str = "main") -> list[dict[str, Any]]:
    """Return why a DAG makes no new run now."""
    dag = find_dag(store, dag_id)
    facts = Facts(
        runs={},
        dags={dag.dag_id: dag},
        graph=lambda version_id: Graph(store.spec(version_id)),
        pools={},
        executors={},
        leader=store.leader(shard),
    )
    return [reason_shape(one) for one in explain_dag(facts, dag_id, store.now())]


def _entry(row: InstanceRow, reasons: Sequence[Reason]) -> dict[str, Any]:
    return _told(row.task_id, map_index_shape(row.map_index), row.state.value, reasons)


def _told(
    task_id: str | None, map_index: int | str | None, state: str, reasons: Sequence[Reason]
) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "reasons": [reason_shape(one) for one in reasons],
    }
