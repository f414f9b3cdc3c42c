"""Leads each attempt from its launch to its acknowledged outcome."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from typing import Any

import msgspec

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import (
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    OutcomeKind,
    OutcomeReport,
    ReportReply,
)
from tradewind.runtime.forkserver.messages import Answer, Ask, Exited, Go, Outcome
from tradewind.runtime.oom import OomWatch
from tradewind.runtime.spool import Spool
from tradewind.runtime.supervisor.attempts import NO_SERVER, Attempt, Phase, describe_death
from tradewind.runtime.supervisor.channels import AttemptChannels
from tradewind.runtime.supervisor.link import ExecutorLink
from tradewind.runtime.supervisor.secrets import secrets_in
from tradewind.runtime.supervisor.servers import ServerPool
from tradewind.runtime.supervisor.stops import Stops
from tradewind.runtime.supervisor.versions import VersionCache
from tradewind.runtime.wire import AttemptKey, Launches, Replies

FORKS_MAX = 3  # for one attempt whose process dies before it may run

logger = logging.getLogger(__name__)


class Supervisor:
    """The life of attempts. Everything it needs is handed in by :class:`~.worker.Worker`, which owns the loop."""

    link: ExecutorLink
    pool: ServerPool
    channels: AttemptChannels
    stops: Stops

    def __init__(
        self,
        clock: Clock,
        spool: Spool,
        versions: VersionCache,
        oom: OomWatch,
        *,
        worker: str,
        incarnation: str,
        slots: int,
        lease_seconds: float,
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._versions = versions
        self._oom = oom
        self._worker = worker
        self._incarnation = incarnation
        self._slots = slots
        self._lease_seconds = lease_seconds
        self._numbers = itertools.count(1)
        self._waiting: deque[Attempt] = deque()
        self._wanted: dict[str, list[Attempt]] = {}  # source hash -> attempts that wait for its text
        self._busy = 0  # slots
        self._outcomes = 0
        self.attempts: dict[AttemptKey, Attempt] = {}
        self.unacknowledged: set[AttemptKey] = set()
        self.draining = False

    # ---- from the executor

    def launched(self, message: Launches) -> None:
        """Take launches on; one that is held already, or whose outcome is not acknowledged, changes nothing."""
        for launch in message.launches:
            key = (launch.instance_id, launch.token)
            if self.draining:
                continue  # it stays with the executor, for another worker
            held = self.attempts.get(key)
            if key in self.unacknowledged or (held is not None and held.phase is Phase.ENDED):
                self.link.dropped(key)  # a late double: its outcome is known
                continue
            if held is None:
                attempt = Attempt(launch)
                self.attempts[key] = attempt
                self._waiting.append(attempt)
            self.link.received(key)
        self._begin_waiting()

    def recovered(self, reports: list[OutcomeReport]) -> None:
        """Report what an earlier worker of this name could not."""
        for report in reports:
            self.unacknowledged.add((report.instance_id, report.token))
            self.link.report(report)

    def answered(self, replies: Replies) -> None:
        """Go on with what was asked."""
        for reply in replies.reports:
            self._acknowledged(reply)
        for claim in replies.claims:
            self._claimed(claim)

    def give_up_waiting(self) -> None:
        """Forget what has not been claimed: the worker is to end."""
        self.draining = True
        for attempt in self._waiting:
            self.attempts.pop(attempt.key, None)
        self._waiting.clear()

    # ---- claim

    def _begin_waiting(self) -> None:
        while self._waiting and self._busy < self._slots:
            attempt = self._waiting.popleft()
            self._busy += 1
            attempt.phase = Phase.CLAIMING
            attempt.claimant = f"{self._incarnation}.{next(self._numbers)}"
            attempt.claim_sent = self._clock.monotonic()
            self.link.claim(
                ClaimRequest(
                    instance_id=attempt.key[0],
                    token=attempt.key[1],
                    worker=self._worker,
                    claimant=attempt.claimant,
                )
            )
            source = self._versions.find(attempt.launch)
            if source is not None:
                self.pool.fork(attempt, source)

    def _claimed(self, reply: ClaimReply) -> None:
        attempt = self.attempts.get((reply.instance_id, reply.token))
        if attempt is None or attempt.phase is not Phase.CLAIMING:
            return
        if reply.context is None:
            self._release(attempt)
            self.link.dropped(attempt.key)
            return
        attempt.phase = Phase.RUNNING
        attempt.context = reply.context
        attempt.trusted_until = attempt.claim_sent + self._lease_seconds
        if attempt.stop is not None:
            self.end_unstarted(attempt)
        elif attempt.failure is not None:
            kind, reason, error = attempt.failure
            self.finish(attempt, self._report(attempt, kind, reason, error=error))
        elif self._clock.monotonic() > attempt.trusted_until:
            reason = f"the claim was answered after more than {self._lease_seconds:g} s"
            self.finish(attempt, self._report(attempt, OutcomeKind.INTERRUPTED, reason))
        elif attempt.control is not None:
            self._go(attempt)
        elif attempt.source is None:
            self._fetch_source(attempt)

    def _fetch_source(self, attempt: Attempt) -> None:
        sha = attempt.launch.source_sha
        self._wanted.setdefault(sha, []).append(attempt)
        if len(self._wanted[sha]) > 1:
            return
        request = DataRequest(
            instance_id=attempt.key[0],
            token=attempt.key[1],
            verb="source_get",
            arguments={"version_id": attempt.launch.version_id},
        )
        self.link.ask(request, lambda replies: self._source_came(attempt, replies.data))

    def _source_came(self, asker: Attempt, reply: DataReply | None) -> None:
        attempts = self._wanted.pop(asker.launch.source_sha, [])
        source, problem = None, "no answer"
        if reply is not None and reply.error is None and isinstance(reply.value, dict):
            try:
                source = self._versions.store(asker.launch, reply.value["text"])
            except OSError as error:
                problem = f"it could not be stored: {error.strerror}"
        elif reply is not None and reply.error is not None:
            problem = reply.error
        for attempt in attempts:
            if attempt.phase is not Phase.RUNNING:
                continue
            if source is not None:
                self.pool.fork(attempt, source)
            else:
                reason = f"the source of {attempt.launch.file} did not arrive: {problem}"
                self.finish(attempt, self._report(attempt, OutcomeKind.INTERRUPTED, reason))

    def _go(self, attempt: Attempt) -> None:
        assert attempt.context is not None
        attempt.went = True
        attempt.started_at = self._clock.now()
        self.channels.send(attempt, Go(attempt.context, attempt.title))
        self.pool.started(attempt)
        seconds = attempt.context.timeout_seconds
        if seconds is not None:
            self.stops.limit_time(attempt, seconds)

    # ---- from fork servers (AttemptEvents)

    def opened(self, attempt: Attempt) -> None:
        """The attempt's channels exist; its process will soon."""
        self.channels.watch(attempt)
        if attempt.phase is Phase.RUNNING:
            self._go(attempt)

    def exited(self, attempt: Attempt, message: Exited) -> None:
        """All of the attempt's processes are gone."""
        attempt.pid = message.pid
        self.channels.drain(attempt)
        if message.leftovers:
            self._note_leftovers(attempt, message)
        if attempt.phase is not Phase.ENDED and attempt.went:
            reason, code, signum = describe_death(message.status, self._oom.take)
            report = self._report(
                attempt,
                OutcomeKind.ERROR,
                reason,
                exit_code=code,
                signal=signum,
                memory_max_bytes=message.memory_max_bytes,
            )
            if attempt.stop is None:
                note = f"The attempt ended without a word of its own: {reason}."
                self.channels.note(attempt, note, "ERROR")
            self.finish(attempt, report)
        self._process_gone(attempt, "its process ended before it could run")

    def not_forked(self, attempt: Attempt, reason: str) -> None:
        """The system had no process for it: an infrastructure loss, not a try."""
        self._failed_to_start(attempt, OutcomeKind.INTERRUPTED, reason, None)

    def not_imported(self, attempt: Attempt, reason: str, error: dict[str, Any] | None) -> None:
        """Its DAG file cannot be imported: the author's error."""
        self._failed_to_start(attempt, OutcomeKind.ERROR, reason, error)

    def server_lost(self, attempt: Attempt, reason: str) -> None:
        """Its fork server died and took it along."""
        self.channels.drain(attempt)
        if attempt.phase is not Phase.ENDED and attempt.went:
            self.finish(attempt, self._report(attempt, OutcomeKind.INTERRUPTED, reason))
        self._process_gone(attempt, reason)

    def _process_gone(self, attempt: Attempt, reason: str) -> None:
        """Tidy up after a process; one that had not run yet gets another."""
        self.channels.close(attempt)
        attempt.server = NO_SERVER
        attempt.pid = 0
        if attempt.phase is Phase.ENDED:
            self.attempts.pop(attempt.key, None)
            return
        attempt.forks += 1
        if attempt.forks < FORKS_MAX and attempt.source is not None:
            self.pool.fork(attempt, attempt.source)
        else:
            self._failed_to_start(attempt, OutcomeKind.INTERRUPTED, reason, None)

    def _failed_to_start(
        self, attempt: Attempt, kind: OutcomeKind, reason: str, error: dict[str, Any] | None
    ) -> None:
        self.channels.close(attempt)
        attempt.server = NO_SERVER
        if attempt.phase is Phase.RUNNING:
            self.channels.note(attempt, reason, "ERROR")
            self.finish(attempt, self._report(attempt, kind, reason, error=error))
        elif attempt.phase is Phase.CLAIMING:
            attempt.failure = (kind, reason, error)  # told when the claim is granted
        else:
            self._settle(attempt)

    # ---- from attempts (ChannelEvents)

    def asked(self, attempt: Attempt, question: Ask) -> None:
        """Carry a task's question on; learn the secrets of its answer before the task does."""
        if attempt.phase is not Phase.RUNNING:
            return
        request = DataRequest(
            instance_id=attempt.key[0],
            token=attempt.key[1],
            verb=question.verb,
            arguments=question.arguments,
        )

        def answered(replies: Replies) -> None:
            reply = replies.data or DataReply(error="the scheduler gave no answer")
            secrets = secrets_in(question.verb, question.arguments, reply.value)
            if secrets:
                self.channels.log(attempt).hide(secrets)
            self.channels.send(attempt, Answer(reply))

        self.link.ask(request, answered)

    def spoke_last(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take the outcome; whose it is, is known here better than there."""
        if attempt.phase is not Phase.RUNNING:
            return
        report = outcome.report
        self.finish(
            attempt,
            msgspec.structs.replace(
                report,
                instance_id=attempt.key[0],
                token=attempt.key[1],
                started_at=report.started_at or attempt.started_at,
                ended_at=report.ended_at or self._clock.now(),
                pid=outcome.pid,
                memory_max_bytes=outcome.memory_max_bytes,
            ),
        )

    def spoke_nonsense(self, attempt: Attempt, what: str) -> None:
        """Something else than the runtime wrote to the control channel."""
        self.channels.note(attempt, f"The attempt broke its control channel: {what}.", "ERROR")
        self.stops.kill(attempt)

    # ---- outcome

    def finish(self, attempt: Attempt, report: OutcomeReport) -> None:
        """Settle the outcome, once: spool it, report it, free the slot."""
        if attempt.phase is Phase.ENDED:
            return
        final = self.stops.overrule(attempt, report)
        self._release(attempt)
        if final is not None:
            self.unacknowledged.add(attempt.key)
            try:
                self._spool.add(final)
            except OSError:
                logger.exception("An outcome could not be spooled; it is reported from memory")
            self.link.report(final)
        else:
            self.link.dropped(attempt.key)

    def end_unstarted(self, attempt: Attempt) -> None:
        """Settle an attempt that was stopped before its process was given its context."""
        reason = attempt.stop.reason if attempt.stop is not None else "it was never started"
        self.finish(attempt, self._report(attempt, OutcomeKind.INTERRUPTED, reason))

    def _release(self, attempt: Attempt) -> None:
        """End the attempt's claim on a slot; its process may still have to go."""
        attempt.cancel_timers()
        attempt.phase = Phase.ENDED
        attempt.ended_at = self._clock.monotonic()
        self._busy -= 1
        if not attempt.went:
            self.channels.hang_up(attempt)  # a process that waits for its context ends unused
            self.pool.withdraw(attempt)
        self._settle(attempt)
        self._begin_waiting()

    def _settle(self, attempt: Attempt) -> None:
        if attempt.server == NO_SERVER and attempt.phase is Phase.ENDED:
            self.channels.close(attempt)
            self.attempts.pop(attempt.key, None)

    def _acknowledged(self, reply: ReportReply) -> None:
        key = (reply.instance_id, reply.token)
        self.unacknowledged.discard(key)
        self._spool.forget(key)
        if reply.verdict != "accepted":
            logger.info("The outcome of attempt %d:%d was answered %r", *key, reply.verdict)

    def _report(self, attempt: Attempt, kind: OutcomeKind, reason: str, **fields: Any) -> OutcomeReport:
        return OutcomeReport(
            instance_id=attempt.key[0],
            token=attempt.key[1],
            kind=kind,
            reason=reason,
            started_at=attempt.started_at,
            ended_at=self._clock.now(),
            pid=attempt.pid or None,
            **fields,
        )

    def _note_leftovers(self, attempt: Attempt, message: Exited) -> None:
        note = f"{message.leftovers} process(es) the task left behind were ended."
        if message.survivors:
            note = f"{message.survivors} process(es) the task left behind could not be ended."
        self.channels.note(attempt, note, "WARNING")
