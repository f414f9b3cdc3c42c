"""The seam to the database: verbs, not tables. One conformance suite runs on every adapter.

Theory of operation
-------------------
Truth is here. Writers compute a :class:`~tradewind.domain.records.Batch` from rows they read and ask
:meth:`Metastore.commit` to write it. Each write carries a *guard*: the state and token the row had.
If any guard fails the whole batch is refused as a value (:class:`LostRace`) and nothing is written; the
writer reads again and decides again. A run row is guarded by its state and its ``revision``, which grows with
every write of it; ``Batch.checks`` guards runs that were only looked at. So user actions,
workers' reports and the scheduler need no locks between them and no order of arrival.

The scheduler passes its :class:`Term`; the commit then also fails (``StaleTermError``) unless that term is
still the shard's newest. Its cached world is thereby fenced.

Every commit's events get growing ids in commit order *as seen by readers*: a reader that has seen id
n never later finds a new event with id <= n (adapters with concurrent writers must take a lock around
the insert of events or otherwise ensure it).

All methods raise ``MetastoreUnavailableError`` when the database cannot be reached (trying again may help),
and retry deadlocks and serialization failures themselves a bounded number of times.
An adapter is used from one thread at a time; :meth:`Metastore.clone` gives another for another thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from tradewind.domain.records import (
    AttemptRow,
    Batch,
    CommitResult,
    DagRow,
    EventRow,
    InstanceRow,
    MapIndex,
    PoolRow,
    RunRow,
    RunSnapshot,
    Term,
)
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import RunState, TaskState

DEFAULT_POOL_SLOTS = 128  # of the pool "default" in a new metastore


class DagListing(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG with its newest run, as lists show it."""

    dag: DagRow
    last_run: RunRow | None = None


class Metastore(Protocol):
    """Reads and guarded writes. See the module's theory of operation."""

    # -- life --------------------------------------------------------------------------------------
    def clone(self) -> Metastore:
        """Return an adapter on the same database for use in another thread."""
        ...

    def close(self) -> None:
        """Release all connections."""
        ...

    def now(self) -> datetime:
        """Return database time, aware UTC. Leases compare this with itself only."""
        ...

    # -- leadership --------------------------------------------------------------------------------
    def acquire_term(self, shard: str, holder: str, lease_seconds: float) -> Term | None:
        """Take the leadership if it is free, expired (database time) or ``holder``'s; the number grows each time."""
        ...

    def renew_term(self, term: Term) -> bool:
        """Extend the lease by ``term.lease_seconds`` from database time; False when a newer term exists."""
        ...

    def release_term(self, term: Term) -> None:
        """Give the leadership up so that a standby can take it at once; a stale term changes nothing."""
        ...

    def leader(self, shard: str) -> tuple[Term, datetime] | None:
        """Return the newest term and its lease's end, or None when nobody ever led."""
        ...

    # -- the one write -----------------------------------------------------------------------------
    def allocate_run_pks(self, count: int) -> range:
        """Reserve ``count`` run keys; never given again (gaps are fine)."""
        ...

    def commit(self, batch: Batch, *, term: Term | None = None) -> CommitResult:
        """Write the whole batch or nothing. ``StaleTermError`` if ``term`` is given and no longer the newest.

        ``Committed.last_event_id`` is that of the batch's last event, 0 when it has none. An event without a
        time gets database time. Only a running instance keeps a lease. New rows of a run or DAG that is gone
        make the race lost by that run or DAG. An attempt archived twice is replaced.
        """
        ...

    def heartbeat(self, beats: Sequence[tuple[int, int]], lease_seconds: float) -> list[tuple[int, int]]:
        """Extend the leases of running attempts given as (instance id, token); return those refused (stale)."""
        ...

    # -- reads of the scheduler --------------------------------------------------------------------
    def active_runs(self) -> list[RunSnapshot]:
        """Return every run in an active state, each read consistently."""
        ...

    def run(self, run_pk: int) -> RunSnapshot | None:
        """Return one run with its instances."""
        ...

    def find_run(self, dag_id: str, run_id: str) -> RunRow | None:
        """Return one run's row by its name."""
        ...

    def run_row(self, run_pk: int) -> RunRow | None:
        """Return one run's row without its instances."""
        ...

    def find_run_at(self, dag_id: str, logical_date: datetime) -> RunRow | None:
        """Return the newest run of that logical date, whatever started it."""
        ...

    def newest_success(self, dag_id: str, before: datetime) -> RunRow | None:
        """Return the successful run with the greatest logical_date before that instant (for prev_*_success)."""
        ...

    def previous_run(self, run: RunRow) -> RunSnapshot | None:
        """Return the run of the same DAG with the greatest smaller logical_date (backfill runs apart)."""
        ...

    def instances(self, ids: Sequence[int]) -> list[InstanceRow]:
        """Return the rows of those ids that exist."""
        ...

    def expired_leases(self, limit: int) -> list[tuple[int, int]]:
        """Return (instance id, token) of running instances whose lease is over in database time."""
        ...

    def events_after(self, event_id: int, limit: int) -> list[EventRow]:
        """Return committed events with a greater id, in order."""
        ...

    def last_event_id(self) -> int:
        """Return the newest event's id, 0 when there is none."""
        ...

    def dags(self) -> list[DagRow]:
        """Return all DAGs that are not retired."""
        ...

    def spec(self, version_id: int) -> DagSpec:
        """Return a stored DAG version; ``NotFoundError`` if there is none."""
        ...

    def source(self, version_id: int) -> tuple[str, str, bytes]:
        """Return (file, SHA-256 of the text, the file's bytes) of a DAG version."""
        ...

    def pools(self) -> list[PoolRow]:
        """Return all pools; ``default`` always exists."""
        ...

    # -- DAG files (dagbag/sync) -------------------------------------------------------------------
    def save_file(
        self,
        file: str,
        source: bytes,
        specs: Sequence[tuple[DagSpec, str]],
        *,
        now: datetime,
        pause_new: bool = False,
    ) -> list[tuple[str, int, bool]]:
        """Store the DAGs (spec, hash) of a file that parsed; return (dag_id, version id, whether it is new).

        A version is new only when its hash differs from the current one. Clears the file's import error.
        An unchanged version of a file whose text changed gets the new text (event ``dag.source``). DAGs the
        file no longer defines are marked missing. A DAG never seen before is paused when it asks for that, or
        with ``pause_new``. ``ConflictError`` if another file owns a dag_id: one that is
        neither missing nor retired.
        """
        ...

    def save_import_error(
        self, file: str, message: str, line: int | None, traceback: str, *, now: datetime
    ) -> None:
        """Record that a file does not parse; its DAGs keep their last good version and are marked failing."""
        ...

    def clear_import_error(self, file: str) -> None:
        """Forget a file's import error (the file is gone)."""
        ...

    def import_errors(self) -> list[tuple[str, int | None, str, str, datetime]]:
        """Return (file, line, message, traceback, since)."""
        ...

    def mark_missing(self, files: Sequence[str], *, now: datetime) -> None:
        """Mark the DAGs of vanished files missing; :meth:`retire_missing` ends those missing for long."""
        ...

    def retire_missing(self, before: datetime) -> list[str]:
        """Retire DAGs missing since before that instant; history stays. Returns their ids."""
        ...

    def files(self) -> dict[str, str]:
        """Return file -> SHA-256 of the text its current versions came from."""
        ...

    # -- data of tasks (runtime API) ---------------------------------------------------------------
    def xcoms(
        self, run_pk: int, task_id: str, key: str | None = None, map_index: MapIndex | None = None
    ) -> list[tuple[MapIndex, str, str, str | None]]:
        """Return (map index, key, JSON text, store reference) in index order."""
        ...

    def task_state(self, run_pk: int, task_id: str, map_index: MapIndex) -> dict[str, str]:
        """Return the key/value store of a task instance (survives retries)."""
        ...

    def set_task_state(
        self, run_pk: int, task_id: str, map_index: MapIndex, values: Mapping[str, str | None]
    ) -> None:
        """Set keys of that store; None deletes. ``NotFoundError`` when the run is gone."""
        ...

    def set_rendered(self, instance_id: int, token: int, fields: Mapping[str, str]) -> None:
        """Keep the rendered templates of an attempt for people; replaces older ones of the instance."""
        ...

    def rendered(self, instance_id: int) -> dict[str, str]:
        """Return the rendered templates of the last attempt that reported them."""
        ...

    def connection(self, conn_id: str) -> tuple[str, bytes] | None:
        """Return (type, encrypted JSON) of a stored connection."""
        ...

    def connections(self) -> list[tuple[str, str, bytes, str]]:
        """Return (id, type, encrypted JSON, description)."""
        ...

    def set_connection(
        self, conn_id: str, conn_type: str, secret: bytes, description: str, *, actor: str
    ) -> None:
        """Create or replace a connection; audited without its content."""
        ...

    def delete_connection(self, conn_id: str, *, actor: str) -> bool:
        """Delete; False if there was none."""
        ...

    def variable(self, key: str) -> tuple[bytes, bool] | None:
        """Return (stored value, encrypted?) of a variable."""
        ...

    def variables(self) -> list[tuple[str, bytes, bool, str]]:
        """Return (key, stored value, encrypted?, description)."""
        ...

    def set_variable(self, key: str, value: bytes, encrypted: bool, description: str, *, actor: str) -> None:  # noqa: FBT001 - stored as given
        """Create or replace a variable; audited without its value."""
        ...

    def delete_variable(self, key: str, *, actor: str) -> bool:
        """Delete; False if there was none."""
        ...

    def set_pool(self, name: str, slots: int, description: str, *, actor: str) -> None:
        """Create or change a pool."""
        ...

    def delete_pool(self, name: str, *, actor: str) -> bool:
        """Delete; False if there was none. ``ConflictError`` for ``default``."""
        ...

    # -- components --------------------------------------------------------------------------------
    def beat_component(self, component: str, kind: str, host: str, pid: int, data: Mapping[str, Any]) -> None:
        """Record that a component (scheduler, worker …) made progress now (database time)."""
        ...

    def components(self) -> list[tuple[str, str, str, int, datetime, dict[str, Any]]]:
        """Return (component, kind, host, pid, last beat, data)."""
        ...

    def forget_component(self, component: str) -> None:
        """Remove a component that stopped cleanly."""
        ...

    # -- reads for people (CLI, UI) ----------------------------------------------------------------
    def list_runs(
        self,
        *,
        dag_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 100,
        before_pk: int | None = None,
    ) -> list[RunRow]:
        """Return runs, newest first."""
        ...

    def search_runs(self, text: str, *, dag_id: str | None = None, limit: int = 100) -> list[RunRow]:
        """Return runs whose run_id starts with ``text``, newest first."""
        ...

    def find_instances(
        self,
        run_pk: int,
        *,
        states: Sequence[str] | None = None,
        task_id: str | None = None,
        limit: int = 1000,
        after_id: int = 0,
    ) -> list[InstanceRow]:
        """Return instances of a run by id, filtered; ``after_id`` pages on."""
        ...

    def count_instances(self, run_pk: int) -> dict[TaskState, int]:
        """Return how many instances of a run are in each state that occurs."""
        ...

    def count_active_runs(self) -> dict[str, dict[RunState, int]]:
        """Return dag_id -> state -> number of active runs."""
        ...

    def dag_list(self) -> list[DagListing]:
        """Return the DAGs that are not retired, by id, each with its newest run."""
        ...

    def attempts(self, instance_id: int) -> list[AttemptRow]:
        """Return the archived attempts of an instance, oldest first."""
        ...

    def versions(self, dag_id: str) -> list[tuple[int, int, str, datetime]]:
        """Return (version id, number, hash, since) of a DAG, newest first."""
        ...

    def dag_row(self, dag_id: str) -> DagRow | None:
        """Return one DAG, a retired one too."""
        ...

    def delete_dag(self, dag_id: str, *, actor: str) -> bool:
        """Delete a DAG with its history; ``ConflictError`` while it has active runs."""
        ...

    def clean(self, before: datetime, *, keep_last_per_dag: int, limit: int) -> dict[str, int]:
        """Delete ended runs older than that (and what hangs on them) in one small batch; return counts by table."""
        ...
