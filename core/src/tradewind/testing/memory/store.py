"""Every verb of the metastore on dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

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
    RunType,
    Term,
    run_pk_of,
)
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import ACTIVE_RUN_STATES, TERMINAL_RUN_STATES, RunState, TaskState
from tradewind.metastore.maintenance import TABLES, has_active_runs
from tradewind.metastore.world import no_version
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import DagListing
from tradewind.ports.wakeup import Wakeup
from tradewind.runtime.clock import SystemClock
from tradewind.testing.memory import commit as committing
from tradewind.testing.memory import dag_files
from tradewind.testing.memory.tables import Tables, Version
from tradewind.testing.memory.values import ValueStore


class InMemoryMetastore(ValueStore):
    """Fulfils :class:`tradewind.ports.metastore.Metastore` without a file. Database time is ``clock``'s.

    ``assert_edges`` makes a commit raise ``AssertionError`` when it changes a state in a way that no chain of
    listed transitions explains, lowers a token, or queues without raising it. Clones share the tables and may
    be used from several threads at once.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        assert_edges: bool = False,
        wakeup: Wakeup | None = None,
        tables: Tables | None = None,
    ) -> None:
        super().__init__(tables or Tables(), clock or SystemClock())
        self._assert_edges = assert_edges
        self._wakeup = wakeup

    # -- life -------------------------------------------------------------------------------------

    def clone(self) -> InMemoryMetastore:
        return InMemoryMetastore(
            self._clock, assert_edges=self._assert_edges, wakeup=self._wakeup, tables=self.tables
        )

    def close(self) -> None:
        """Nothing is open."""

    # -- leadership -------------------------------------------------------------------------------

    def acquire_term(self, shard: str, holder: str, lease_seconds: float) -> Term | None:
        with self.tables.lock:
            newest = self.tables.leaders.get(shard)
            if newest is not None and newest[0].holder != holder and newest[1] > self.now():
                return None
            number = 1 if newest is None else newest[0].number + 1
            term = Term(shard=shard, holder=holder, number=number, lease_seconds=lease_seconds)
            self.tables.leaders[shard] = (term, self.now() + timedelta(seconds=lease_seconds))
            return term

    def renew_term(self, term: Term) -> bool:
        with self.tables.lock:
            newest = self.tables.leaders.get(term.shard)
            if newest is None or newest[0].number != term.number:
                return False
            self.tables.leaders[term.shard] = (newest[0], self.now() + timedelta(seconds=term.lease_seconds))
            return True

    def release_term(self, term: Term) -> None:
        with self.tables.lock:
            newest = self.tables.leaders.get(term.shard)
            if newest is not None and newest[0].number == term.number:
                self.tables.leaders[term.shard] = (newest[0], self.now() - timedelta(microseconds=1))

    def leader(self, shard: str) -> tuple[Term, datetime] | None:
        return self.tables.leaders.get(shard)

    # -- the one write ----------------------------------------------------------------------------

    def allocate_run_pks(self, count: int) -> range:
        if count < 1:
            raise ValueError("count must be at least 1")
        with self.tables.lock:
            last = self.tables.bump("run", count)
        return range(last - count + 1, last + 1)

    def commit(self, batch: Batch, *, term: Term | None = None) -> CommitResult:
        with self.tables.lock:
            result = committing.commit(self.tables, batch, term, self.now(), assert_edges=self._assert_edges)
        if self._wakeup is not None and batch.events and isinstance(result, Committed):
            self._wakeup.notify()
        return result

    def heartbeat(self, beats: Sequence[tuple[int, int]], lease_seconds: float) -> list[tuple[int, int]]:
        refused = []
        with self.tables.lock:
            lease = self.now() + timedelta(seconds=lease_seconds)
            for row_id, token in dict.fromkeys(beats):
                row = self.tables.instance(row_id, run_pk_of(row_id))
                if row is None or row.state is not TaskState.RUNNING or row.token != token:
                    refused.append((row_id, token))
                else:
                    kept = msgspec.structs.replace(row, lease_until_at=lease)
                    self.tables.instances[row.run_pk][row_id] = kept
        return refused

    # -- reads of the scheduler -------------------------------------------------------------------

    def active_runs(self) -> list[RunSnapshot]:
        with self.tables.lock:
            return [self.tables.snapshot(run) for run in self.tables.active_runs()]

    def run(self, run_pk: int) -> RunSnapshot | None:
        with self.tables.lock:
            row = self.tables.runs.get(run_pk)
            return None if row is None else self.tables.snapshot(row)

    def run_row(self, run_pk: int) -> RunRow | None:
        return self.tables.runs.get(run_pk)

    def find_run(self, dag_id: str, run_id: str) -> RunRow | None:
        with self.tables.lock:
            pk = self.tables.run_names.get((dag_id, run_id))
            return None if pk is None else self.tables.runs[pk]

    def _runs_of(self, dag_id: str) -> list[RunRow]:
        """Return a DAG's runs, newest first."""
        return [run for _pk, run in sorted(self.tables.runs.items(), reverse=True) if run.dag_id == dag_id]

    def find_run_at(self, dag_id: str, logical_date: datetime) -> RunRow | None:
        with self.tables.lock:
            return next((run for run in self._runs_of(dag_id) if run.logical_date == logical_date), None)

    def newest_success(self, dag_id: str, before: datetime) -> RunRow | None:
        with self.tables.lock:
            earlier = [
                row
                for row in self._runs_of(dag_id)
                if row.logical_date < before and row.state is RunState.SUCCESS
            ]
            return max(earlier, key=lambda row: (row.logical_date, row.pk), default=None)

    def previous_run(self, run: RunRow) -> RunSnapshot | None:
        with self.tables.lock:
            earlier = [
                row
                for row in self._runs_of(run.dag_id)
                if row.logical_date < run.logical_date and row.run_type is not RunType.BACKFILL
            ]
            last = max(earlier, key=lambda row: (row.logical_date, row.pk), default=None)
            return None if last is None else self.tables.snapshot(last)

    def instances(self, ids: Sequence[int]) -> list[InstanceRow]:
        with self.tables.lock:
            found = (self.tables.instance(row_id, run_pk_of(row_id)) for row_id in sorted(set(ids)))
            return [row for row in found if row is not None]

    def expired_leases(self, limit: int) -> list[tuple[int, int]]:
        with self.tables.lock:
            now = self.now()
            over = [
                (row.lease_until_at, row.id, row.token)
                for run in self.tables.instances.values()
                for row in run.values()
                if row.state is TaskState.RUNNING
                and row.lease_until_at is not None
                and row.lease_until_at < now
            ]
        return [(row_id, token) for _until, row_id, token in sorted(over)[:limit]]

    def events_after(self, event_id: int, limit: int) -> list[EventRow]:
        with self.tables.lock:
            events = self.tables.events
            gone = (
                events[0].id - 1 if events else 0
            )  # ids have no gaps but at the front, where old ones were cleaned
            start = max(0, event_id - gone)
            return events[start : start + limit]

    def last_event_id(self) -> int:
        return self.tables.sequences["event"]

    def dags(self) -> list[DagRow]:
        with self.tables.lock:
            return [row for _dag_id, row in sorted(self.tables.dags.items()) if not row.retired]

    def spec(self, version_id: int) -> DagSpec:
        return self._version(version_id).spec

    def source(self, version_id: int) -> tuple[str, str, bytes]:
        version = self._version(version_id)
        return version.file, version.sha, self.tables.sources[version.sha]

    def _version(self, version_id: int) -> Version:
        version = self.tables.versions.get(version_id)
        if version is None:
            raise no_version(version_id)
        return version

    def pools(self) -> list[PoolRow]:
        with self.tables.lock:
            return [row for _name, row in sorted(self.tables.pools.items())]

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
        with self.tables.lock:
            return dag_files.save_file(self.tables, file, source, specs, now, self.now(), pause_new=pause_new)

    def save_import_error(
        self, file: str, message: str, line: int | None, traceback: str, *, now: datetime
    ) -> None:
        with self.tables.lock:
            dag_files.save_import_error(self.tables, file, (line, message, traceback), now, self.now())

    def clear_import_error(self, file: str) -> None:
        with self.tables.lock:
            dag_files.clear_import_error(self.tables, file, self.now())

    def import_errors(self) -> list[tuple[str, int | None, str, str, datetime]]:
        with self.tables.lock:
            return [(file, *error) for file, error in sorted(self.tables.import_errors.items())]

    def mark_missing(self, files: Sequence[str], *, now: datetime) -> None:
        events: list[EventRow] = []
        with self.tables.lock:
            for file in sorted(set(files)):
                dag_files.miss(self.tables, file, set(), now, events)
                self.tables.files.pop(file, None)
            committing.add_events(self.tables, tuple(events), self.now())

    def retire_missing(self, before: datetime) -> list[str]:
        with self.tables.lock:
            ids = [
                row.dag_id
                for row in self.dags()
                if row.missing_since_at is not None and row.missing_since_at < before
            ]
            for dag_id in ids:
                self.tables.dags[dag_id] = msgspec.structs.replace(self.tables.dags[dag_id], retired=True)
            events = tuple(dag_files.event("dag.retired", dag_id) for dag_id in ids)
            committing.add_events(self.tables, events, self.now())
            return ids

    def files(self) -> dict[str, str]:
        with self.tables.lock:
            return dict(sorted(self.tables.files.items()))

    # -- data of tasks ----------------------------------------------------------------------------

    def xcoms(
        self, run_pk: int, task_id: str, key: str | None = None, map_index: MapIndex | None = None
    ) -> list[tuple[MapIndex, str, str, str | None]]:
        with self.tables.lock:
            found = sorted(self.tables.xcoms.get((run_pk, task_id), {}).items())
        return [
            (index, item, value, ref)
            for (index, item), (value, ref) in found
            if key in {None, item} and map_index in {None, index}
        ]

    # -- reads for people -------------------------------------------------------------------------

    def list_runs(
        self,
        *,
        dag_id: str | None = None,
        states: Sequence[str] | None = None,
        limit: int = 100,
        before_pk: int | None = None,
    ) -> list[RunRow]:
        with self.tables.lock:
            found = [
                run
                for pk, run in sorted(self.tables.runs.items(), reverse=True)
                if dag_id in {None, run.dag_id}
                and (states is None or run.state in states)
                and (before_pk is None or pk < before_pk)
            ]
        return found[:limit]

    def search_runs(self, text: str, *, dag_id: str | None = None, limit: int = 100) -> list[RunRow]:
        found = self.list_runs(dag_id=dag_id, limit=len(self.tables.runs))
        return [run for run in found if run.run_id.startswith(text)][:limit]

    def find_instances(
        self,
        run_pk: int,
        *,
        states: Sequence[str] | None = None,
        task_id: str | None = None,
        limit: int = 1000,
        after_id: int = 0,
    ) -> list[InstanceRow]:
        with self.tables.lock:
            rows = sorted(self.tables.instances.get(run_pk, {}).items())
        return [
            row
            for row_id, row in rows
            if row_id > after_id
            and (states is None or row.state in states)
            and task_id in {None, row.task_id}
        ][:limit]

    def count_instances(self, run_pk: int) -> dict[TaskState, int]:
        with self.tables.lock:
            states = [row.state for row in self.tables.instances.get(run_pk, {}).values()]
        return {state: states.count(state) for state in TaskState if state in states}

    def count_active_runs(self) -> dict[str, dict[RunState, int]]:
        counts: dict[str, dict[RunState, int]] = {}
        with self.tables.lock:
            for run in sorted(self.tables.active_runs(), key=lambda run: (run.dag_id, run.state)):
                states = counts.setdefault(run.dag_id, {})
                states[run.state] = states.get(run.state, 0) + 1
        return counts

    def dag_list(self) -> list[DagListing]:
        with self.tables.lock:
            return [
                DagListing(dag=row, last_run=next(iter(self._runs_of(row.dag_id)), None))
                for row in self.dags()
            ]

    def attempts(self, instance_id: int) -> list[AttemptRow]:
        with self.tables.lock:
            return [row for _token, row in sorted(self.tables.attempts.get(instance_id, {}).items())]

    def versions(self, dag_id: str) -> list[tuple[int, int, str, datetime]]:
        with self.tables.lock:
            found = [version for version in self.tables.versions.values() if version.spec.dag_id == dag_id]
        found.sort(key=lambda version: -version.number)
        return [(version.id, version.number, version.hash, version.since) for version in found]

    def dag_row(self, dag_id: str) -> DagRow | None:
        return self.tables.dags.get(dag_id)

    def delete_dag(self, dag_id: str, *, actor: str) -> bool:
        with self.tables.lock:
            if dag_id not in self.tables.dags:
                return False
            runs = sorted(self._runs_of(dag_id), key=lambda run: run.pk)
            active = [run.run_id for run in runs if run.state in ACTIVE_RUN_STATES]
            if active:
                raise has_active_runs(dag_id, active[:3])
            for run in runs:
                self.tables.delete_run(run.pk)
            for version_id, _number, _hash, _since in self.versions(dag_id):
                del self.tables.versions[version_id]
            del self.tables.dags[dag_id]
            self._audit("dag.deleted", actor, dag_id)
            return True

    def clean(self, before: datetime, *, keep_last_per_dag: int, limit: int) -> dict[str, int]:
        counts = dict.fromkeys(TABLES, 0)
        with self.tables.lock:
            old = [
                run.pk
                for dag_id in self.tables.dags
                for run in self._runs_of(dag_id)[keep_last_per_dag:]
                if run.state in TERMINAL_RUN_STATES and run.ended_at is not None and run.ended_at < before
            ]
            for pk in sorted(old)[:limit]:
                for table, count in self.tables.delete_run(pk).items():
                    counts[table] += count
            events = self.tables.events
            while events and counts["event"] < limit and events[0].at is not None and events[0].at < before:
                del events[0]
                counts["event"] += 1
        return counts
