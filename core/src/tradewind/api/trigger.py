"""Start a run that no schedule made: the one way for people, programs and tasks."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tradewind.domain.actions import create_run
from tradewind.domain.records import DagRow, LostRace, RunRow, RunType
from tradewind.domain.run_ids import make_run_id
from tradewind.errors import ConflictError, NotFoundError
from tradewind.ports.metastore import Metastore

TRIES_MAX = 20  # of finding a free run_id while others trigger the same instant
NEAR_MAX = 3  # DAG ids offered when one is not known


def trigger_run(
    store: Metastore,
    dag_id: str,
    *,
    now: datetime,
    actor: str,
    run_id: str | None = None,
    logical_date: datetime | None = None,
    run_after: datetime | None = None,
    conf: Mapping[str, Any] | None = None,
    note: str = "",
    priority: int = 0,
    run_type: RunType = RunType.MANUAL,
) -> tuple[RunRow, bool]:
    """Return the queued run and True, or the run that already has ``run_id`` and False.

    Without ``run_id`` a free one is made from type and logical date (``…_2``, ``…_3``).

    Raises ``NotFoundError`` for an unknown DAG, ``ParamError`` when ``conf`` breaks its params, ``ValueError`` for an
    impossible run_id, date or note, ``ConflictError`` for a retired DAG.
    """
    dag = find_dag(store, dag_id)
    spec = store.spec(dag.version_id)
    for _try in range(TRIES_MAX):
        name = run_id
        if name is None:
            name = make_run_id(
                run_type, logical_date or now, lambda taken: store.find_run(dag_id, taken) is not None
            )
        else:
            known = store.find_run(dag_id, name)
            if known is not None:
                return known, False
        batch = create_run(
            dag,
            spec,
            pk=store.allocate_run_pks(1)[0],
            now=now,
            actor=actor,
            run_type=run_type,
            logical_date=logical_date,
            run_after=run_after,
            conf=conf,
            run_id=name,
            priority=priority,
            note=note,
        )
        if not isinstance(store.commit(batch), LostRace):
            return batch.runs[0].row, True
    raise ConflictError(f'DAG "{dag_id}" is triggered by many at this instant; give the run an id of its own')


def find_dag(store: Metastore, dag_id: str) -> DagRow:
    """Return a DAG's row; ``NotFoundError`` names the nearest ids."""
    dag = store.dag_row(dag_id)
    if dag is None:
        known = sorted(row.dag_id for row in store.dags())
        near = difflib.get_close_matches(dag_id, known, n=NEAR_MAX)
        if near:
            hint = f"Did you mean {', '.join(near)}?"
        elif known:
            hint = "`tradewind dags list` shows those there are."
        else:
            hint = "No DAG is known yet: is the scheduler (or the dag-processor) running? `tradewind dags errors`"
        raise NotFoundError(f'There is no DAG "{dag_id}". {hint}')
    return dag
