"""The scheduler's process: waits for whatever comes first (a worker, a hint, a due time) and lets the engine turn.

It sleeps in one ``select`` on the executors' sockets, the wake-up channel and a signal pipe. While it leads, it
renews its term, looks for lost hints and expired leases at one common beat, so an idle installation issues a few
statements every five seconds. Without leadership it only tries to get it.
"""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Mapping
from datetime import datetime

from tradewind.domain.records import Term
from tradewind.errors import MetastoreUnavailableError, StaleTermError
from tradewind.ports.clock import Clock
from tradewind.ports.executor import Executor
from tradewind.ports.metastore import Metastore
from tradewind.ports.wakeup import Wakeup
from tradewind.scheduler.engine import Engine
from tradewind.scheduler.leadership import Leadership
from tradewind.scheduler.maintenance import Maintenance

UNAVAILABLE_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)  # between tries while the database is away
TROUBLE_BACKOFF_SECONDS = 1.0  # after an unexpected error in a turn, so that it cannot spin

MakeEngine = Callable[[Leadership], Engine]


class Scheduler:
    """One scheduler process: leader or standby."""

    def __init__(
        self,
        store: Metastore,
        executors: Mapping[str, Executor],
        clock: Clock,
        leadership: Leadership,
        make_engine: MakeEngine,
        *,
        wakeup: Wakeup,
        poll_seconds: float,
        beat: Callable[..., None],
        log: Callable[[str], None],
        maintenance: Maintenance | None = None,
        ready: Callable[[], None] | None = None,
        end_workers: bool = False,
    ) -> None:
        self._store = store
        self._executors = executors
        self._clock = clock
        self._leadership = leadership
        self._make_engine = make_engine
        self._wakeup = wakeup
        self._poll_seconds = poll_seconds
        self._beat = beat
        self._log = log
        self._maintenance = maintenance
        self._ready = ready
        self._end_workers = end_workers
        self._engine: Engine | None = None
        self._term: Term | None = None  # that the engine was made for
        self._stopping = False
        self._hinted = True
        self._next_poll = float("-inf")
        self._failures = 0

    def stop(self) -> None:
        """Ask the loop to end; safe from a signal handler."""
        self._stopping = True

    def run(self, stop_fileno: int) -> None:
        """Lead or stand by until :meth:`stop`; ``stop_fileno`` becomes readable when a signal came."""
        try:
            while not self._stopping:
                self._wait(self.round(), stop_fileno)
        finally:
            self._end()

    # ---- one round ----------------------------------------------------------------------------------------------

    def hint(self) -> None:
        """Say that somebody has committed something: the next round reads the feed."""
        self._hinted = True

    def round(self) -> float:
        """Do what is due; return for how many seconds there is nothing to do unless something arrives."""
        try:
            leads = self._leadership.tend()
            # After a long pause the term can be lost, or lost and won again: an engine serves one term only.
            if self._engine is not None and self._leadership.term is not self._term:
                self._step_down("the term was lost")
            if leads and self._engine is None:
                self._take_over()
            seconds = self._lead() if self._engine is not None else self._stand_by()
        except MetastoreUnavailableError as error:
            return self._back_off(str(error))
        except StaleTermError:
            self._leadership.drop()
            self._step_down("another scheduler leads")
            return 0.0
        self._recovered()
        self._tell_ready()
        return min(seconds, self._leadership.seconds_until_contact())

    def _tell_ready(self) -> None:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            ready()

    def _take_over(self) -> None:
        term = self._term = self._leadership.term
        assert term is not None
        for executor in self._executors.values():
            executor.start()
        try:
            self._engine = self._make_engine(self._leadership)
        except MetastoreUnavailableError:
            self._stop_executors()  # nobody would answer the workers that connect
            raise
        self._hinted = True
        self._next_poll = float("-inf")
        self._log(f"leading shard {term.shard!r}, term {term.number}")

    def _lead(self) -> float:
        assert self._engine is not None
        now = self._clock.now()
        polls = self._clock.monotonic() >= self._next_poll
        if polls:
            self._next_poll = self._clock.monotonic() + self._poll_seconds
            self._engine.look_for_lost(now)
            self._beat(leads=True)
            if self._maintenance is not None:
                self._maintenance.tend(now)
        hinted, self._hinted = self._hinted, False
        wake_at = self._engine.turn(now, read_feed=hinted or polls)
        return self._seconds_until(wake_at)

    def _seconds_until(self, wake_at: datetime | None) -> float:
        until_poll = self._next_poll - self._clock.monotonic()
        if wake_at is None:
            return max(0.0, until_poll)
        return max(0.0, min(until_poll, (wake_at - self._clock.now()).total_seconds()))

    def _stand_by(self) -> float:
        if self._clock.monotonic() >= self._next_poll:
            self._next_poll = self._clock.monotonic() + self._poll_seconds
            self._beat(leads=False)
        return self._poll_seconds

    def _step_down(self, why: str) -> None:
        if self._engine is not None:
            self._engine = None
            self._stop_executors()
            self._log(f"stepped down: {why}")

    def _stop_executors(self) -> None:
        for executor in self._executors.values():
            executor.stop(kill_workers=False)

    def _back_off(self, why: str) -> float:
        if self._failures == 0:
            self._log(f"the metastore does not answer, trying again: {why}")
        pause = UNAVAILABLE_BACKOFF_SECONDS[min(self._failures, len(UNAVAILABLE_BACKOFF_SECONDS) - 1)]
        self._failures += 1
        if not self._leadership.leads:
            self._step_down("the metastore was away for longer than the lease")
        return pause

    def _recovered(self) -> None:
        if self._failures:
            self._log(f"the metastore answers again, after {self._failures} failures")
            self._failures = 0

    # ---- waiting ------------------------------------------------------------------------------------------------

    def _wait(self, seconds: float, stop_fileno: int) -> None:
        if seconds <= 0 or self._stopping:
            seconds = 0.0
        # A few descriptors, made anew each round: cheaper than to keep an epoll in step.
        poller = select.poll()
        poller.register(stop_fileno, select.POLLIN)
        hint = self._wakeup.fileno()
        if hint is not None:
            poller.register(hint, select.POLLIN)
        if self._engine is not None and self._failures == 0:
            for executor in self._executors.values():
                for fileno in executor.filenos():
                    poller.register(fileno, select.POLLIN)
        ready = {fd for fd, _events in poller.poll(math.ceil(seconds * 1000))}
        if hint is not None and hint in ready:
            self._wakeup.drain()
            self.hint()

    def _end(self) -> None:
        engine, self._engine = self._engine, None
        for executor in self._executors.values() if engine is not None else ():
            executor.stop(kill_workers=self._end_workers)
        try:
            self._leadership.resign()
        except MetastoreUnavailableError as error:
            self._log(f"could not give the leadership back: {error}")
