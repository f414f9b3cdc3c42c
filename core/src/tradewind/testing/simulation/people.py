"""People who act on runs and DAGs at any time, through the same plans as the command line and the UI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tradewind.api.trigger import trigger_run
from tradewind.domain.actions import (
    WHOLE_RUN,
    ActionPlan,
    Selection,
    cancel_run,
    clear,
    hold_task,
    mark,
    mark_run,
    pause_dag,
    pause_run,
    release_task,
    resume_run,
    unpause_dag,
)
from tradewind.domain.records import Batch, LostRace, RunSnapshot
from tradewind.domain.states import ACTIVE_RUN_STATES, RunState, TaskState
from tradewind.errors import ConflictError, NotFoundError
from tradewind.ports.metastore import Metastore
from tradewind.testing.simulation.chance import Chance

if TYPE_CHECKING:
    from tradewind.testing.simulation.place import Place

TRIES_MAX: Final = 5
ACTOR: Final = "cli:anna"
_PASSED: Final = frozenset({TaskState.SUCCESS, TaskState.SKIPPED, TaskState.REMOVED})


class People:
    """What persons do; every act is read, planned and committed like theirs, and gives up after a few races."""

    def __init__(self, house: Place, store: Metastore, chance: Chance) -> None:
        self._house = house
        self._store = store
        self._chance = chance

    def trigger(self) -> None:
        """Start a run of some DAG."""
        chance = self._chance
        dag = chance.pick(self._store.dags())
        run, _created = trigger_run(
            self._store,
            dag.dag_id,
            now=self._house.clock.now(),
            actor=ACTOR,
            priority=chance.whole(0, 2),
        )
        self._house.timeline.note("anna triggers {} (run {})", run.dag_id, run.pk)

    def act(self) -> None:
        """Do something to some run or DAG."""
        chance = self._chance
        runs = self._store.list_runs(limit=30)
        active = [run for run in runs if run.state in ACTIVE_RUN_STATES]
        if chance.happens(0.15) or not runs:
            self._act_on_a_dag()
        elif active and chance.happens(0.7):
            self._act_on(chance.pick(active).pk)
        else:
            self._act_on(chance.pick(runs).pk)

    def set_free(self) -> None:
        """Let everything go on that people hold back, so that nothing waits for a person any more."""
        for dag in self._store.dags():
            self._commit(lambda dag_id=dag.dag_id: unpause_dag(self._dag(dag_id), actor=ACTOR))  # type: ignore[misc]
        for run in self._store.list_runs(limit=10_000):
            if run.state in ACTIVE_RUN_STATES:
                self._plan(
                    run.pk, lambda s: release_task(s, self._house.graph(s.run), WHOLE_RUN, **self._by())
                )
            if run.state is RunState.PAUSED:
                self._plan(run.pk, lambda s: resume_run(s, **self._by()))

    def mend_the_past(self) -> None:
        """Say that failed tasks succeeded which a later run waits for (depends_on_past): nobody else can."""
        for run in self._store.list_runs(states=[RunState.RUNNING]):
            tasks = self._house.graph(run).tasks
            names = {task.task_id for task in tasks if task.needs_past}
            names |= {tasks[o].task_id for task in tasks if task.spec.wait_for_downstream for o in task.below}
            previous = self._store.previous_run(run) if names else None
            if previous is None or previous.run.state in ACTIVE_RUN_STATES:
                continue
            bad = {row.task_id for row in previous.instances if row.state not in _PASSED} & names
            if bad:
                chosen = Selection(tasks=tuple(sorted(bad)))
                self._house.timeline.note("anna mends {} in run {}", sorted(bad), previous.run.pk)
                self._plan(
                    previous.run.pk,
                    lambda s, c=chosen: mark(  # type: ignore[misc]
                        s, self._house.graph(s.run), c, TaskState.SUCCESS, **self._by()
                    ),
                )
                self.set_free()  # what was cancelled while it was held may begin again now

    # ---- acts -------------------------------------------------------------------------------------------

    def _by(self) -> dict[str, Any]:
        return {"now": self._house.clock.now(), "actor": ACTOR}

    def _dag(self, dag_id: str) -> Any:
        return self._store.dag_row(dag_id)

    def _act_on_a_dag(self) -> None:
        dag_id = self._chance.pick(self._store.dags()).dag_id
        hold = self._chance.happens(0.5)
        if self._chance.happens(0.5):
            self._house.timeline.note("anna pauses {} (hold: {})", dag_id, hold)
            self._commit(lambda: pause_dag(self._dag(dag_id), actor=ACTOR, hold=hold))
        else:
            self._house.timeline.note("anna unpauses {}", dag_id)
            self._commit(lambda: unpause_dag(self._dag(dag_id), actor=ACTOR))

    def _act_on(self, run_pk: int) -> None:
        chance = self._chance
        snapshot = self._store.run(run_pk)
        assert snapshot is not None
        graph = self._house.graph(snapshot.run)
        names = list(graph.by_id)
        chosen = tuple(dict.fromkeys((chance.pick(names), chance.pick(names))))
        selection = Selection(
            tasks=None if chance.happens(0.3) else chosen,
            upstream=chance.happens(0.2),
            downstream=chance.happens(0.4),
            only_failed=chance.happens(0.2),
        )
        target = chance.pick([TaskState.SUCCESS, TaskState.FAILED])
        by = self._by()
        acts: list[tuple[float, str, Callable[[RunSnapshot], ActionPlan]]] = [
            (5, "clears", lambda s: clear(s, graph, selection, **by)),
            (2, "marks", lambda s: mark(s, graph, selection, target, **by)),
            (2, "cancels", lambda s: cancel_run(s, **by)),
            (2, "pauses", lambda s: pause_run(s, **by)),
            (2, "resumes", lambda s: resume_run(s, **by)),
            (1, "holds in", lambda s: hold_task(s, graph, selection, **by)),
            (1, "releases in", lambda s: release_task(s, graph, selection, **by)),
            (0.5, "marks all of", lambda s: mark_run(s, target, **by)),
        ]
        _weight, what, plan = chance.weighted([(act[0], act) for act in acts])
        self._house.timeline.note("anna {} run {} ({})", what, run_pk, selection.told())
        self._plan(run_pk, plan)

    def _plan(self, run_pk: int, make: Callable[[RunSnapshot], ActionPlan]) -> None:
        def planned() -> Batch:
            snapshot = self._store.run(run_pk)
            return Batch() if snapshot is None else make(snapshot).batch

        self._commit(planned)

    def _commit(self, make: Callable[[], Batch]) -> None:
        for _try in range(TRIES_MAX):
            try:
                batch = make()
            except (ConflictError, NotFoundError):
                return  # the run is in no state for it
            if not batch or not isinstance(self._store.commit(batch), LostRace):
                return
