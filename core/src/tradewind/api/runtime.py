"""The runtime API on the metastore alone: for workers that no scheduler's executor is connected to.

The same rules as in the scheduler (`World.claim`, `World.report`) are applied to the rows in question, and written
under their guards; the scheduler hears of it from the events and decides what follows. So any number of these
services may run beside the scheduler, and none of them decides anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from tradewind.domain.decide.batch import take_batch
from tradewind.domain.graph import Graph
from tradewind.domain.leases import LEASE_SECONDS, ReportVerdict, judge_ended
from tradewind.domain.records import Batch, LostRace, RunSnapshot, run_pk_of
from tradewind.domain.states import ACTIVE_RUN_STATES, TaskState
from tradewind.domain.world import Claim, World
from tradewind.errors import MetastoreError
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    OutcomeReport,
    ReportReply,
    TaskContext,
)
from tradewind.runtime.attempt_context import build_context, lengths_by_name, mapped_over

ACTOR = "runtime-api"
RACES_MAX = 20  # a row that keeps changing under one call is a bug, not contention
VERSIONS_KEPT_MAX = 200
REFUSALS = {
    Claim.STALE: "another attempt is newer, or this one has ended",
    Claim.TAKEN: "another worker has it",
    Claim.HELD: "its run or task is paused",
}


Reply = TypeVar("Reply")


class Data(Protocol):
    """Answers the questions of task processes."""

    def answer(self, request: DataRequest) -> DataReply:
        """Answer one question."""
        ...


class RuntimeService:
    """The port's adapter in process. Used from one thread; give each thread its own store."""

    def __init__(self, store: Metastore, data: Data, clock: Clock) -> None:
        self._store = store
        self._data = data
        self._clock = clock
        self._graphs: OrderedDict[int, Graph] = OrderedDict()

    # ---- the port -----------------------------------------------------------------------------------------------

    def claim(self, requests: Sequence[ClaimRequest]) -> list[ClaimReply]:
        """Claim queued attempts; durable when this returns."""
        return [self._each_run(r.instance_id, partial(self._claim, request=r)) for r in requests]

    def report(self, reports: Sequence[OutcomeReport]) -> list[ReportReply]:
        """Record outcomes exactly once; durable when this returns."""
        return [self._each_run(r.instance_id, partial(self._report, report=r)) for r in reports]

    def heartbeat(self, worker: str, beats: Sequence[Beat]) -> list[BeatReply]:
        """Renew leases; tells which attempts must stop."""
        del worker  # the lease belongs to the token, whoever holds it
        refused = set(
            self._store.heartbeat([(beat.instance_id, beat.token) for beat in beats], LEASE_SECONDS)
        )
        states = (
            {row.id: row.state for row in self._store.instances([i for i, _ in refused])} if refused else {}
        )
        replies = []
        for beat in beats:
            stop = None
            if (beat.instance_id, beat.token) in refused:
                stop = "cancelled" if states.get(beat.instance_id) is TaskState.CANCELLED else "fenced"
            replies.append(BeatReply(instance_id=beat.instance_id, token=beat.token, stop=stop))
        return replies

    def data(self, request: DataRequest) -> DataReply:
        """Answer a task's question; a stale token gets an error."""
        return self._data.answer(request)

    # ---- one row at a time --------------------------------------------------------------------------------------

    def _each_run(self, instance_id: int, ask: Callable[[World | None], Reply]) -> Reply:
        """Ask a world that holds just this instance, and write what that changed; again when the row had changed."""
        for _race in range(RACES_MAX):
            world = self._world_of(instance_id)
            reply = ask(world)
            batch = take_batch(world) if world is not None else Batch()
            if not batch or not isinstance(self._store.commit(_by(ACTOR, batch)), LostRace):
                return reply
        raise MetastoreError(
            f"the row of task instance {instance_id} changed {RACES_MAX} times during one call"
        )

    def _world_of(self, instance_id: int) -> World | None:
        rows = self._store.instances([instance_id])
        run = self._store.run_row(run_pk_of(instance_id))
        if not rows or run is None or run.state not in ACTIVE_RUN_STATES:
            return None
        world = World()
        world.put_version(run.version_id, self._graph(run.version_id))
        dag = self._store.dag_row(run.dag_id)
        if dag is not None:
            world.put_dag(dag, self._graph(dag.version_id))
        world.load_run(RunSnapshot(run=run, instances=tuple(rows)), whole=False)
        return world

    def _claim(self, world: World | None, request: ClaimRequest) -> ClaimReply:
        instance_id, token = request.instance_id, request.token
        if world is None:
            return ClaimReply(instance_id=instance_id, token=token, refused="its run has ended")
        # The launch is part of the stored name: a second message to the same worker must not be taken for a repeat.
        worker = f"{request.worker}#{request.claimant}"
        verdict = world.claim(instance_id, token, worker, request.claimant, self._clock.now())
        if not verdict.granted:
            return ClaimReply(instance_id=instance_id, token=token, refused=REFUSALS[verdict])
        return ClaimReply(instance_id=instance_id, token=token, context=self._context(world, instance_id))

    def _report(self, world: World | None, report: OutcomeReport) -> ReportReply:
        if world is not None:
            verdict = world.report(report, self._clock.now())
        else:
            rows = self._store.instances([report.instance_id])
            verdict = (
                judge_ended(rows[0].state, rows[0].token, report.token) if rows else ReportVerdict.FENCED
            )
        fenced = verdict is ReportVerdict.FENCED or verdict is ReportVerdict.ABSENT
        return ReportReply(
            instance_id=report.instance_id, token=report.token, verdict="fenced" if fenced else "accepted"
        )

    # ---- contexts -----------------------------------------------------------------------------------------------

    def _context(self, world: World, instance_id: int) -> TaskContext:
        run = world.runs[run_pk_of(instance_id)]
        instance = run.by_id[instance_id]
        task = instance.cell.node.task.spec
        names = mapped_over(run.graph.spec, task) if instance.map_index else set()
        rows = []
        if names:
            snapshot = self._store.run(run.pk)
            rows = [row for row in snapshot.instances if row.task_id in names] if snapshot else []
        return build_context(
            run.row,
            instance.row(),
            run.graph.spec,
            task,
            source=self._store.source(run.row.version_id)[:2],
            lengths=lengths_by_name(rows),
            previous_success=self._store.newest_success(run.row.dag_id, run.row.logical_date),
        )

    def _graph(self, version_id: int) -> Graph:
        graph = self._graphs.get(version_id)
        if graph is None:
            graph = self._graphs[version_id] = Graph(self._store.spec(version_id))
            if len(self._graphs) > VERSIONS_KEPT_MAX:
                self._graphs.popitem(last=False)
        return graph


def _by(actor: str, batch: Batch) -> Batch:
    """Return the batch with its events said to be ``actor``'s: the scheduler reads what others did."""
    events = tuple(msgspec.structs.replace(event, actor=actor) for event in batch.events)
    return msgspec.structs.replace(batch, events=events)
