"""The scheduler's working set: what its loop tells it, between one decision and the next.

Theory of operation
-------------------
A world holds the DAGs, the active runs, pools and executors' capacities. It does no I/O. The loop

1. loads rows (:meth:`World.put_dag`, :meth:`World.load_run`, :meth:`World.set_pools` …), and rows that others
   have changed (:meth:`World.sync_run`);
2. passes on what workers say (:meth:`World.claim`, :meth:`World.report`, :meth:`World.lose`), which moves the
   world at once and gives the answer that holds *if the next decision is committed*;
3. calls :func:`tradewind.domain.decide.decide`, which returns everything that has to be written.

If the commit fails, the loop calls :meth:`World.drop_runs` with the decision's touched runs, loads them again,
and repeats step 2. Nothing but the rows is needed for that: the world remembers nothing that cannot be found
in them (turns between DAGs apart). ``sync_run`` comes between a commit and the next step 2, never between
step 2 and 3: it would forget what step 2 has moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from tradewind.domain.graph import Graph
from tradewind.domain.reasons import ReasonKind
from tradewind.domain.records import DagRow, InstanceRow, PoolRow, RunSnapshot, run_pk_of
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import SLOT_STATES, TERMINAL_RUN_STATES, RunState, TaskState
from tradewind.domain.timetable import TimetableFactory, from_spec, is_continuous
from tradewind.domain.world.build import build_nodes, complete_nodes, take_row
from tradewind.domain.world.inbox import Inbox
from tradewind.domain.world.live import Dag, Instance, Run
from tradewind.domain.world.past import link, settle, unlink
from tradewind.domain.world.slots import Gate
from tradewind.errors import ScheduleError


class World(Inbox):
    """See the module's theory of operation. Used from one thread."""

    def __init__(
        self,
        *,
        default_executor: str = "local",
        timetables: Mapping[str, TimetableFactory] | None = None,
    ) -> None:
        super().__init__(default_executor)
        self._timetables = dict(timetables or {})
        self._versions: dict[int, Graph] = {}
        self._version_runs: dict[int, int] = {}  # how many active runs pin it
        self._run_pks: deque[int] = deque()
        self._strange: dict[str, Dag] = {}  # DAGs that are retired but still have active runs

    # ---- DAGs, pools, executors ----------------------------------------------------------------------

    def put_version(self, version_id: int, graph: Graph | DagSpec) -> Graph:
        """Keep a DAG version for the runs that pin it; return its graph."""
        if not isinstance(graph, Graph):
            graph = Graph(graph)
        return self._versions.setdefault(version_id, graph)

    def has_version(self, version_id: int) -> bool:
        """Whether :meth:`load_run` can load runs of a version."""
        return version_id in self._versions

    def put_dag(self, row: DagRow, graph: Graph | DagSpec | None = None) -> None:
        """Add a DAG or replace its row; ``graph`` is that of ``row.version_id``, needed when it is new here.

        ``KeyError`` when the version is neither given nor known.
        """
        if graph is not None:
            self.put_version(row.version_id, graph)
        newest = self._versions[row.version_id]
        dag = self.dags.get(row.dag_id) or self._strange.pop(row.dag_id, None)
        if dag is None:
            dag = Dag(row, newest)
            self._set_timetable(dag)
        else:
            was_held, dag.row = dag.row.held, row
            if dag.graph is not newest:
                self._renew(dag, newest)
            if was_held and not row.held:
                for run in dag.runs.values():
                    self.check_run(run)
        self.dags[row.dag_id] = dag
        self.due_dags[dag.dag_id] = dag
        self.starting[dag.dag_id] = dag

    def _renew(self, dag: Dag, graph: Graph) -> None:
        old, dag.graph = dag.version_id, graph
        dag.version_id = dag.row.version_id
        self._forget_unused(dag, old)
        self._set_timetable(dag)
        dag.gate.set_limit(graph.spec.max_active_tasks)
        for task_id, gate in dag.tasks.items():
            task = graph.by_id.get(task_id)
            if task is not None:
                gate.set_limit(task.spec.max_active_tis_per_dag)

    def _set_timetable(self, dag: Dag) -> None:
        schedule = dag.graph.spec.schedule
        dag.timetable, dag.problem = None, ""
        if schedule is not None:
            try:
                dag.timetable = from_spec(schedule, self._timetables)
            except ScheduleError as error:
                dag.problem = str(error)

    def remove_dag(self, dag_id: str) -> None:
        """Forget a DAG's schedule; its active runs go on with their pinned versions."""
        dag = self.dags.pop(dag_id, None)
        if dag is not None:
            dag.timetable = None
            if dag.runs:
                self._strange[dag_id] = dag
            self.due_dags.pop(dag_id, None)

    def set_pools(self, pools: Iterable[PoolRow]) -> None:
        """Replace all pools."""
        self.admission.set_pools(pools)

    def set_capacity(self, executor: str, slots: int, workers: int, detail: str = "") -> None:
        """Say what an executor can hold at once and how many live workers it has."""
        self.admission.set_capacity(executor, slots, workers, detail)

    def run_pks(self, pks: Iterable[int]) -> None:
        """Add reserved run keys; ``decision.need_run_pks`` asks for them."""
        self._run_pks.extend(pks)
        self.due_dags.update(self.lacking)
        self.lacking.clear()

    def take_run_pk(self) -> int | None:
        """Take a reserved run key, None when there is none left."""
        return self._run_pks.popleft() if self._run_pks else None

    @property
    def run_pks_left(self) -> int:
        """How many reserved run keys there are."""
        return len(self._run_pks)

    # ---- runs ----------------------------------------------------------------------------------------

    def load_run(self, snapshot: RunSnapshot, *, whole: bool = True) -> None:
        """Take up an active run from its rows, in place of what is known of it.

        Its DAG and version must be known: ``KeyError`` else. A run that has ended is forgotten. A snapshot that is
        not ``whole`` lacks instances: such a world takes claims and reports, but must not be decided on.
        """
        self._detach(snapshot.run.pk)
        row = snapshot.run
        if row.state in TERMINAL_RUN_STATES:
            self._tell_next_runs(snapshot)
            return
        graph = self._versions[row.version_id]
        dag = self.dags.get(row.dag_id) or self._strange_dag(snapshot, graph)
        run = Run(row, dag, graph)
        self.attach(run)
        if snapshot.instances or row.state is not RunState.QUEUED:
            build_nodes(self, run, snapshot.instances)
            if row.state is RunState.RUNNING and whole:
                complete_nodes(self, run)
        self.check_run(run)
        self._tell_next_runs(snapshot)

    def sync_run(self, snapshot: RunSnapshot) -> None:
        """Take up rows that somebody else has changed; attempts that lost their right to run are cancelled.

        Must not stand between an inbox call and the decision after it (asserted).
        """
        old = self.runs.get(snapshot.run.pk)
        held: dict[int, Instance] = {}
        if old is not None:
            assert not old.answering, f"run {old.row.run_id} has moves that were not committed"
            held = {i.id: i for i in old.by_id.values() if i.state in SLOT_STATES}
        redispatched = len(self.redispatch)
        self.load_run(snapshot)
        del self.redispatch[redispatched:]  # they were handed over when they were admitted
        for row in snapshot.instances:
            before = held.pop(row.id, None)
            if before is None:
                if row.state is TaskState.QUEUED:
                    self._redispatch_new(row.run_pk, row.id)
            elif row.state in SLOT_STATES and row.token == before.token:
                self._keep_claimant(row.run_pk, before)
            else:
                self._cancel(before)
        for before in held.values():
            self._cancel(before)

    def sync_instances(self, rows: Iterable[InstanceRow]) -> bool:
        """Take up rows that only another door of the runtime API has changed: claims and reports.

        Costs as much as the rows, however large their runs. False when a row is not of that kind (its run or
        itself is not known here, or it was cleared): then nothing is certain, call :meth:`sync_run`.
        The same rule as there says when it may be called.
        """
        known = [(self.instance(row.id), row) for row in rows]
        if any(instance is None or row.state is TaskState.NONE for instance, row in known):
            return False
        for instance, row in known:
            assert instance is not None
            assert not instance.run.answering, f"{row.task_id} has moves that were not committed"
            if instance.touched or len(row.map_index) != len(instance.map_index):
                return False
            if instance.state in SLOT_STATES and instance.token != row.token:
                self._cancel(instance)
            take_row(self, instance, row)
        return True

    def drop_runs(self, run_pks: Iterable[int]) -> None:
        """Forget runs whose commit failed, with all that was to be written of them."""
        for pk in run_pks:
            self._detach(pk)

    def set_previous(
        self, run_pk: int, previous: RunSnapshot | Mapping[str, Sequence[TaskState]] | None
    ) -> None:
        """Say what the run before is (``decision.need_previous`` asks): a snapshot, or its tasks' states, or None.

        A previous run that is active here is watched live.
        """
        run = self.runs.get(run_pk)
        self.need_previous.pop(run_pk, None)
        if run is not None:
            link(self, run, previous)
            self.check_run(run)

    def attach(self, run: Run) -> None:
        """Make a run part of the world."""
        dag = run.dag
        self.runs[run.pk] = run
        dag.runs[run.pk] = run
        limit = run.graph.spec.max_active_tasks_per_run
        if limit is not None:
            run.gate = Gate(ReasonKind.LIMIT_RUN_TASKS, run.row.run_id, limit)
        if run.row.state is RunState.RUNNING:
            dag.running += 1
        elif run.row.state is RunState.QUEUED:
            dag.push_queued(run)
            self.starting[dag.dag_id] = dag
        self.arm_timeout(run)
        self._version_runs[run.row.version_id] = self._version_runs.get(run.row.version_id, 0) + 1
        for other in list(dag.runs.values()):
            if (
                other.past is not None
                and other.past.pk != run.pk
                and not run.is_backfill
                and other.row.logical_date > run.row.logical_date
            ):
                unlink(other)  # perhaps this one is its previous run now
                self.check_run(other)

    def detach(self, run: Run) -> None:
        """Take a run out of the world and give back what its instances hold."""
        run.ended = True
        del self.runs[run.pk]
        dag = run.dag
        dag.runs.pop(run.pk, None)
        if run.row.state is RunState.RUNNING:
            dag.running -= 1
            self.starting[dag.dag_id] = dag
        if dag.timetable is not None and is_continuous(dag.timetable):
            self.due_dags[dag.dag_id] = dag
        if not dag.runs:
            self._strange.pop(dag.dag_id, None)
        for instance in run.by_id.values():
            if instance.holds is not None:
                self.admission.release(instance)
        self.unsettled.pop(run.pk, None)
        self.need_previous.pop(run.pk, None)
        unlink(run)
        settle(self, run)
        self._version_runs[run.row.version_id] -= 1
        self._forget_unused(dag, run.row.version_id)
        run.nodes.clear()  # a time limit's wake-up may keep the run for long
        run.by_id.clear()

    def set_aside(self, run: Run, error: Exception) -> None:
        """Take out a run on which nothing can be decided, with all that was to be written of it.

        Its rows stay as they are; :meth:`load_run` or :meth:`sync_run` bring it back.
        """
        if run.ended:
            return
        pk = run.pk
        self.detach(run)
        self.troubles.append((pk, error))
        self.removed = [one for one in self.removed if run_pk_of(one[0]) != pk]
        self.attempts = [row for row in self.attempts if run_pk_of(row.instance_id) != pk]
        self.xcoms = [row for row in self.xcoms if row.run_pk != pk]
        self.xcoms_cleared = [key for key in self.xcoms_cleared if key[0] != pk]
        self.events = [event for event in self.events if event.run_pk != pk]

    def troubles_taken(self) -> list[tuple[int, Exception]]:
        """Return the runs that were set aside since the last call, with what went wrong."""
        taken, self.troubles = self.troubles, []
        return taken

    def _detach(self, run_pk: int) -> None:
        run = self.runs.get(run_pk)
        if run is not None:
            self.detach(run)

    def _strange_dag(self, snapshot: RunSnapshot, graph: Graph) -> Dag:
        """Return a DAG for runs whose DAG is retired: they may end, nothing new is made."""
        row = snapshot.run
        dag = self._strange.get(row.dag_id)
        if dag is None:
            dag_row = DagRow(
                dag_id=row.dag_id,
                file=graph.spec.file,
                version_id=row.version_id,
                version_number=0,
                first_seen_at=row.run_after,
                retired=True,
            )
            dag = self._strange[row.dag_id] = Dag(dag_row, graph)
        return dag

    def _forget_unused(self, dag: Dag, version_id: int) -> None:
        if not self._version_runs.get(version_id) and version_id != dag.row.version_id:
            self._versions.pop(version_id, None)
            self._version_runs.pop(version_id, None)

    def _tell_next_runs(self, snapshot: RunSnapshot) -> None:
        """Show a changed run to those that wait for it because of depends_on_past."""
        dag = self.dags.get(snapshot.run.dag_id) or self._strange.get(snapshot.run.dag_id)
        for pk in list(dag.next_runs.get(snapshot.run.pk, ())) if dag is not None else ():
            self.set_previous(pk, snapshot)

    def _redispatch_new(self, run_pk: int, instance_id: int) -> None:
        run = self.runs.get(run_pk)
        if run is not None and instance_id in run.by_id:
            self.redispatch.append(run.by_id[instance_id])

    def _keep_claimant(self, run_pk: int, before: Instance) -> None:
        run = self.runs.get(run_pk)
        if run is not None and before.id in run.by_id:
            run.by_id[before.id].claimant = before.claimant

    def _cancel(self, instance: Instance) -> None:
        self.cancels.append((instance.id, instance.token, self.executor_of(instance)))
