"""The metastore on SQL: every verb of the port, each on its own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tradewind.domain.records import (
    AttemptRow,
    Batch,
    CommitResult,
    Committed,
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
from tradewind.errors import NotFoundError
from tradewind.metastore import apply, dag_files, leadership, maintenance, schema, views, world
from tradewind.metastore import values as kept
from tradewind.metastore.session import KeyRefusedError, Session, Tx
from tradewind.ports.metastore import DagListing
from tradewind.ports.wakeup import Wakeup


class SqlMetastore:
    """Fulfils :class:`tradewind.ports.metastore.Metastore`. Made by :func:`tradewind.metastore.connect`.

    One connection, opened at the first use. ``wakeup`` is notified after every commit that wrote events, unless
    the database itself tells its listeners in the transaction (PostgreSQL, but for the leader's own commits).
    """

    def __init__(self, session: Session, wakeup: Wakeup | None = None) -> None:
        self._session = session
        self._wakeup = wakeup

    # -- life -------------------------------------------------------------------------------------

    def clone(self) -> SqlMetastore:
        return SqlMetastore(self._session.clone(), self._wakeup)

    def close(self) -> None:
        self._session.close()

    def now(self) -> datetime:
        return self._session.query(world.now)

    def _hint(self) -> None:
        if self._wakeup is not None and not self._session.dialect.wake:
            self._wakeup.notify()

    # -- leadership -------------------------------------------------------------------------------

    def acquire_term(self, shard: str, holder: str, lease_seconds: float) -> Term | None:
        try:
            return self._session.write(lambda tx: leadership.acquire(tx, shard, holder, lease_seconds))
        except KeyRefusedError:  # two took the first term at once; the other one has it
            return self._session.write(lambda tx: leadership.acquire(tx, shard, holder, lease_seconds))

    def renew_term(self, term: Term) -> bool:
        return self._session.write(lambda tx: leadership.renew(tx, term))

    def release_term(self, term: Term) -> None:
        self._session.write(lambda tx: leadership.release(tx, term))

    def leader(self, shard: str) -> tuple[Term, datetime] | None:
        return self._session.query(lambda tx: leadership.newest(tx, shard))

    # -- the one write ----------------------------------------------------------------------------

    def allocate_run_pks(self, count: int) -> range:
        if count < 1:
            raise ValueError("count must be at least 1")
        return self._session.write(lambda tx: schema.allocate(tx, "run", count))

    def commit(self, batch: Batch, *, term: Term | None = None) -> CommitResult:
        result = apply.commit(self._session, batch, term, wake=term is None)
        if batch.events and isinstance(result, Committed):
            self._hint()
        return result

    def heartbeat(self, beats: Sequence[tuple[int, int]], lease_seconds: float) -> list[tuple[int, int]]:
        if not beats:
            return []
        return self._session.write(lambda tx: world.heartbeat(tx, beats, lease_seconds))

    # -- reads of the scheduler -------------------------------------------------------------------

    def active_runs(self) -> list[RunSnapshot]:
        return self._session.read(world.active_runs)

    def run(self, run_pk: int) -> RunSnapshot | None:
        return self._session.read(lambda tx: world.run(tx, run_pk))

    def run_row(self, run_pk: int) -> RunRow | None:
        return self._session.query(lambda tx: world.run_row(tx, run_pk))

    def find_run(self, dag_id: str, run_id: str) -> RunRow | None:
        return self._session.query(lambda tx: world.find_run(tx, dag_id, run_id))

    def find_run_at(self, dag_id: str, logical_date: datetime) -> RunRow | None:
        return self._session.query(lambda tx: world.find_run_at(tx, dag_id, logical_date))

    def newest_success(self, dag_id: str, before: datetime) -> RunRow | None:
        return self._session.query(lambda tx: world.newest_success(tx, dag_id, before))

    def previous_run(self, run: RunRow) -> RunSnapshot | None:
        return self._session.read(lambda tx: world.previous_run(tx, run))

    def instances(self, ids: Sequence[int]) -> list[InstanceRow]:
        return self._session.read(lambda tx: world.instances(tx, ids)) if ids else []

    def expired_leases(self, limit: int) -> list[tuple[int, int]]:
        return self._session.query(lambda tx: world.expired_leases(tx, limit))

    def events_after(self, event_id: int, limit: int) -> list[EventRow]:
        return self._session.query(lambda tx: world.events_after(tx, event_id, limit))

    def last_event_id(self) -> int:
        return self._session.query(world.last_event_id)

    def dags(self) -> list[DagRow]:
        return self._session.query(world.dags)

    def spec(self, version_id: int) -> DagSpec:
        return self._session.query(lambda tx: world.spec(tx, version_id))

    def source(self, version_id: int) -> tuple[str, str, bytes]:
        return self._session.query(lambda tx: world.source(tx, version_id))

    def pools(self) -> list[PoolRow]:
        return self._session.query(world.pools)

    # -- DAG files --------------------------------------------------------------------------------

    def save_file(
        self,
        file: str,
        source: bytes,
        specs: Sequence[tuple[DagSpec, str]],
        *,
        now: datetime,
        pause_new: bool = False,
    ) -> list[tuple[str, int, bool]]:
        def save(tx: Tx) -> list[tuple[str, int, bool]]:
            return dag_files.save_file(tx, file, source, specs, now, pause_new=pause_new)

        try:
            saved = self._session.write(save)
        except KeyRefusedError:  # another process saved the same DAG first; now it is seen
            saved = self._session.write(save)
        self._hint()
        return saved

    def save_import_error(
        self, file: str, message: str, line: int | None, traceback: str, *, now: datetime
    ) -> None:
        self._session.write(lambda tx: dag_files.save_import_error(tx, file, message, line, traceback, now))
        self._hint()

    def clear_import_error(self, file: str) -> None:
        self._session.write(lambda tx: dag_files.clear_import_error(tx, file))

    def import_errors(self) -> list[tuple[str, int | None, str, str, datetime]]:
        return self._session.query(dag_files.import_errors)

    def mark_missing(self, files: Sequence[str], *, now: datetime) -> None:
        self._session.write(lambda tx: dag_files.mark_missing(tx, files, now))
        self._hint()

    def retire_missing(self, before: datetime) -> list[str]:
        retired = self._session.write(lambda tx: dag_files.retire_missing(tx, before))
        if retired:
            self._hint()
        return retired

    def files(self) -> dict[str, str]:
        return self._session.query(dag_files.files)

    # -- data of tasks ----------------------------------------------------------------------------

    def xcoms(
        self, run_pk: int, task_id: str, key: str | None = None, map_index: MapIndex | None = None
    ) -> list[tuple[MapIndex, str, str, str | None]]:
        return self._session.query(lambda tx: kept.xcoms(tx, run_pk, task_id, key, map_index))

    def task_state(self, run_pk: int, task_id: str, map_index: MapIndex) -> dict[str, str]:
        return self._session.query(lambda tx: kept.task_state(tx, run_pk, task_id, map_index))

    def set_task_state(
        self, run_pk: int, task_id: str, map_index: MapIndex, values: Mapping[str, str | None]
    ) -> None:
        try:
            self._session.write(lambda tx: kept.set_task_state(tx, run_pk, task_id, map_index, values))
        except KeyRefusedError:
            raise NotFoundError(f"Run {run_pk} was deleted; its tasks can keep nothing any more.") from None

    def set_rendered(self, instance_id: int, token: int, fields: Mapping[str, str]) -> None:
        self._session.write(lambda tx: kept.set_rendered(tx, instance_id, token, fields))

    def rendered(self, instance_id: int) -> dict[str, str]:
        return self._session.query(lambda tx: kept.rendered(tx, instance_id))

    def connection(self, conn_id: str) -> tuple[str, bytes] | None:
        return self._session.query(lambda tx: kept.connection(tx, conn_id))

    def connections(self) -> list[tuple[str, str, bytes, str]]:
        return self._session.query(kept.connections)

    def set_connection(
        self, conn_id: str, conn_type: str, secret: bytes, description: str, *, actor: str
    ) -> None:
        self._session.write(
            lambda tx: kept.set_connection(tx, conn_id, conn_type, secret, description, actor)
        )

    def delete_connection(self, conn_id: str, *, actor: str) -> bool:
        return self._session.write(lambda tx: kept.delete_connection(tx, conn_id, actor))

    def variable(self, key: str) -> tuple[bytes, bool] | None:
        return self._session.query(lambda tx: kept.variable(tx, key))

    def variables(self) -> list[tuple[str, bytes, bool, str]]:
        return self._session.query(kept.variables)

    def set_variable(self, key: str, value: bytes, encrypted: bool, description: str, *, actor: str) -> None:  # noqa: FBT001 - stored as given
        self._session.write(lambda tx: kept.set_variable(tx, key, value, encrypted, description, actor))

    def delete_variable(self, key: str, *, actor: str) -> bool:
        return self._session.write(lambda tx: kept.delete_variable(tx, key, actor))

    def set_pool(self, name: str, slots: int, description: str, *, actor: str) -> None:
        self._session.write(lambda tx: kept.set_pool(tx, name, slots, description, actor))
        self._hint()

    def delete_pool(self, name: str, *, actor: str) -> bool:
        deleted = self._session.write(lambda tx: kept.delete_pool(tx, name, actor))
        self._hint()
        return deleted

    # -- components -------------------------------------------------------------------------------

    def beat_component(self, component: str, kind: str, host: str, pid: int, data: Mapping[str, Any]) -> None:
        self._session.write(lambda tx: kept.beat_component(tx, component, kind, host, pid, data))

    def components(self) -> list[tuple[str, str, str, int, datetime, dict[str, Any]]]:
        return self._session.query(kept.components)

    def forget_component(self, component: str) -> None:
        self._session.write(lambda tx: tx.run("DELETE FROM component WHERE component = ?", (component,)))

    # -- reads for people -------------------------------------------------------------------------

    def list_runs(
        self,
        *,
        dag_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 100,
        before_pk: int | None = None,
    ) -> list[RunRow]:
        return self._session.query(lambda tx: views.list_runs(tx, dag_id, states, limit, before_pk))

    def search_runs(self, text: str, *, dag_id: str | None = None, limit: int = 100) -> list[RunRow]:
        return self._session.query(lambda tx: views.search_runs(tx, text, dag_id, limit))

    def find_instances(
        self,
        run_pk: int,
        *,
        states: Sequence[str] | None = None,
        task_id: str | None = None,
        limit: int = 1000,
        after_id: int = 0,
    ) -> list[InstanceRow]:
        return self._session.query(
            lambda tx: views.find_instances(tx, run_pk, states, task_id, limit, after_id)
        )

    def count_instances(self, run_pk: int) -> dict[TaskState, int]:
        return self._session.query(lambda tx: views.count_instances(tx, run_pk))

    def count_active_runs(self) -> dict[str, dict[RunState, int]]:
        return self._session.query(views.count_active_runs)

    def dag_list(self) -> list[DagListing]:
        return self._session.read(views.dag_list)

    def attempts(self, instance_id: int) -> list[AttemptRow]:
        return self._session.query(lambda tx: views.attempts(tx, instance_id))

    def versions(self, dag_id: str) -> list[tuple[int, int, str, datetime]]:
        return self._session.query(lambda tx: dag_files.versions(tx, dag_id))

    def dag_row(self, dag_id: str) -> DagRow | None:
        return self._session.query(lambda tx: world.dag_row(tx, dag_id))

    def delete_dag(self, dag_id: str, *, actor: str) -> bool:
        deleted = maintenance.delete_dag(self._session, dag_id, actor)
        self._hint()
        return deleted

    def clean(self, before: datetime, *, keep_last_per_dag: int, limit: int) -> dict[str, int]:
        return self._session.write(lambda tx: maintenance.clean(tx, before, keep_last_per_dag, limit))
