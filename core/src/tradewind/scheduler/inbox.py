"""What workers say between two decisions: kept until it is committed and answered.

Claims and reports change rows, so they are applied to the world, and answered only after the commit. If the commit
loses a race they are applied again to the reloaded runs. Beats and questions change no decision and are answered
from the metastore at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from tradewind.domain.leases import LEASE_SECONDS, ReportVerdict, judge_ended
from tradewind.domain.records import InstanceRow, RunRow, run_pk_of
from tradewind.domain.states import TaskState
from tradewind.domain.world import Claim, World
from tradewind.errors import MetastoreUnavailableError
from tradewind.ports.executor import ApiCall, CapacityChanged, Executor, ExecutorSignal, Gone, LaunchFailed
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
from tradewind.runtime.wire import Replies, encode_replies
from tradewind.scheduler.feed import Feed

REFUSALS = {
    Claim.STALE: "another attempt is newer, or this one has ended",
    Claim.TAKEN: "another worker has it",
    Claim.HELD: "its run is paused, cancelled or has ended",
}
WRITES_RUNS = frozenset({"run_trigger"})  # questions whose answer writes what the world must know
_Asked = TypeVar("_Asked", ClaimRequest, OutcomeReport)
_Reply = TypeVar("_Reply")
PREVIOUS_KEPT_MAX = 1_000  # runs whose previous success is remembered between claims


class DataService(Protocol):
    """Answers the questions of task processes."""

    def answer(self, request: DataRequest) -> DataReply:
        """Answer one question; never raises for what is asked wrongly."""
        ...


@dataclass(slots=True)
class _Pending:
    """A call that waits for the commit."""

    executor: Executor
    call: ApiCall
    claims: list[ClaimReply] = field(default_factory=list)
    reports: list[ReportReply] = field(default_factory=list)
    withheld: bool = False  # something of it cannot be answered now: the worker repeats the call


@dataclass(frozen=True, slots=True)
class Lost:
    """An attempt that somebody says is gone."""

    instance_id: int
    token: int
    reason: str
    lease_expired: bool = False


class Inbox:
    """Calls and losses that were not answered yet."""

    def __init__(self, store: Metastore, data: DataService, feed: Feed) -> None:
        self._store = store
        self._data = data
        self._feed = feed
        self._arrived: deque[tuple[Executor, ExecutorSignal]] = deque()
        self._pending: list[_Pending] = []
        self._lost: list[Lost] = []
        self._wrote_runs = False
        self._previous: dict[int, RunRow | None] = {}

    # ---- taking -------------------------------------------------------------------------------------------------

    def arrive(self, executor: Executor, signals: Iterable[ExecutorSignal]) -> None:
        """Note what an executor says; nobody says it twice while the connection holds."""
        self._arrived.extend((executor, signal) for signal in signals)

    def take(self) -> set[str]:
        """Keep or answer what has arrived. Return the executors whose capacity must be asked again.

        ``MetastoreUnavailableError``: what could not be answered, and all after it, is taken by the next call.
        """
        changed = set()
        while self._arrived:
            executor, signal = self._arrived[0]
            if isinstance(signal, ApiCall):
                self._take_call(executor, signal)
            elif isinstance(signal, Gone | LaunchFailed):
                self._lost.append(Lost(signal.instance_id, signal.token, signal.reason))
            elif isinstance(signal, CapacityChanged):
                changed.add(executor.name)
            self._arrived.popleft()
        return changed

    def _take_call(self, executor: Executor, call: ApiCall) -> None:
        if call.claims or call.reports:
            self._pending.append(_Pending(executor, call))
        else:
            self._answer_now(executor, call)

    def lose(self, lost: Lost) -> None:
        """Note that an attempt's lease is over."""
        self._lost.append(lost)

    def wrote_runs(self) -> bool:
        """Whether a question answered since the last call made a run: nobody else will tell of it."""
        wrote, self._wrote_runs = self._wrote_runs, False
        return wrote

    def forget_expired(self) -> None:
        """Drop the leases that seemed to be over: one was renewed meanwhile. Those that still are, are found again."""
        self._lost = [lost for lost in self._lost if not lost.lease_expired]

    def forget_runs(self, run_pks: set[int]) -> None:
        """Drop the calls that concern those runs, without an answer: what was said of them is not written."""
        self._pending = [
            pending
            for pending in self._pending
            if run_pks.isdisjoint(run_pk_of(claim.instance_id) for claim in pending.call.claims)
            and run_pks.isdisjoint(run_pk_of(report.instance_id) for report in pending.call.reports)
        ]
        self._lost = [lost for lost in self._lost if run_pk_of(lost.instance_id) not in run_pks]

    def keep_unanswered(self) -> None:
        """Keep what was said for a world made of the rows: whether it was committed is unknown, and the rows tell.

        The answers that were prepared are made anew then. Leases that seemed to be over are looked for again.
        """
        for pending in self._pending:
            pending.claims, pending.reports = [], []
        self.forget_expired()

    def _answer_now(self, executor: Executor, call: ApiCall) -> None:
        beats = self._beats(call.beats) if call.beats else ()
        data = self._data.answer(call.data) if call.data is not None else None
        if call.data is not None and call.data.verb in WRITES_RUNS:
            self._wrote_runs = True
        executor.reply(call.channel, call.sequence, encode_replies(Replies(beats=beats, data=data)))

    def _beats(self, beats: tuple[Beat, ...]) -> tuple[BeatReply, ...]:
        refused = set(
            self._store.heartbeat([(beat.instance_id, beat.token) for beat in beats], LEASE_SECONDS)
        )
        if not refused:
            return tuple(BeatReply(instance_id=b.instance_id, token=b.token) for b in beats)
        states = {row.id: row.state for row in self._store.instances([instance for instance, _ in refused])}
        replies = []
        for beat in beats:
            stop = None
            if (beat.instance_id, beat.token) in refused:
                cancelled = states.get(beat.instance_id) is TaskState.CANCELLED
                stop = "cancelled" if cancelled else "fenced"
            replies.append(BeatReply(instance_id=beat.instance_id, token=beat.token, stop=stop))
        return tuple(replies)

    # ---- applying -----------------------------------------------------------------------------------------------

    def apply(self, world: World, now: datetime) -> None:
        """Move the world by everything that is pending; called again after a lost race."""
        for lost in self._lost:
            world.lose(lost.instance_id, lost.token, lost.reason, now, lease_expired=lost.lease_expired)
        for pending in self._pending:
            reports = [self._alone(self._report, world, report, now) for report in pending.call.reports]
            claims = [self._alone(self._claim, world, claim, now) for claim in pending.call.claims]
            pending.withheld = None in reports or None in claims
            pending.reports = [reply for reply in reports if reply is not None]
            pending.claims = [reply for reply in claims if reply is not None]

    def _alone(
        self,
        judge: Callable[[World, _Asked, datetime], _Reply | None],
        world: World,
        asked: _Asked,
        now: datetime,
    ) -> _Reply | None:
        """Judge; what goes wrong sets that run aside. None: there is no answer to it now."""
        try:
            return judge(world, asked, now)
        except MetastoreUnavailableError:
            raise
        except Exception as error:  # one bad thing stays one bad thing: the run is set aside and named
            run = world.runs.get(run_pk_of(asked.instance_id))
            if run is None:
                raise
            world.set_aside(run, error)
            return None

    def _report(self, world: World, report: OutcomeReport, now: datetime) -> ReportReply | None:
        verdict: ReportVerdict | None = world.report(report, now)
        if verdict is ReportVerdict.ABSENT:
            verdict = self._judge_absent(report)
        if verdict is None:
            return None
        accepted = verdict is not ReportVerdict.FENCED
        return ReportReply(
            instance_id=report.instance_id, token=report.token, verdict="accepted" if accepted else "fenced"
        )

    def _judge_absent(self, report: OutcomeReport) -> ReportVerdict | None:
        """Judge a report for a run that has ended, by its rows: a repeated report is answered as the first time.

        None when the attempt is still the valid one: its run was set aside, and its outcome must not be lost of it.
        """
        rows = self._store.instances([report.instance_id])
        if not rows:
            return ReportVerdict.FENCED
        if rows[0].state is TaskState.RUNNING and rows[0].token == report.token:
            return None
        return judge_ended(rows[0].state, rows[0].token, report.token)

    def _claim(self, world: World, claim: ClaimRequest, now: datetime) -> ClaimReply:
        verdict = world.claim(claim.instance_id, claim.token, claim.worker, claim.claimant, now)
        if not verdict.granted:
            return ClaimReply(
                instance_id=claim.instance_id, token=claim.token, refused=REFUSALS.get(verdict, str(verdict))
            )
        return ClaimReply(
            instance_id=claim.instance_id, token=claim.token, context=self._context(world, claim.instance_id)
        )

    def _context(self, world: World, instance_id: int) -> TaskContext:
        run = world.runs[run_pk_of(instance_id)]
        instance = run.by_id[instance_id]
        spec = run.graph.spec
        task = instance.cell.node.task.spec
        rows: list[InstanceRow] = []
        for task_id in mapped_over(spec, task) if instance.map_index else ():
            node = run.node(task_id)
            if node is not None:
                rows.extend(other.row() for other in node.instances() if other.lengths)
        return build_context(
            run.row,
            instance.row(),
            spec,
            task,
            source=self._feed.source(run.row.version_id),
            lengths=lengths_by_name(rows),
            previous_success=self._previous_success(run.row),
        )

    def _previous_success(self, run: RunRow) -> RunRow | None:
        if run.pk not in self._previous:
            if len(self._previous) >= PREVIOUS_KEPT_MAX:
                self._previous.pop(next(iter(self._previous)))
            self._previous[run.pk] = self._store.newest_success(run.dag_id, run.logical_date)
        return self._previous[run.pk]

    # ---- answering ----------------------------------------------------------------------------------------------

    def answer(self) -> None:
        """Answer everything that was applied: it is committed now."""
        pending, self._pending = self._pending, []
        self._lost.clear()
        for item in pending:
            if item.withheld:
                continue
            replies = Replies(claims=tuple(item.claims), reports=tuple(item.reports))
            item.executor.reply(item.call.channel, item.call.sequence, encode_replies(replies))
