"""Acts on a DAG: pause, unpause."""

from __future__ import annotations

import msgspec

from tradewind.domain.records import Batch, DagRow, DagWrite, EventRow


def pause_dag(dag: DagRow, *, actor: str, why: str = "", hold: bool = False) -> Batch:
    """Return the batch that stops a DAG's schedule; with ``hold`` its active runs wait too.

    Without ``hold`` manual runs still go and active runs finish. Empty when the DAG is so already.
    """
    return _set(dag, "dag.paused", actor, why, paused=True, held=hold)


def unpause_dag(dag: DagRow, *, actor: str, why: str = "") -> Batch:
    """Return the batch that lets a DAG's schedule and its held runs go on; empty when they do already."""
    return _set(dag, "dag.unpaused", actor, why, paused=False, held=False)


def _set(dag: DagRow, kind: str, actor: str, why: str, *, paused: bool, held: bool) -> Batch:
    if (dag.paused, dag.held) == (paused, held):
        return Batch()
    data = {name: value for name, value in {"held": held, "why": why}.items() if value}
    return Batch(
        dags=(
            DagWrite(
                row=msgspec.structs.replace(dag, paused=paused, held=held), guard_cursor_at=dag.cursor_at
            ),
        ),
        events=(EventRow(kind=kind, dag_id=dag.dag_id, actor=actor, data=data),),
    )
