"""The batch of the in-memory metastore: all guards are checked, then everything is written."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from tradewind.domain.records import (
    Batch,
    CommitResult,
    Committed,
    EventRow,
    InstanceRow,
    InstanceWrite,
    LostRace,
    RunWrite,
    Term,
    run_pk_of,
)
from tradewind.domain.states import TaskState
from tradewind.errors import MetastoreError, StaleTermError
from tradewind.metastore.rows import clean_text
from tradewind.testing.memory.edges import check_edge
from tradewind.testing.memory.tables import Tables


def commit(
    tables: Tables, batch: Batch, term: Term | None, now: datetime, *, assert_edges: bool
) -> CommitResult:
    """Write the whole batch or nothing."""
    if term is not None:
        check_term(tables, term)
    lost = find_lost(tables, batch, now)
    if lost != LostRace():
        return lost
    _check_itself(batch)
    if assert_edges:
        for write in batch.instances:
            check_edge(write.guard, write.row)
    _write(tables, batch, now)
    return Committed(last_event_id=add_events(tables, batch.events, now))


def check_term(tables: Tables, term: Term) -> None:
    """Raise ``StaleTermError`` unless the term is the newest."""
    newest = tables.leaders.get(term.shard)
    if newest is None or newest[0].number != term.number:
        leads = "nobody" if newest is None else f"{newest[0].holder} (term {newest[0].number})"
        raise StaleTermError(
            f"Term {term.number} of {term.holder} over shard {term.shard!r} is over; {leads} leads now."
        )


def _check_itself(batch: Batch) -> None:
    """Refuse what the unique keys of a database would refuse: two new rows of one name in one batch."""
    names = [(w.row.run_pk, w.row.task_id, w.row.map_index) for w in batch.instances if w.guard is None]
    ids = [w.row.id for w in batch.instances]
    runs = [(w.row.dag_id, w.row.run_id) for w in batch.runs if w.guard is None]
    if any(len(keys) != len(set(keys)) for keys in (names, ids, runs)):
        raise MetastoreError("A batch contradicts itself or the schema: it writes one row twice.")


def find_lost(tables: Tables, batch: Batch, now: datetime) -> LostRace:
    """Compare the guards of a batch with the rows as they are."""
    inserted_runs = {w.row.pk for w in batch.runs if w.guard is None}
    hang_on = {w.row.run_pk for w in batch.instances if w.guard is None} | {x.run_pk for x in batch.xcoms}
    runs = {w.row.pk for w in batch.runs if w.guard is not None and not _run_holds(tables, w)}
    runs |= {pk for pk in hang_on if pk not in tables.runs and pk not in inserted_runs}
    revisions = {pk: tables.runs[pk].revision for pk, _revision in batch.checks if pk in tables.runs}
    runs |= {pk for pk, revision in batch.checks if revisions.get(pk) != revision}
    dags = {w.row.dag_id for w in batch.runs if w.guard is None and w.row.dag_id not in tables.dags}
    for dag in batch.dags:
        stands = tables.dags.get(dag.row.dag_id)
        if stands is None or (stands.cursor_at, stands.revision) != (dag.guard_cursor_at, dag.row.revision):
            dags.add(dag.row.dag_id)
    return LostRace(
        instances=tuple(sorted(_lost_instances(tables, batch, now))),
        runs=tuple(sorted(runs)),
        dags=tuple(sorted(dags)),
        duplicate_runs=tuple(sorted(w.row.pk for w in batch.runs if w.guard is None and _taken(tables, w))),
    )


def _run_holds(tables: Tables, write: RunWrite) -> bool:
    row = tables.runs.get(write.row.pk)
    return row is not None and row.state is write.guard and row.revision == write.row.revision


def _taken(tables: Tables, write: RunWrite) -> bool:
    row = write.row
    return (
        row.pk in tables.runs
        or (row.dag_id, row.run_id) in tables.run_names
        or (row.tick is not None and (row.dag_id, row.tick) in tables.ticks)
    )


def _lost_instances(tables: Tables, batch: Batch, now: datetime) -> set[int]:
    lost = set()
    removed = {row_id for row_id, _guard in batch.removed}
    for row_id, guard in batch.removed:
        row = tables.instance(row_id, run_pk_of(row_id))
        if row is None or (row.state, row.token) != guard:
            lost.add(row_id)
    for write in batch.instances:
        row = tables.instance(write.row.id, write.row.run_pk)
        if write.guard is not None:
            if row is None or not _instance_holds(write, row, now):
                lost.add(write.row.id)
            continue
        name = (write.row.run_pk, write.row.task_id, write.row.map_index)
        namesake = tables.instance_names.get(name)
        if row is not None or (namesake is not None and namesake not in removed):
            lost.add(write.row.id)
    return lost


def _instance_holds(write: InstanceWrite, row: InstanceRow, now: datetime) -> bool:
    if (row.state, row.token) != write.guard:
        return False
    return not write.lease_expired or (row.lease_until_at is not None and row.lease_until_at < now)


def _write(tables: Tables, batch: Batch, now: datetime) -> None:
    for dag in batch.dags:
        old = tables.dags[dag.row.dag_id]
        new = dag.row
        changed = (old.paused, old.held) != (new.paused, new.held)
        tables.dags[new.dag_id] = msgspec.structs.replace(
            old,
            paused=new.paused,
            held=new.held,
            cursor_at=new.cursor_at,
            next_run_at=new.next_run_at,
            revision=old.revision + changed,
        )
    for run in batch.runs:
        row = run.row
        tables.runs[row.pk] = msgspec.structs.replace(
            row,
            note=clean_text(row.note),
            reason=clean_text(row.reason),
            triggered_by=clean_text(row.triggered_by),
            revision=row.revision + (run.guard is not None),
        )
        tables.run_names[row.dag_id, row.run_id] = row.pk
        if row.tick is not None:
            tables.ticks[row.dag_id, row.tick] = row.pk
    for row_id, _guard in batch.removed:
        gone = tables.instances[run_pk_of(row_id)].pop(row_id)
        del tables.instance_names[gone.run_pk, gone.task_id, gone.map_index]
    for write in batch.instances:
        row_ = _kept(write, now)
        tables.instances[row_.run_pk][row_.id] = row_
        tables.instance_names[row_.run_pk, row_.task_id, row_.map_index] = row_.id
    for attempt in batch.attempts:
        tables.attempts[attempt.instance_id][attempt.token] = msgspec.structs.replace(
            attempt, reason=clean_text(attempt.reason)
        )
    _write_xcoms(tables, batch)


def _kept(write: InstanceWrite, now: datetime) -> InstanceRow:
    row = write.row
    lease = row.lease_until_at if row.state is TaskState.RUNNING else None
    if write.lease_seconds is not None:
        lease = now + timedelta(seconds=write.lease_seconds)
    return msgspec.structs.replace(
        row,
        lease_until_at=lease,
        reason=clean_text(row.reason),
        label=None if row.label is None else clean_text(row.label),
    )


def _write_xcoms(tables: Tables, batch: Batch) -> None:
    for run_pk, task_id, index in batch.xcoms_cleared:
        xcoms = tables.xcoms.get((run_pk, task_id), {})
        for name in [name for name in xcoms if name[0] == index]:
            del xcoms[name]
    for xcom in batch.xcoms:
        tables.xcoms[xcom.run_pk, xcom.task_id][xcom.map_index, xcom.key] = (xcom.value, xcom.store_ref)


def add_events(tables: Tables, events: tuple[EventRow, ...], now: datetime) -> int:
    """Append events with the next ids; return the last id, 0 without events."""
    if not events:
        return 0
    last = tables.bump("event", len(events))
    first = last - len(events) + 1
    tables.events += [
        msgspec.structs.replace(event, id=first + n, at=event.at or now, actor=clean_text(event.actor))
        for n, event in enumerate(events)
    ]
    return last
