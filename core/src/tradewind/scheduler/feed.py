"""What others changed: reads the event feed and brings the world up to date, touching only what changed."""

from __future__ import annotations

from collections.abc import Callable

from tradewind.domain.graph import Graph
from tradewind.domain.records import EventRow, RunSnapshot
from tradewind.domain.states import ACTIVE_RUN_STATES
from tradewind.domain.world import World
from tradewind.errors import MetastoreUnavailableError, NotFoundError, ScheduleError
from tradewind.ports.metastore import Metastore

EVENTS_PER_READ = 1_000
SCHEDULER_ACTOR = "scheduler"  # events of the leader's own commits: the world knows them already
RUNTIME_API_ACTOR = "runtime-api"  # events of claims and reports that came to another process
SPECS_KEPT_MAX = 2_000  # decoded DAG versions kept in memory; the least recently used go first


class Feed:
    """Keeps a :class:`World` in step with rows written by anyone but the leader."""

    def __init__(self, store: Metastore, on_trouble: Callable[[str, BaseException], None]) -> None:
        self._store = store
        self._on_trouble = on_trouble
        self._seen = 0
        self._graphs: dict[int, Graph] = {}
        self._sources: dict[int, tuple[str, str]] = {}

    def load_all(self, world: World) -> None:
        """Fill an empty world. Events that come in meanwhile are read again by the next :meth:`follow`."""
        self._seen = self._store.last_event_id()
        self.load_pools(world)
        for dag in self._store.dags():
            try:
                world.put_dag(dag, self.graph(dag.version_id))
            except MetastoreUnavailableError:
                raise  # that is no fault of the DAG: a world that lacks it must not be decided on
            except Exception as error:  # noqa: BLE001 - one unreadable DAG must not stop the others
                self._on_trouble(f"DAG {dag.dag_id}", error)
        for snapshot in self._store.active_runs():
            try:
                self._put_run(world, snapshot)
            except MetastoreUnavailableError:
                raise
            except Exception as error:  # noqa: BLE001 - nor one unreadable run
                self._on_trouble(f"run {snapshot.run.dag_id}/{snapshot.run.run_id}", error)

    def load_pools(self, world: World) -> None:
        """Read the pools again."""
        world.set_pools(self._store.pools())

    def reload_runs(self, world: World, run_pks: set[int]) -> None:
        """Forget what the world thought of those runs, and load what the metastore says: after a failed commit."""
        world.drop_runs(run_pks)
        for run_pk in sorted(run_pks):
            snapshot = self._store.run(run_pk)
            if snapshot is not None:
                self._put_run(world, snapshot)

    def _put_run(self, world: World, snapshot: RunSnapshot) -> None:
        if snapshot.run.state in ACTIVE_RUN_STATES:
            world.put_version(snapshot.run.version_id, self.graph(snapshot.run.version_id))
        world.load_run(snapshot)

    def _sync_run(self, world: World, run_pk: int) -> None:
        """Take up rows that somebody else wrote."""
        snapshot = self._store.run(run_pk)
        if snapshot is None:
            world.drop_runs([run_pk])
            return
        if snapshot.run.state in ACTIVE_RUN_STATES:
            world.put_version(snapshot.run.version_id, self.graph(snapshot.run.version_id))
        world.sync_run(snapshot)

    def reload_dags(self, world: World, dag_ids: set[str]) -> None:
        """Replace those DAGs of the world by what the metastore says."""
        for dag_id in sorted(dag_ids):
            dag = self._store.dag_row(dag_id)
            if dag is not None:
                self._sources.pop(dag.version_id, None)  # its text may be newer, with the same meaning for us
            if dag is None or dag.retired:
                world.remove_dag(dag_id)
            else:
                world.put_dag(dag, self.graph(dag.version_id))

    def committed(self, last_event_id: int, own_events: int) -> None:
        """Note our own commit: when nobody else wrote in between, there is nothing to read."""
        if last_event_id - own_events == self._seen:
            self._seen = last_event_id

    def follow(self, world: World) -> bool:
        """Read new events and apply what others changed. Return whether there was anything."""
        found = False
        while True:
            events = self._store.events_after(self._seen, EVENTS_PER_READ)
            if not events:
                return found
            found = True
            self._apply(world, [event for event in events if event.actor != SCHEDULER_ACTOR])
            self._seen = events[-1].id
            if len(events) < EVENTS_PER_READ:
                return found

    def _apply(self, world: World, events: list[EventRow]) -> None:
        if any(event.kind.startswith("pool.") for event in events):
            self.load_pools(world)
        dag_ids = {event.dag_id for event in events if event.dag_id and event.kind.startswith("dag.")}
        by_run: dict[int, list[EventRow]] = {}
        for event in events:
            if event.run_pk and event.kind.startswith(("run.", "task.")):
                by_run.setdefault(event.run_pk, []).append(event)
        for dag_id in sorted(dag_ids):
            try:
                self.reload_dags(world, {dag_id})
            except (NotFoundError, ScheduleError) as error:
                self._on_trouble(f"DAG {dag_id}", error)
        for run_pk in sorted(by_run):
            if not self._sync_instances(world, by_run[run_pk]):
                self._sync_run(world, run_pk)

    def _sync_instances(self, world: World, events: list[EventRow]) -> bool:
        """Take up claims and reports from another door of the runtime API without reading their whole run."""
        if any(event.actor != RUNTIME_API_ACTOR or event.instance_id is None for event in events):
            return False  # somebody else acted on the run, too
        ids = {event.instance_id for event in events if event.instance_id is not None}
        rows = self._store.instances(sorted(ids))
        return len(rows) == len(ids) and world.sync_instances(rows)

    def graph(self, version_id: int) -> Graph:
        """Return the indexed form of a DAG version, kept while it is in use."""
        graph = self._graphs.pop(version_id, None)
        if graph is None:
            graph = Graph(self._store.spec(version_id))
            if len(self._graphs) >= SPECS_KEPT_MAX:
                self._graphs.pop(next(iter(self._graphs)))
        self._graphs[version_id] = graph
        return graph

    def source(self, version_id: int) -> tuple[str, str]:
        """Return (file, SHA-256 of its text) of a DAG version: what a launch names."""
        found = self._sources.get(version_id)
        if found is None:
            file, sha, _text = self._store.source(version_id)
            found = self._sources[version_id] = (file, sha)
            if len(self._sources) > SPECS_KEPT_MAX:
                self._sources.pop(next(iter(self._sources)))
        return found
