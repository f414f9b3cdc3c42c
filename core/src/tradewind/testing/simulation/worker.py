"""A fake worker: the supervisor's protocol with its leases and its spool, and processes that only pretend.

It follows ``tradewind.runtime.supervisor`` rule by rule: one attempt per launch, a claimant per launch, trust
counted from before the call that renews it, an outcome spooled before it is reported and told again until it is
answered. What is faked is the system below: sockets are the post, processes are entries in the auditor's ledger.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from tradewind.domain.outcome import Outcome, OutcomeKind
from tradewind.ports.runtime_api import (
    HEARTBEAT_SECONDS,
    LEASE_SECONDS,
    Beat,
    ClaimReply,
    ClaimRequest,
    DataRequest,
    Launch,
    TaskContext,
)
from tradewind.runtime.wire import Call, Replies
from tradewind.testing.clock import HostClock
from tradewind.testing.simulation.chance import Chance
from tradewind.testing.simulation.timeline import Action, Timeline

if TYPE_CHECKING:
    from tradewind.testing.simulation.auditor import Auditor
    from tradewind.testing.simulation.behaviour import Behaviour

RESEND_SECONDS: Final = 3.0
TRUST_CHECK_SECONDS: Final = 1.0
ORPHAN_SECONDS_MAX: Final = 5.0  # a fork server whose supervisor died ends what is below it

Key = tuple[int, int]


class Link(Protocol):
    """How a worker reaches the runtime API."""

    resends: bool  # whether a call without an answer is sent again after a while

    def call(self, worker: Worker, incarnation: str, call: Call) -> None:
        """Carry a call; the answer comes as :meth:`Worker.answered`, or never."""
        ...

    def tend(self, worker: Worker) -> None:
        """Connect to whoever listens now."""
        ...

    def ended(self, incarnation: str) -> None:
        """Hear that every process of a worker is dead."""
        ...


class Attempt:
    """One launch, from its arrival until its outcome is settled."""

    __slots__ = ("claim_sent", "ends", "key", "running", "stopping", "trusted_until", "waiting")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.waiting = True  # for a slot
        self.running = False  # user code may run
        self.claim_sent = 0.0
        self.trusted_until = 0.0
        self.stopping: OutcomeKind | None = None  # what is reported whatever the code says
        self.ends = 0  # number of the timer that ends the code; a newer one makes it void


class Worker:
    """One worker of a name: it can crash, come back as another incarnation, and stand still."""

    def __init__(
        self,
        name: str,
        slots: int,
        timeline: Timeline,
        clock: HostClock,
        chance: Chance,
        link: Link,
        behaviour: Behaviour,
        auditor: Auditor,
    ) -> None:
        self.name = name
        self.slots = slots
        self.incarnation = ""
        self.attempts: dict[Key, Attempt] = {}
        self.unacknowledged: dict[Key, None] = {}
        self.alive = False
        self._spool: dict[Key, Outcome] = {}  # survives a crash
        self._waiting: deque[Attempt] = deque()
        self._unanswered: dict[int, Call] = {}
        self._timeline = timeline
        self._clock = clock
        self._chance = chance
        self._link = link
        self._behaviour = behaviour
        self._auditor = auditor
        self._births = 0
        self._sequence = 0
        self._claimants = 0
        self._frozen_until = 0.0
        self._beat_sent: dict[int, float] = {}

    # ---- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process of this name; outcomes that an earlier one could not tell are told first."""
        if self.alive:
            return
        self._births += 1
        self.alive = True
        self.incarnation = f"{self.name}.{self._births}"
        self._timeline.note("{} starts", self.incarnation)
        self._auditor.end_all_of(self.name, "")  # a new worker ends what earlier ones left behind
        self._link.tend(self)
        for key, outcome in self._spool.items():
            self.unacknowledged[key] = None
            self._call(reports=(outcome,))
        self._later(self._chance.between(0, HEARTBEAT_SECONDS), self._beat)
        self._later(TRUST_CHECK_SECONDS, self._check_trust)

    def crash(self, seconds: float) -> None:
        """Die without a word; come back after a while. Its attempts' processes die now or a little later."""
        if not self.alive:
            return
        self._timeline.note("{} crashes", self.incarnation)
        self.alive = False
        dead = self.incarnation
        orphaned = min(self._chance.between(0, ORPHAN_SECONDS_MAX), self._trust_left())
        self._auditor.orphaned(dead)
        self.attempts.clear()
        self.unacknowledged.clear()
        self._waiting.clear()
        self._unanswered.clear()
        self._beat_sent.clear()
        self._frozen_until = 0.0
        self._timeline.after(orphaned, lambda: self._remains_end(dead))
        self._timeline.after(seconds, self.start)

    def _trust_left(self) -> float:
        """Return how long what the worker leaves behind may live: its fork server ends it with the lease."""
        if self.frozen or self._chance.happens(0.5):
            return 0.0
        until = [attempt.trusted_until for attempt in self.attempts.values() if attempt.running]
        return max(0.0, min(until, default=0.0) - self._clock.monotonic())

    def _remains_end(self, dead: str) -> None:
        self._auditor.end_all_of(self.name, dead)
        self._link.ended(dead)

    def freeze(self, seconds: float) -> None:
        """Stand still with everything on this host; what comes meanwhile waits."""
        self._timeline.note("{} stands still for {:.1f} s", self.incarnation, seconds)
        self._frozen_until = max(self._frozen_until, self._timeline.now + seconds)

    @property
    def frozen(self) -> bool:
        """Whether nothing on this host runs now."""
        return self._frozen_until > self._timeline.now

    @property
    def idle(self) -> bool:
        """Whether there is nothing it still has to do or to tell."""
        return self.alive and not (self.attempts or self.unacknowledged)

    def still(self) -> str:
        """Return what it still has to do or to tell."""
        return f"attempts {list(self.attempts)}, reports {list(self.unacknowledged)}, alive {self.alive}"

    def _later(self, seconds: float, action: Action) -> None:
        """Let this incarnation do something later, as soon as it is not frozen."""
        incarnation = self.incarnation

        def due() -> None:
            if not self.alive or self.incarnation != incarnation:
                return
            if self.frozen:
                self._timeline.after(self._frozen_until - self._timeline.now, due)
            else:
                action()

        self._timeline.after(seconds, due)

    # ---- launches and claims ----------------------------------------------------------------------------

    def launched(self, launch: Launch) -> None:
        """Take a launch on; one that is held already, or whose outcome is not acknowledged, changes nothing."""
        if self.alive:
            self._later(0.0, lambda: self._launched((launch.instance_id, launch.token)))

    def _launched(self, key: Key) -> None:
        if key in self.attempts or key in self.unacknowledged:
            return
        attempt = self.attempts[key] = Attempt(key)
        self._waiting.append(attempt)
        self._begin_waiting()

    def _begin_waiting(self) -> None:
        busy = sum(not attempt.waiting for attempt in self.attempts.values())
        while self._waiting and busy < self.slots:
            attempt = self._waiting.popleft()
            if self.attempts.get(attempt.key) is not attempt:
                continue
            busy += 1
            attempt.waiting = False
            attempt.claim_sent = self._clock.monotonic()
            self._claimants += 1
            claim = ClaimRequest(
                instance_id=attempt.key[0],
                token=attempt.key[1],
                worker=self.name,
                claimant=f"{self.incarnation}.{self._claimants}",
            )
            self._call(claims=(claim,))

    def _claimed(self, reply: ClaimReply) -> None:
        key = (reply.instance_id, reply.token)
        attempt = self.attempts.get(key)
        if attempt is None or attempt.waiting or attempt.running:
            return
        if reply.context is None:
            self._forget(attempt)
            return
        attempt.trusted_until = attempt.claim_sent + LEASE_SECONDS
        if attempt.stopping is not None:
            self._settle(attempt, self._report(key, attempt.stopping))
        elif self._clock.monotonic() > attempt.trusted_until:
            self._settle(attempt, self._report(key, OutcomeKind.INTERRUPTED))
        else:
            self._run(attempt, reply.context)

    def _run(self, attempt: Attempt, context: TaskContext) -> None:
        attempt.running = True
        self._auditor.started(attempt.key, self.name, self.incarnation, self.trusts)
        deed = self._behaviour.draw(context, self._clock.now())
        self._end_in(attempt, deed.seconds, deed.outcome)
        if self._chance.happens(0.1):
            question = DataRequest(
                instance_id=attempt.key[0],
                token=attempt.key[1],
                verb="state_set",
                arguments={"values": {"token": str(attempt.key[1])}},
            )
            self._later(deed.seconds * self._chance.number(), lambda: self._ask(attempt, question))

    def _ask(self, attempt: Attempt, question: DataRequest) -> None:
        if attempt.running:
            self._call(data=question)

    def trusts(self, key: Key) -> bool:
        """Whether an attempt's process may run by this host's own measure."""
        attempt = self.attempts.get(key)
        return (
            attempt is not None
            and attempt.running
            and attempt.stopping is None
            and attempt.trusted_until >= self._clock.monotonic()
            and not self.frozen
        )

    # ---- ends -------------------------------------------------------------------------------------------

    def _end_in(self, attempt: Attempt, seconds: float, outcome: Outcome) -> None:
        attempt.ends += 1
        number = attempt.ends

        def over() -> None:
            if attempt.running and attempt.ends == number:
                self._settle(attempt, outcome)

        self._later(seconds, over)

    def _settle(self, attempt: Attempt, outcome: Outcome | None) -> None:
        """End the attempt and tell its outcome; it is on disk before it is told."""
        key = attempt.key
        if attempt.running:
            self._auditor.ended(key, self.incarnation)
        self._forget(attempt)
        if outcome is None:
            return
        if attempt.stopping is not None and outcome.kind is not attempt.stopping:
            outcome = self._report(key, attempt.stopping)
        self._spool[key] = outcome
        self.unacknowledged[key] = None
        self._auditor.spooled(outcome)
        self._call(reports=(outcome,))

    def _forget(self, attempt: Attempt) -> None:
        self.attempts.pop(attempt.key, None)
        attempt.running = False
        self._begin_waiting()

    def _report(self, key: Key, kind: OutcomeKind) -> Outcome:
        return Outcome(instance_id=key[0], token=key[1], kind=kind)

    def cancelled(self, keys: tuple[Key, ...], grace_seconds: float) -> None:
        """End attempts: SIGTERM now, SIGKILL after the grace."""
        if self.alive:
            self._later(0.0, lambda: self._cancelled(keys, grace_seconds))

    def _cancelled(self, keys: tuple[Key, ...], grace_seconds: float) -> None:
        for key in keys:
            attempt = self.attempts.get(key)
            if attempt is None:
                continue
            self._auditor.signalled(key)
            if attempt.waiting:
                self._forget(attempt)
            elif attempt.stopping is None:
                attempt.stopping = OutcomeKind.CANCELLED
                if attempt.running:
                    seconds = self._chance.between(0, min(grace_seconds, 5.0))
                    self._end_in(attempt, seconds, self._report(key, OutcomeKind.CANCELLED))

    # ---- pulse ------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        self._later(HEARTBEAT_SECONDS, self._beat)
        keys = [key for key, attempt in self.attempts.items() if attempt.running]
        keys += [key for key in self.unacknowledged if key not in self.attempts]
        if keys:
            self._sequence += 1
            self._beat_sent = {self._sequence: self._clock.monotonic()}
            beats = tuple(Beat(instance_id=key[0], token=key[1]) for key in keys)
            self._link.call(self, self.incarnation, Call(self._sequence, beats=beats))

    def _beats_answered(self, replies: Replies, sent: float) -> None:
        for reply in replies.beats:
            key = (reply.instance_id, reply.token)
            attempt = self.attempts.get(key)
            if attempt is None or not attempt.running:
                continue
            if reply.stop is None:
                attempt.trusted_until = max(attempt.trusted_until, sent + LEASE_SECONDS)
            elif reply.stop == "cancelled":
                attempt.trusted_until = max(attempt.trusted_until, sent + LEASE_SECONDS)
                self._cancelled((key,), 5.0)
            else:
                self._auditor.signalled(key)
                self._settle(attempt, None)

    def _check_trust(self) -> None:
        self._later(TRUST_CHECK_SECONDS, self._check_trust)
        self._link.tend(self)
        now = self._clock.monotonic()
        for attempt in list(self.attempts.values()):
            if attempt.running and attempt.trusted_until < now:
                if attempt.stopping is None:
                    attempt.stopping = OutcomeKind.INTERRUPTED
                self._settle(attempt, self._report(attempt.key, attempt.stopping))

    # ---- calls ------------------------------------------------------------------------------------------

    def _call(
        self,
        claims: tuple[ClaimRequest, ...] = (),
        reports: tuple[Outcome, ...] = (),
        data: DataRequest | None = None,
    ) -> None:
        self._sequence += 1
        call = Call(self._sequence, claims=claims, reports=reports, data=data)
        self._unanswered[call.sequence] = call
        self._send(call)

    def _send(self, call: Call) -> None:
        if call.sequence in self._unanswered:
            self._link.call(self, self.incarnation, call)
            if not self._link.resends:
                return
            self._later(RESEND_SECONDS, lambda: self._send(call))

    def unanswered(self) -> list[Call]:
        """Return the calls that have no answer yet, oldest first."""
        return list(self._unanswered.values())

    def answered(self, incarnation: str, sequence: int, replies: Replies) -> None:
        """Take an answer; one that came before, or is meant for an earlier process, changes nothing."""
        if incarnation == self.incarnation:
            self._later(0.0, lambda: self._answered(sequence, replies))

    def _answered(self, sequence: int, replies: Replies) -> None:
        sent = self._beat_sent.pop(sequence, None)
        if sent is not None:
            self._beats_answered(replies, sent)
        if self._unanswered.pop(sequence, None) is None:
            return
        for report in replies.reports:
            key = (report.instance_id, report.token)
            self.unacknowledged.pop(key, None)
            outcome = self._spool.pop(key, None)
            if outcome is not None:
                self._auditor.acknowledged(outcome, report.verdict)
        for claim in replies.claims:
            self._claimed(claim)
