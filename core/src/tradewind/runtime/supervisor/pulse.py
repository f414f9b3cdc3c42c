"""Heartbeats and what depends on them: trust in leases."""

from __future__ import annotations

import os
from collections.abc import Callable

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import Beat, OutcomeKind
from tradewind.runtime.oom import OomWatch
from tradewind.runtime.supervisor.attempts import Phase
from tradewind.runtime.supervisor.loop import Loop
from tradewind.runtime.supervisor.supervisor import Supervisor
from tradewind.runtime.wire import Replies

TRUST_CHECKS_PER_LEASE = 30  # an attempt whose lease ran out is killed within a second
EXIT_SECONDS = 10.0  # for a process after its last word


class Pulse:
    """Beats for all live attempts in one call; kills those whose lease was not renewed in time."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        supervisor: Supervisor,
        oom: OomWatch,
        *,
        worker_grace_seconds: float,
        lease_seconds: float,
        heartbeat_seconds: float,
        home: str,
        orphan_seconds: float | None,
        end: Callable[[str], None],
    ) -> None:
        self._home = home
        self._orphan_seconds = orphan_seconds
        self._end = end
        self._alone_since = clock.monotonic()
        self._loop = loop
        self._clock = clock
        self._supervisor = supervisor
        self._oom = oom
        self._grace_seconds = worker_grace_seconds
        self._lease_seconds = lease_seconds
        self._heartbeat_seconds = heartbeat_seconds

    def start(self) -> None:
        """Begin to beat."""
        self._tick()
        self._check_trust()

    def beat(self) -> None:
        """Renew all leases now."""
        supervisor = self._supervisor
        keys = [key for key, attempt in supervisor.attempts.items() if attempt.phase is Phase.RUNNING]
        keys.extend(supervisor.unacknowledged)
        if not keys:
            return
        sent = self._clock.monotonic()
        beats = tuple(Beat(instance_id=key[0], token=key[1]) for key in keys)
        supervisor.link.beat(beats, lambda replies: self._answered(replies, sent))

    def _tick(self) -> None:
        self._loop.call_in(self._heartbeat_seconds, self._tick)
        self.beat()
        self._supervisor.link.ask_again()
        pool = self._supervisor.pool
        pool.trust(self._clock.monotonic() + self._lease_seconds)
        pool.retire_idle()
        self._oom.rebase()
        self._end_the_undead()

    def _answered(self, replies: Replies, sent: float) -> None:
        supervisor = self._supervisor
        for reply in replies.beats:
            attempt = supervisor.attempts.get((reply.instance_id, reply.token))
            if attempt is None or attempt.phase is not Phase.RUNNING:
                continue
            if reply.stop is None:
                attempt.trusted_until = max(attempt.trusted_until, sent + self._lease_seconds)
            elif reply.stop == "cancelled":
                attempt.trusted_until = max(attempt.trusted_until, sent + self._lease_seconds)
                if attempt.stop is None:
                    supervisor.stops.stop(attempt, OutcomeKind.CANCELLED, "cancelled", self._grace_seconds)
            else:
                supervisor.stops.fence(attempt)

    def _check_trust(self) -> None:
        self._loop.call_in(self._lease_seconds / TRUST_CHECKS_PER_LEASE, self._check_trust)
        self._supervisor.link.follow()
        self._watch_for_executor()
        now = self._clock.monotonic()
        for attempt in list(self._supervisor.attempts.values()):
            if attempt.phase is Phase.RUNNING and attempt.trusted_until < now:
                reason = f"the scheduler was not heard for {self._lease_seconds:g} s"
                self._supervisor.stops.stop(attempt, OutcomeKind.INTERRUPTED, reason, self._lease_seconds)
                self._supervisor.stops.kill(attempt)

    def _watch_for_executor(self) -> None:
        """End a worker nobody has use for: its home is gone, or no executor came for long."""
        if not os.path.isdir(self._home):
            self._end("its home is gone")
        elif self._supervisor.link.up or self._supervisor.attempts:
            self._alone_since = self._clock.monotonic()
        elif self._orphan_seconds is not None and self._alone_seconds() > self._orphan_seconds:
            self._end(f"no executor was there for {self._orphan_seconds:g} s")

    def _alone_seconds(self) -> float:
        return self._clock.monotonic() - self._alone_since

    def _end_the_undead(self) -> None:
        now = self._clock.monotonic()
        for attempt in self._supervisor.attempts.values():
            if attempt.phase is Phase.ENDED and now - attempt.ended_at > EXIT_SECONDS:
                self._supervisor.stops.kill(attempt)
