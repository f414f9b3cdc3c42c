"""The independent auditor: reads the store's rows after every commit, and the ledger of what really happened.

It knows nothing of the scheduler's world. What it checks is listed in docs/concepts/simulation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import msgspec

from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.domain.records import Batch, InstanceRow, LostRace, RunRow, RunSnapshot, Term, run_pk_of
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, TaskState
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import LEASE_SECONDS
from tradewind.runtime.wire import Replies
from tradewind.testing.simulation.auditor.ledger import ENDED_ON_PURPOSE, Key, Ledger, Process
from tradewind.testing.simulation.auditor.limits import LimitAudit, Limits
from tradewind.testing.simulation.auditor.rows import Commit, RowAudit
from tradewind.testing.simulation.auditor.schedule import ScheduleAudit
from tradewind.testing.simulation.auditor.shape import Shape
from tradewind.testing.simulation.timeline import Timeline, Violation

EVENTS_PER_READ: Final = 10_000
SIGNAL_SECONDS_MAX: Final = 6.0  # one poll and a message, when nothing is wrong
RACES_AT_ONCE_MAX: Final = 50
ACT_SECONDS: Final = 10.0  # how long a person's act may still be news to others: two polls


class Auditor:
    """Raises :class:`Violation` as soon as a promise is broken."""

    def __init__(self, store: Metastore, timeline: Timeline, disturbed: Callable[[], float]) -> None:
        self.store = store
        self.timeline = timeline
        self.shapes: dict[int, Shape] = {}  # by version
        self.ledger = Ledger(timeline, self._archived_as)
        self.commits = 0
        self._disturbed = disturbed  # when the last fault was; infinite while messages are unreliable
        self._leases: dict[Key, datetime] = {}
        self._rows = RowAudit(store, self.ledger, self._leases)
        self._limits = LimitAudit(store)
        self.schedule = ScheduleAudit()
        self._seen = store.last_event_id()
        self._runs: dict[int, RunRow] = {}
        self._instances: dict[int, dict[int, InstanceRow]] = {}
        self._term = 0
        self._acted: dict[int, float] = {}  # run -> when a person acted on it last
        self._dag_acted: dict[str, float] = {}
        self._races = (0.0, 0)
        self._decided_elsewhere: dict[int, float] = {}  # instance -> when the runtime API ended it

    def know(self, version_id: int, spec: DagSpec) -> None:
        """Learn a DAG version."""
        self.shapes[version_id] = Shape(spec)

    def missing_ticks(self) -> list[tuple[str, datetime]]:
        """Return the ticks that should have a run and have none."""
        return [
            (dag.dag_id, tick)
            for dag in self.store.dags()
            for tick in self.schedule.missing(dag, self.shapes[dag.version_id].spec)
        ]

    def finish(self) -> None:
        """Check what only holds at the end: the last rows, read afresh, are those that were audited."""
        for dag in self.store.dags():
            self.schedule.check_once(dag, self.shapes[dag.version_id].spec)
        for pk, known in self._instances.items():
            snapshot = self.store.run(pk)
            rows = {} if snapshot is None else {row.id: row for row in snapshot.instances}
            for row_id, row in known.items():
                now = rows.get(row_id)
                if now is None or (now.state, now.token) != (row.state, row.token):
                    raise Violation(f"law 2: instance {row_id} was changed outside of a commit")
        for key in self.ledger.ran:
            if self._archived_as(key) is None:
                raise Violation(f"attempt {key} ran and is not archived")

    # ---- what the store wrote ---------------------------------------------------------------------------

    def acquired(self, term: Term) -> None:
        """A leadership was won: earlier terms must not write any more."""
        if term.number <= self._term:
            raise Violation(f"term {term.number} was given after term {self._term}")
        self._term = term.number

    def heard(self, beats: list[Key], refused: list[Key], lease_seconds: float) -> None:
        """Leases were renewed."""
        until = self.store.now() + timedelta(seconds=lease_seconds)
        for key in set(beats) - set(refused):
            self._leases[key] = until

    def committed(self, who: str, batch: Batch, term: Term | None) -> None:
        """Check everything a commit has changed, as the rows say."""
        self.commits += 1
        if term is not None and term.number < self._term:
            raise Violation(f"{who} wrote under term {term.number} after term {self._term} had begun")
        events = self.store.events_after(self._seen, EVENTS_PER_READ)
        if events:
            if any(one.id >= other.id for one, other in pairwise(events)):
                raise Violation("the ids of events do not grow")
            self._seen = events[-1].id
        commit = Commit(who, events)
        now = self.timeline.now
        for event in events:
            if event.kind == "dag.run_skipped" and event.dag_id is not None:
                self.schedule.skipped(event.dag_id, str(event.data["tick"]))
            if event.actor not in {"scheduler", "runtime-api"} and event.dag_id is not None:
                self._dag_acted[event.dag_id] = now
        self._acted.update(dict.fromkeys(commit.acted, now))
        pks = {write.row.pk for write in batch.runs}
        pks |= {write.row.run_pk for write in batch.instances}
        pks |= {run_pk_of(row_id) for row_id, _guard in batch.removed}
        held: Limits = []
        for pk in sorted(pks):
            snapshot = self.store.run(pk)
            if snapshot is None:
                raise Violation(f"run {pk} was written, but is not there")
            held += self._check_run(snapshot, commit)
        self._limits.check(held)
        for pk in pks:
            run = self._runs[pk]
            self._limits.check_runs(run, self.shapes[run.version_id])

    def lost_race(self, who: str, race: LostRace) -> None:
        """A commit was refused: fine, unless it goes on for ever at one instant."""
        self.timeline.note("{}: lost a race: {}", who, race)
        at, count = self._races
        self._races = (self.timeline.now, count + 1 if at == self.timeline.now else 1)
        if self._races[1] > RACES_AT_ONCE_MAX:
            raise Violation(f"L4: {who} loses the same race again and again: {race}")

    def _check_run(self, snapshot: RunSnapshot, commit: Commit) -> Limits:
        run = snapshot.run
        shape = self.shapes[run.version_id]
        old_run = self._runs.get(run.pk)
        if old_run is None:
            self.schedule.inserted(run, shape.spec)
        self._runs[run.pk] = run
        self._limits.run_moved(run)
        known = self._instances.setdefault(run.pk, {})
        rows: dict[str, list[InstanceRow]] = {}
        changed: list[tuple[InstanceRow | None, InstanceRow]] = []
        held: Limits = []
        for row in snapshot.instances:
            rows.setdefault(row.task_id, []).append(row)
            old = known.get(row.id)
            if old is not row and old != row:
                changed.append((old, row))
                known[row.id] = row
                held += self._limits.moved(old, row, run, shape)
        if len(known) != len(snapshot.instances):
            self._removed(known, {row.id for row in snapshot.instances})
        self._check_names(snapshot, changed)
        for old, row in changed:
            self._check_row(old, row, commit, shape, rows, run)
        ended = run.state in TERMINAL_RUN_STATES
        if ended and any(row.state not in TERMINAL_TASK_STATES for row in snapshot.instances):
            live = {row.task_id: row.state.value for row in snapshot.instances}
            raise Violation(f"S13: run {run.run_id} is {run.state} with {live}")
        if ended and old_run is not None and old_run.state is not run.state and run.pk not in commit.acted:
            self._rows.run_ended(run, list(snapshot.instances), shape)
        return held

    def _check_row(
        self,
        old: InstanceRow | None,
        row: InstanceRow,
        commit: Commit,
        shape: Shape,
        rows: dict[str, list[InstanceRow]],
        run: RunRow,
    ) -> None:
        if old is None:
            self._rows.inserted(row)
        else:
            self._rows.changed(old, row, commit)
        if commit.who == "runtime-api":
            self._decided_elsewhere[row.id] = self.timeline.now
        if row.state is TaskState.RUNNING:
            self._leases.setdefault((row.id, row.token), row.lease_until_at or self.store.now())
        if run.pk not in commit.acted:
            self._rows.starts(old, row, shape, self._settled(rows))
            self._rows.never_starts(old, row, shape, rows)
            begins = (old is None or old.state is TaskState.NONE) and row.state in {
                TaskState.SCHEDULED,
                TaskState.QUEUED,
            }
            task = shape.tasks[row.task_id]
            if begins and (task.depends_on_past or task.wait_for_downstream):
                self._check_past(run, row, shape, commit)
        if old is not None and old.token < row.token:
            self._fenced((old.id, old.token))

    def _settled(self, rows: dict[str, list[InstanceRow]]) -> dict[str, list[InstanceRow]]:
        """Leave out branch decisions that the runtime API wrote so recently that the leader may not know them."""
        late = self.timeline.now - ACT_SECONDS
        recent = {row_id for row_id, at in self._decided_elsewhere.items() if at > late}
        if not recent:
            return rows
        return {
            name: [
                _undecided(row) if row.id in recent and (row.branch or row.skip_all_downstream) else row
                for row in found
            ]
            for name, found in rows.items()
        }

    def _check_past(self, run: RunRow, row: InstanceRow, shape: Shape, commit: Commit) -> None:
        if self._dag_acted.get(run.dag_id, -ACT_SECONDS) + ACT_SECONDS > self.timeline.now:
            return  # what a person has just done to another run may be news to the scheduler
        previous = self.store.previous_run(run)
        if previous is not None and previous.run.pk not in commit.retried:
            self._rows.past(row, shape, list(previous.instances))

    def _removed(self, known: dict[int, InstanceRow], there: set[int]) -> None:
        for row_id in set(known) - there:
            gone = known.pop(row_id)
            if gone.state is not TaskState.NONE:
                raise Violation(f"instance {row_id} of {gone.task_id} was deleted as {gone.state}")

    def _check_names(
        self, snapshot: RunSnapshot, changed: list[tuple[InstanceRow | None, InstanceRow]]
    ) -> None:
        if any(old is None for old, _row in changed):
            names = [(row.task_id, row.map_index) for row in snapshot.instances]
            if len(names) != len(set(names)):
                raise Violation(f"run {snapshot.run.run_id} has two instances of one name")

    # ---- what the scheduler and the API said ------------------------------------------------------------

    def dispatched(self, instance_id: int, token: int) -> None:
        """A launch was handed over: its row must say so already."""
        rows = self.store.instances([instance_id])
        if not rows or rows[0].token < token:
            raise Violation(f"attempt {(instance_id, token)} was dispatched before it was committed")

    def replied(self, replies: Replies) -> None:
        """An answer left: what it says must be committed."""
        for claim in replies.claims:
            if claim.context is None:
                continue
            rows = self.store.instances([claim.instance_id])
            stands = (rows[0].state, rows[0].token) if rows else None
            if stands is None or stands == (TaskState.QUEUED, claim.token) or stands[1] < claim.token:
                raise Violation(
                    f"the claim of {(claim.instance_id, claim.token)} was granted, its row is {stands}"
                )
        for report in replies.reports:
            key = (report.instance_id, report.token)
            if report.verdict == "accepted" and self._archived_as(key) is None and key in self.ledger.spooled:
                raise Violation(f"S5: the report of attempt {key} was accepted, but is not archived")

    def _archived_as(self, key: Key) -> str | None:
        attempt = self._rows.archived(*key)
        return None if attempt is None else attempt.outcome

    # ---- what workers did -------------------------------------------------------------------------------

    def started(self, key: Key, worker: str, incarnation: str, trusts: Callable[[Key], bool]) -> None:
        """User code starts."""
        self.ledger.start(key, Process(worker, incarnation, trusts))

    def ended(self, key: Key, incarnation: str) -> None:
        """User code has ended."""
        self.timeline.note("{}: attempt {} token {} ends", incarnation, *key)
        self.ledger.end(key)

    def end_all_of(self, worker: str, incarnation: str) -> None:
        """All processes of a worker have ended."""
        self.ledger.end_all(worker, incarnation)

    def orphaned(self, incarnation: str) -> None:
        """A supervisor died; its attempts' processes may live a little longer."""
        for processes in self.ledger.live.values():
            for process in processes.values():
                process.orphan |= process.incarnation == incarnation

    def runs(self, key: Key) -> bool:
        """Whether user code of an attempt runs."""
        return self.ledger.process(key) is not None

    def gone(self, key: Key) -> None:
        """An executor says that an attempt's processes are dead, or never were."""
        self.ledger.gone.add(key)

    def spooled(self, outcome: Outcome) -> None:
        """An outcome is on disk."""
        self.ledger.spooled[outcome.instance_id, outcome.token] = outcome

    def signalled(self, key: Key) -> None:
        """A worker was told to end an attempt."""
        process = self.ledger.process(key)
        if process is not None:
            process.signalled = True

    def acknowledged(self, outcome: Outcome, verdict: str) -> None:
        """A worker was answered, and forgets the outcome."""
        key = (outcome.instance_id, outcome.token)
        self.timeline.note("attempt {} token {}: {} was answered {}", *key, outcome.kind, verdict)
        archived = self._archived_as(key)
        expected = "lost" if outcome.kind is OutcomeKind.INTERRUPTED else outcome.kind.value
        if verdict == "accepted" and archived != expected:
            raise Violation(
                f"S6: the {outcome.kind} of attempt {key} was accepted, its archive says {archived}"
            )
        rows = self.store.instances([key[0]])
        if verdict == "fenced" and archived == expected and outcome.kind is OutcomeKind.SUCCESS:
            stands = bool(rows) and (rows[0].state, rows[0].token) == (TaskState.SUCCESS, key[1])
            if stands:
                raise Violation(
                    f"S5: the success of attempt {key} stands, but its worker was told it is stale"
                )

    # ---- promptness -------------------------------------------------------------------------------------

    def _fenced(self, key: Key) -> None:
        """An attempt has lost its right: a healthy installation tells its worker soon."""
        process = self.ledger.process(key)
        if process is None or self._archived_as(key) not in ENDED_ON_PURPOSE:
            return
        at = self.timeline.now

        def check() -> None:
            quiet = self._disturbed() < at - LEASE_SECONDS
            if quiet and self.ledger.process(key) is process and not process.signalled:
                raise Violation(f"S11: the worker of attempt {key} was not told that it must end")

        def check_trust() -> None:
            if self.ledger.process(key) is process and process.trusts(key):
                raise Violation(
                    f"S3: the worker of attempt {key} trusts it a lease after it has lost its right"
                )

        self.timeline.after(SIGNAL_SECONDS_MAX, check)
        self.timeline.after(LEASE_SECONDS + 1.0, check_trust)


def _undecided(row: InstanceRow) -> InstanceRow:
    return msgspec.structs.replace(row, branch=None, skip_all_downstream=False)
