"""The one write: a batch of guarded changes as a handful of set-based statements in one transaction.

Order of the statements, the same for every writer so that two of them wait for each other and do not
deadlock: leader row (shared), dags, runs, instances by id, attempts, xcoms, and last the event counter. The
counter stays locked until the transaction ends, so events become visible in the order of their ids; it comes
last to be locked for the shortest time.

No statement finds out by itself who lost a race: the counts of matched rows do not add up, the transaction
is rolled back, and :mod:`tradewind.metastore.races` reads which rows no longer stand as their guards said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from tradewind.domain.records import (
    Batch,
    CommitResult,
    Committed,
    DagWrite,
    EventRow,
    InstanceWrite,
    LostRace,
    RunWrite,
    Term,
    XComWrite,
    format_map_index,
)
from tradewind.errors import MetastoreError, StaleTermError
from tradewind.metastore import rows
from tradewind.metastore.instants import seconds_to_us, to_us, to_us_or_none
from tradewind.metastore.races import checks_hold, find_lost, guarded
from tradewind.metastore.rows import Values
from tradewind.metastore.session import KeyRefusedError, Session, Tx
from tradewind.metastore.statements import Delete, Insert, Statement, Update, values

ROUNDS_MAX: Final = 3  # of a batch whose guards failed and then held again
NO_CURSOR: Final = -(2**63)  # stands for NULL, which no comparison matches

XCOM_KEY: Final = ("run_pk", "task_id", "map_index", "item")
XCOM_REST: Final = ("value", "store_ref")

_INSERT_RUN: Final = Insert("run", values(rows.RUN_COLUMNS))
_INSERT_EVENT: Final = Insert("event", values(rows.EVENT_COLUMNS))
_PUT_ATTEMPT: Final = Insert("attempt", values(rows.ATTEMPT_COLUMNS), key=rows.ATTEMPT_COLUMNS[:2])
_PUT_XCOM: Final = Insert("xcom", values(XCOM_KEY + XCOM_REST), key=XCOM_KEY)
_DELETE_XCOMS: Final = Delete("xcom", XCOM_KEY[:3])
_DELETE_INSTANCE: Final = Delete("task_instance", ("id", "state", "token"))
_UPDATE_RUN: Final = (
    f"UPDATE run SET {', '.join(f'{name} = ?' for name in rows.RUN_REST)} "
    "WHERE pk = ? AND state = ? AND revision = ?"
)
# The revision is set first: MySQL lets later assignments see the values of earlier ones.
_UPDATE_DAG: Final = (
    "UPDATE dag SET revision = revision + (CASE WHEN paused <> ? OR held <> ? THEN 1 ELSE 0 END), "
    "paused = ?, held = ?, cursor_at = ?, next_run_at = ? "
    f"WHERE dag_id = ? AND COALESCE(cursor_at, {NO_CURSOR}) = ? AND revision = ?"
)


@lru_cache(maxsize=32)
def _instance_statement(now: str, *, inserted: bool, leased: bool, expired: bool) -> Insert | Update:
    """Return the write of instances: ``leased`` from database time on, ``expired`` if their lease is over."""
    lease = ("lease_until_at", f"{now} + ?" if leased else "?")
    if inserted:
        return Insert("task_instance", (*values(rows.INSTANCE_COLUMNS[:-1]), lease))
    late = f"lease_until_at < {now}" if expired else ""
    return Update("task_instance", (*values(rows.INSTANCE_REST[:-1]), lease), ("id", "state", "token"), late)


class _MismatchError(Exception):
    """A guarded statement matched fewer rows than it was given."""


class _Guarded(NamedTuple):
    """One statement for many rows; ``exact`` when each row must match."""

    statement: Statement | str
    parameters: list[Values]
    exact: bool


def commit(session: Session, batch: Batch, term: Term | None, *, wake: bool) -> CommitResult:
    """Write the whole batch or nothing; see :meth:`tradewind.ports.metastore.Metastore.commit`."""
    changes = _changes(session, batch)
    refused: KeyRefusedError | None = None
    for _round in range(ROUNDS_MAX):
        try:
            last = session.write(lambda tx: _write(tx, changes, batch, term, wake=wake))
        except _MismatchError:
            refused = None
        except KeyRefusedError as error:
            refused = error
        else:
            return Committed(last_event_id=last)
        lost = session.read(lambda tx: find_lost(tx, batch))
        if lost != LostRace():
            return lost
    if refused is not None:
        raise MetastoreError(f"A batch contradicts itself or the schema: {refused}") from refused
    return guarded(batch)


def _write(tx: Tx, changes: list[_Guarded], batch: Batch, term: Term | None, *, wake: bool) -> int:
    if term is not None:
        check_term(tx, term)
    if not checks_hold(tx, batch.checks, tx.dialect.share_lock):
        raise _MismatchError
    for change in changes:
        statement = change.statement
        if isinstance(statement, str):
            matched = tx.many(statement, change.parameters)
        else:
            matched = tx.change(statement, change.parameters)
        if change.exact and matched != len(change.parameters):
            raise _MismatchError
    return insert_events(tx, batch.events, wake=wake)


def check_term(tx: Tx, term: Term) -> None:
    """Raise ``StaleTermError`` unless the term is the newest; nobody can take the lead until this transaction ends."""
    row = tx.one(f"SELECT number, holder FROM leader WHERE shard = ?{tx.dialect.share_lock}", (term.shard,))
    if row is None or row[0] != term.number:
        now_leads = "nobody" if row is None else f"{row[1]} (term {row[0]})"
        raise StaleTermError(
            f"Term {term.number} of {term.holder} over shard {term.shard!r} is over; {now_leads} leads now."
        )


def insert_events(tx: Tx, events: tuple[EventRow, ...], *, wake: bool = True) -> int:
    """Insert events with the next ids, in order; return the last id, 0 without events.

    ``wake`` tells listeners of the database (PostgreSQL's NOTIFY) when the transaction is committed.
    """
    if not events:
        return 0
    last, now_us = tx.bump("event", len(events))
    first = last - len(events) + 1
    tx.change(_INSERT_EVENT, [rows.event_values(event, first + n, now_us) for n, event in enumerate(events)])
    if wake:
        for statement in tx.dialect.wake:
            tx.run(statement)
    return last


def _changes(session: Session, batch: Batch) -> list[_Guarded]:
    """Return the statements of a batch in the order of locking, their parameters encoded once."""
    statements = [
        _Guarded(_UPDATE_DAG, _dags(batch.dags), exact=True),
        _Guarded(_UPDATE_RUN, _run_updates(batch.runs), exact=True),
        _Guarded(
            _INSERT_RUN,
            [rows.run_values(write.row) for write in batch.runs if write.guard is None],
            exact=False,
        ),
        _Guarded(
            _DELETE_INSTANCE,
            [(row_id, guard.state.value, guard.token) for row_id, guard in sorted(batch.removed)],
            exact=True,
        ),
        *_instances(batch.instances, session.dialect.now),
        _Guarded(
            _PUT_ATTEMPT,
            _last_of_each((rows.attempt_values(row) for row in batch.attempts), key=2),
            exact=False,
        ),
        _Guarded(
            _DELETE_XCOMS,
            sorted(
                (run_pk, task_id, format_map_index(index)) for run_pk, task_id, index in batch.xcoms_cleared
            ),
            exact=False,
        ),
        _Guarded(
            _PUT_XCOM,
            _last_of_each(map(_xcom, batch.xcoms), key=len(XCOM_KEY)),
            exact=False,
        ),
    ]
    return [statement for statement in statements if statement.parameters]


def _last_of_each(written: Iterable[Values], key: int) -> list[Values]:
    """Sort rows by their first ``key`` columns; of several with one key keep the last."""
    return [row for _key, row in sorted({row[:key]: row for row in written}.items(), key=itemgetter(0))]


def _dags(writes: Iterable[DagWrite]) -> list[Values]:
    parameters = []
    for write in sorted(writes, key=lambda write: write.row.dag_id):
        row = write.row
        flags = (int(row.paused), int(row.held))
        guard = NO_CURSOR if write.guard_cursor_at is None else to_us(write.guard_cursor_at)
        ticks = (to_us_or_none(row.cursor_at), to_us_or_none(row.next_run_at))
        parameters.append((*flags, *flags, *ticks, row.dag_id, guard, row.revision))
    return parameters


def _run_updates(writes: Iterable[RunWrite]) -> list[Values]:
    updates = [
        (*rows.run_rest(row)[:-1], row.revision + 1, row.pk, write.guard.value, row.revision)
        for write in writes
        if write.guard is not None
        for row in (write.row,)
    ]
    return sorted(updates, key=_run_pk)


def _run_pk(parameters: Values) -> int:
    pk: int = parameters[-3]
    return pk


def _instances(writes: tuple[InstanceWrite, ...], now: str) -> list[_Guarded]:
    """Group the writes by the form of their statement: updates first, then inserts, each by id."""
    groups: Mapping[tuple[bool, bool, bool], list[InstanceWrite]] = defaultdict(list)
    for write in writes:
        leased = write.lease_seconds is not None
        groups[write.guard is None, leased, write.lease_expired].append(write)
    statements = []
    for (inserted, leased, expired), group in sorted(groups.items()):
        group.sort(key=_row_id)
        statement = _instance_statement(now, inserted=inserted, leased=leased, expired=expired)
        if inserted:
            parameters = [(*rows.instance_name(w.row), *rows.instance_rest(w.row), _lease(w)) for w in group]
        else:
            parameters = [
                (*rows.instance_rest(w.row), _lease(w), w.row.id, w.guard.state.value, w.guard.token)
                for w in group
                if w.guard is not None
            ]
        statements.append(_Guarded(statement, parameters, exact=not inserted))
    return statements


def _row_id(write: InstanceWrite) -> int:
    return write.row.id


def _lease(write: InstanceWrite) -> int | None:
    if write.lease_seconds is not None:
        return seconds_to_us(write.lease_seconds)
    return rows.instance_lease(write.row)


def _xcom(write: XComWrite) -> tuple[Any, ...]:
    return (
        write.run_pk,
        write.task_id,
        format_map_index(write.map_index),
        write.key,
        write.value,
        write.store_ref,
    )
