"""The worker process: puts its parts together, runs the loop, ends it."""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import socket
from collections.abc import Mapping

from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeKind
from tradewind.runtime import processes
from tradewind.runtime.environment import clean_environment
from tradewind.runtime.logs.store import FileLogStore
from tradewind.runtime.oom import OomWatch
from tradewind.runtime.spool import Spool
from tradewind.runtime.supervisor.attempts import Phase
from tradewind.runtime.supervisor.channels import AttemptChannels
from tradewind.runtime.supervisor.link import ExecutorLink
from tradewind.runtime.supervisor.loop import Loop
from tradewind.runtime.supervisor.options import WorkerOptions
from tradewind.runtime.supervisor.pulse import Pulse
from tradewind.runtime.supervisor.servers import ServerPool
from tradewind.runtime.supervisor.stops import Stops
from tradewind.runtime.supervisor.supervisor import Supervisor
from tradewind.runtime.supervisor.versions import VersionCache
from tradewind.runtime.wire import WIRE_SCHEMA, Cancel, Hello, Launches, Replies, Stop

DRAIN_KILL_SECONDS = 5.0  # between SIGTERM and SIGKILL at the end of a drain
ACKNOWLEDGE_SECONDS = (
    3.0  # an ending worker waits that long for answers to its last reports; the spool has them
)
SYNC_SECONDS = 1.0  # an outcome nobody has acknowledged by then is made to outlive the machine

logger = logging.getLogger(__name__)


class WorkerProcess:
    """One worker. ``alive_fd`` is its lock file, held by every process it makes."""

    def __init__(
        self,
        options: WorkerOptions,
        clock: Clock,
        environment: Mapping[str, str],
        *,
        alive_fd: int,
        alive_file: str,
    ) -> None:
        self._options = options
        self._clock = clock
        self._alive_file = alive_file
        self._incarnation = f"{os.getpid():x}.{int(clock.now().timestamp() * 1e6):x}"
        self._mark = options.mark + self._incarnation
        self._running = True
        self._stops_asked = 0
        self._ending = False
        self.loop = Loop(clock)
        oom = OomWatch()
        self._spool = Spool(options.spool_path)
        self.supervisor = Supervisor(
            clock,
            self._spool,
            VersionCache(options.versions_path, options.dags_path),
            oom,
            worker=options.name,
            incarnation=self._incarnation,
            slots=options.slots,
            lease_seconds=options.lease_seconds,
        )
        self.link = ExecutorLink(self.loop, options.socket_path, self)
        self.pool = ServerPool(
            self.loop,
            clock,
            self.supervisor,
            environment={**clean_environment(environment), processes.WORKER_VARIABLE: self._mark},
            alive_fd=alive_fd,
            engine=options.engine,
            descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            import_seconds=options.import_seconds,
        )
        self.channels = AttemptChannels(self.loop, clock, FileLogStore(options.logs_path), self.supervisor)
        stops = Stops(self.loop, self.pool, self.channels, options.grace_seconds)
        self.supervisor.link = self.link
        self.supervisor.pool = self.pool
        self.supervisor.channels = self.channels
        self.supervisor.stops = stops
        stops.never_ran = self.supervisor.end_unstarted
        self._pulse = Pulse(
            self.loop,
            clock,
            self.supervisor,
            oom,
            worker_grace_seconds=options.grace_seconds,
            lease_seconds=options.lease_seconds,
            heartbeat_seconds=options.heartbeat_seconds,
            home=options.home,
            orphan_seconds=options.orphan_seconds,
            end=self._retire,
        )

    def run(self) -> bool:
        """Work until a drain is over; return False when no attempt can be run here."""
        raise_descriptor_limit()
        processes.become_subreaper()
        self._take_signals()
        self.pool.start()
        self.supervisor.recovered(self._spool.recover())
        self.loop.turn_ends += [self.channels.flush, self.link.flush, self._end_when_drained]
        self._sync()
        self._pulse.start()
        self.link.open()
        while self._running and not self.pool.hopeless:
            self.loop.turn()
        self.link.close()
        self.pool.close()
        self._spool.close()
        self.loop.close()
        return not self.pool.hopeless

    # ---- from the executor (LinkEvents)

    def hello(self, role: str) -> Hello:
        """Introduce this worker."""
        return Hello(
            schema=WIRE_SCHEMA,
            role=role,
            worker=self._options.name,
            incarnation=self._incarnation,
            pid=os.getpid(),
            slots=0 if self.supervisor.draining else self._options.slots,
            alive_file=self._alive_file,
            mark=self._mark,
            servers=self.pool.pids,
            live=tuple(self.supervisor.attempts),
        )

    def connected(self) -> None:
        """Renew leases first of all: the scheduler may have been away."""
        self._pulse.beat()

    def launched(self, message: Launches) -> None:
        self.supervisor.launched(message)

    def answered(self, replies: Replies) -> None:
        self.supervisor.answered(replies)

    def cancelled(self, message: Cancel) -> None:
        """End what is asked for, wherever it stands."""
        for key in message.attempts:
            attempt = self.supervisor.attempts.get(key)
            if attempt is not None:
                self.supervisor.stops.stop(attempt, OutcomeKind.CANCELLED, "cancelled", message.grace_seconds)

    def stopped(self, message: Stop) -> None:
        self.drain(message.grace_seconds)

    def refused(self, reason: str) -> None:
        """The executor does not want this worker: end in peace."""
        logger.error("The executor refuses this worker: %s", reason)
        self.drain(self._options.drain_seconds)

    # ---- the end

    def drain(self, grace_seconds: float) -> None:
        """Claim nothing more; what runs may end by itself for that long, then it is interrupted."""
        self._stops_asked += 1
        self.supervisor.give_up_waiting()
        self.link.introduce()
        for attempt in list(self.supervisor.attempts.values()):
            if attempt.phase is Phase.CLAIMING:
                self.supervisor.stops.stop(attempt, OutcomeKind.INTERRUPTED, "the worker was stopped", 0)
        self.loop.call_in(grace_seconds, self._interrupt)

    def _retire(self, reason: str) -> None:
        if not self._stops_asked:
            logger.warning("The worker ends: %s", reason)
            self.drain(0.0)

    def _interrupt(self) -> None:
        for attempt in list(self.supervisor.attempts.values()):
            if attempt.phase is Phase.RUNNING:
                self.supervisor.stops.stop(
                    attempt, OutcomeKind.INTERRUPTED, "the worker was stopped", DRAIN_KILL_SECONDS
                )

    def _signalled(self, signum: int) -> None:
        match self._stops_asked:
            case 0:
                self.drain(self._options.drain_seconds)
            case 1:
                self._stops_asked += 1
                self._interrupt()
            case _:
                for attempt in list(self.supervisor.attempts.values()):
                    self.supervisor.stops.kill(attempt)

    def _end_when_drained(self) -> None:
        if not self._stops_asked or not self._running:
            return
        attempts = self.supervisor.attempts.values()
        if any(attempt.phase is not Phase.CLAIMING for attempt in attempts):
            return
        if not self.link.up or not (attempts or self.supervisor.unacknowledged):
            self._running = False
        elif not self._ending:
            self._ending = True
            self.loop.call_in(ACKNOWLEDGE_SECONDS, self._end)

    def _end(self) -> None:
        self._running = False

    def _sync(self) -> None:
        self.loop.call_in(SYNC_SECONDS, self._sync)
        try:
            self._spool.sync()
        except OSError:
            logger.exception("The spool could not be synced; outcomes are reported from memory")

    def _take_signals(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._signal_sockets = (ours, theirs)
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda _signum, _frame: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(theirs.fileno())
        self.loop.watch(ours.fileno(), lambda _events: self._read_signals(ours))

    def _read_signals(self, ours: socket.socket) -> None:
        for signum in ours.recv(64):
            self._signalled(signum)


def raise_descriptor_limit() -> None:
    """Allow this process as many descriptors as the system does: an attempt takes three."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def hold_alive_file(path: str) -> int:
    """Return a descriptor of ``path`` with a shared lock on it; all forks share the lock until the last dies."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd
