"""The fork servers of a worker: one base, one warm server per DAG file version in use."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tradewind.ports.clock import Clock
from tradewind.runtime import processes
from tradewind.runtime.forkserver.messages import (
    Broken,
    DagSource,
    Exited,
    FromServer,
    KillServer,
    KillTree,
    PacketOutbox,
    Ready,
    Serve,
    ServerExited,
    Signal,
    Spawn,
    SpawnFailed,
    ToServer,
    Trust,
    decode_from_server,
    encode,
    packet_pair,
)
from tradewind.runtime.supervisor.attempts import NO_SERVER, Attempt, Seat, describe_death
from tradewind.runtime.supervisor.loop import READABLE, WRITABLE, Loop

WARM_MAX = 16  # version servers kept without work
IDLE_SECONDS = 120.0
SPARE_SECONDS = 5.0  # without work a server keeps no process ahead: it is memory
BASE_RESTART_SECONDS = 0.5
FALSE_STARTS_MAX = 3
GONE_SECONDS = 5.0  # how long the remains of a dead base server may take to go
GONE_STEP_SECONDS = 0.01
RECEIVE_BYTES = 256 * 1024
PACKETS_PER_TURN_MAX = 64

logger = logging.getLogger(__name__)


class AttemptEvents(Protocol):
    """Who is told what became of attempts that were given to the pool."""

    def opened(self, attempt: Attempt) -> None: ...

    def exited(self, attempt: Attempt, message: Exited) -> None: ...

    def not_forked(self, attempt: Attempt, reason: str) -> None: ...

    def not_imported(self, attempt: Attempt, reason: str, error: dict[str, Any] | None) -> None: ...

    def server_lost(self, attempt: Attempt, reason: str) -> None: ...


class VersionServer:
    """One fork server; ``number`` 0 is the base."""

    def __init__(self, number: int, sock: socket.socket, source: DagSource | None) -> None:
        self.number = number
        self.sock = sock
        self.source = source
        self.outbox = PacketOutbox()
        self.ready = number == 0
        self.closed = False
        self.attempts: dict[int, Attempt] = {}  # by ticket: asked of it, exit not seen
        self.spare: Seat | None = None  # a process that waits to become the next attempt
        self.queue: list[Attempt] = []  # until it is ready
        self.idle_since = 0.0
        self.broken: Broken | None = None


class ServerPool:
    """Starts, keeps warm, watches and retires fork servers."""

    def __init__(
        self,
        loop: Loop,
        clock: Clock,
        events: AttemptEvents,
        *,
        environment: Mapping[str, str],
        alive_fd: int,
        engine: str | None,
        descriptors: int,
        import_seconds: float,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._events = events
        self._environment = environment
        self._alive_fd = alive_fd
        self._engine = engine
        self._descriptors = descriptors  # the limit tasks are to have: what this process was started with
        self._import_seconds = import_seconds
        self._base: VersionServer | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = 0
        self._tickets = 0
        self._servers: dict[int, VersionServer] = {}
        self._by_source: dict[tuple[str, str], VersionServer] = {}
        self._threaded: set[tuple[str, str]] = set()  # importing these starts threads: no warm server
        self._closing = False
        self.hopeless = False  # no base server can be had
        self._false_starts = 0  # of base servers in a row that never got ready
        self._homeless: list[Attempt] = []  # asked for while there is no base server

    def start(self) -> None:
        """Start the base server."""
        ours, theirs = packet_pair()
        command = [sys.executable, "-m", "tradewind.runtime.forkserver"]
        command += [str(theirs.fileno()), str(self._alive_fd), str(self._descriptors)]
        command += [self._engine] if self._engine else []
        self._process = subprocess.Popen(
            command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), self._alive_fd),
        )
        theirs.close()
        self._base = self._watch(VersionServer(0, ours, None))
        homeless, self._homeless = self._homeless, []
        for attempt in homeless:
            assert attempt.source is not None
            self.fork(attempt, attempt.source)

    @property
    def pids(self) -> tuple[int, ...]:
        """The base server's process id, if it runs."""
        return (self._process.pid,) if self._process is not None else ()

    def fork(self, attempt: Attempt, source: DagSource) -> None:
        """Have an attempt's process made; the events tell the rest."""
        identity = (source.file, source.sha)
        attempt.source = source
        if self._base is None:
            self._homeless.append(attempt)
            return
        if identity in self._threaded:
            self._spawn(self._base, attempt, source)
            return
        server = self._by_source.get(identity) or self._start_server(source)
        attempt.server = server.number
        if not server.ready:
            server.queue.append(attempt)
        elif server.spare is not None:
            seat, server.spare = server.spare, None
            self._seat(server, attempt, seat)
        else:
            self._spawn(server, attempt, None)

    def started(self, attempt: Attempt) -> None:
        """Fork the next process ahead while this attempt runs: a file's next attempt often follows at once."""
        server = self._servers.get(attempt.server)
        if server is not None and server.number and server.ready and server.spare is None:
            try:
                server.spare = self._order(server, None)
            except OSError:
                return  # the next one makes do without

    def is_warm(self, source: DagSource) -> bool:
        """Return whether a server holds this version."""
        return (source.file, source.sha) in self._by_source

    def signal(self, attempt: Attempt, signum: int) -> None:
        """Send a signal to an attempt's first process."""
        server = self._servers.get(attempt.server)
        if server is not None:
            self._say(server, Signal(attempt.ticket, signum))

    def kill_tree(self, attempt: Attempt) -> None:
        """SIGKILL an attempt with all it started."""
        server = self._servers.get(attempt.server)
        if server is not None:
            self._say(server, KillTree(attempt.ticket))

    def withdraw(self, attempt: Attempt) -> None:
        """Forget an attempt that no process has been asked for yet."""
        server = self._servers.get(attempt.server)
        if attempt in self._homeless:
            self._homeless.remove(attempt)
        if server is not None and attempt in server.queue:
            server.queue.remove(attempt)
            attempt.server = NO_SERVER

    def trust(self, until: float) -> None:
        """Let the base server end everything unless it hears otherwise before that monotonic instant."""
        if self._base is not None:
            self._say(self._base, Trust(until))

    def retire_idle(self) -> None:
        """Close servers that have had nothing to do for long, or are too many."""
        now = self._clock.monotonic()
        idle = [s for s in self._servers.values() if s.ready and s.number and not s.attempts]
        for server in idle:
            if now - server.idle_since > SPARE_SECONDS:
                self._drop_spare(server)
        idle.sort(key=lambda server: server.idle_since, reverse=True)
        for place, server in enumerate(idle):
            if place >= WARM_MAX or now - server.idle_since > IDLE_SECONDS:
                self._retire(server)

    def close(self) -> None:
        """Hang up on the base server and wait for its end; everything below it dies first."""
        self._closing = True
        for server in [*self._servers.values()]:
            self._drop(server)
        if self._process is not None:
            try:
                self._process.wait(GONE_SECONDS + 1)
            except subprocess.TimeoutExpired:
                processes.kill_tree(self._process.pid)
                self._process.wait()
            self._process = None

    # ---- servers

    def _start_server(self, source: DagSource) -> VersionServer:
        assert self._base is not None
        self._numbers += 1
        ours, theirs = packet_pair()
        server = self._watch(VersionServer(self._numbers, ours, source))
        self._by_source[source.file, source.sha] = server
        self._say(self._base, Serve(server.number, source), (theirs.detach(),))
        self._loop.call_in(self._import_seconds, lambda: self._import_overdue(server))
        return server

    def _watch(self, server: VersionServer) -> VersionServer:
        server.sock.setblocking(False)
        server.idle_since = self._clock.monotonic()
        self._servers[server.number] = server
        self._loop.watch(server.sock.fileno(), lambda events: self._server_ready(server, events))
        return server

    def _spawn(self, server: VersionServer, attempt: Attempt, source: DagSource | None) -> None:
        try:
            seat = self._order(server, source)
        except OSError as error:
            self._events.not_forked(attempt, f"no descriptors are left: {error.strerror}")
            return
        self._seat(server, attempt, seat)

    def _order(self, server: VersionServer, source: DagSource | None) -> Seat:
        """Have a process forked; raises ``OSError`` when there are no descriptors for it."""
        self._tickets += 1
        seat = Seat(self._tickets)
        self._say(server, Spawn(seat.ticket, source), seat.theirs)
        return seat

    def _seat(self, server: VersionServer, attempt: Attempt, seat: Seat) -> None:
        attempt.server = server.number
        server.attempts[seat.ticket] = attempt
        attempt.sit(seat)
        self._events.opened(attempt)

    def _say(self, server: VersionServer, message: ToServer, fds: tuple[int, ...] = ()) -> None:
        if server.closed:
            for fd in fds:
                os.close(fd)
            return
        waiting = bool(server.outbox)
        # A peer that is gone is seen by reading: what it said last must be heard first.
        server.outbox.send(server.sock, encode(message), fds)
        if bool(server.outbox) != waiting:
            self._loop.change(server.sock.fileno(), READABLE | (WRITABLE if server.outbox else 0))

    def _server_ready(self, server: VersionServer, events: int) -> None:
        if events & WRITABLE:
            server.outbox.flush(server.sock)
            if not server.outbox:
                self._loop.change(server.sock.fileno(), READABLE)
        for _ in range(PACKETS_PER_TURN_MAX):
            try:
                data = server.sock.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._hung_up(server)
                return
            self._take(server, decode_from_server(data))

    def _take(self, server: VersionServer, message: FromServer) -> None:
        match message:
            case Exited():
                if (attempt := self._done(server, message.ticket)) is not None:
                    self._events.exited(attempt, message)
            case SpawnFailed():
                if (attempt := self._done(server, message.ticket)) is not None:
                    self._events.not_forked(attempt, message.reason)
            case Ready():
                self._imported(server, threads=message.threads)
            case Broken():
                server.broken = message
                self._not_imported(server, _broken_reason(server, message), message.error)
            case ServerExited():
                if (ended := self._servers.get(message.number)) is not None:
                    self._server_exited(ended, message.status)

    def _done(self, server: VersionServer, ticket: int) -> Attempt | None:
        if server.spare is not None and server.spare.ticket == ticket:
            self._drop_spare(server)
        attempt = server.attempts.pop(ticket, None)
        if not server.attempts:
            server.idle_since = self._clock.monotonic()
        return attempt

    def _imported(self, server: VersionServer, *, threads: bool) -> None:
        if server.source is None:
            self._false_starts = 0
            return
        queue, server.queue = server.queue, []
        if not threads:
            server.ready = True
            for attempt in queue:
                self._spawn(server, attempt, None)
            return
        self._threaded.add((server.source.file, server.source.sha))
        self._by_source.pop((server.source.file, server.source.sha), None)
        for attempt in queue:
            self.fork(attempt, server.source)

    def _import_overdue(self, server: VersionServer) -> None:
        if server.ready or server.closed or server.number not in self._servers:
            return
        assert server.source is not None
        reason = (
            f"importing {server.source.file} took longer than {self._import_seconds:g} s."
            " Move slow work from the top of the file into a task."
        )
        self._not_imported(server, reason, None)
        if self._base is not None:
            self._say(self._base, KillServer(server.number))

    def _not_imported(self, server: VersionServer, reason: str, error: dict[str, Any] | None) -> None:
        if server.source is not None:
            self._by_source.pop((server.source.file, server.source.sha), None)
        queue, server.queue = server.queue, []
        for attempt in queue:
            self._events.not_imported(attempt, reason, error)

    def _server_exited(self, server: VersionServer, status: int) -> None:
        """Settle a version server that is dead; all below it is gone too."""
        if server.queue:
            assert server.source is not None
            reason = f"importing {server.source.file} ended its process: {_death(status)}"
            self._not_imported(server, reason, None)
        else:
            # What it said before it died lies in the socket still.
            self._server_ready(server, READABLE)
        self._forget(server)
        self._lose(server, f"its fork server ended ({_death(status)})")

    def _lose(self, server: VersionServer, reason: str) -> None:
        lost, server.attempts = list(server.attempts.values()), {}
        for attempt in lost:
            self._events.server_lost(attempt, reason)

    def _hung_up(self, server: VersionServer) -> None:
        if server.number == 0:
            self._base_lost(server)
        else:
            self._drop(server)  # the base server will tell how it ended

    def _retire(self, server: VersionServer) -> None:
        """Hang up; the server ends with all it has forked."""
        self._drop(server)
        self._forget(server)

    def _drop(self, server: VersionServer) -> None:
        self._drop_spare(server)
        if not server.closed:
            server.closed = True
            server.outbox.drop()
            self._loop.forget(server.sock.fileno())
            server.sock.close()

    def _drop_spare(self, server: VersionServer) -> None:
        if server.spare is not None:
            server.spare.close()
            server.spare = None

    def _forget(self, server: VersionServer) -> None:
        self._drop(server)
        self._servers.pop(server.number, None)
        if server.source is not None:
            identity = (server.source.file, server.source.sha)
            if self._by_source.get(identity) is server:
                del self._by_source[identity]

    # ---- the base server's end

    def _base_lost(self, base: VersionServer) -> None:
        """The base server died; its children follow by PR_SET_PDEATHSIG, their remains are ours to end."""
        self._drop(base)
        self._base = None
        if self._closing:
            return
        self._false_starts += 1
        if self._false_starts >= FALSE_STARTS_MAX:
            logger.error("The fork server cannot start; the worker ends. Its errors stand above.")
            self.hopeless = True
            return
        logger.error("The base fork server ended; it is started again")
        for server in self._servers.values():
            self._drop(server)
        self._wait_for_remains(self._clock.monotonic() + GONE_SECONDS)

    def _wait_for_remains(self, until: float) -> None:
        if self._kill_remains() and self._clock.monotonic() < until:
            self._loop.call_in(GONE_STEP_SECONDS, lambda: self._wait_for_remains(until))
            return
        status = self._process.wait() if self._process is not None else 0
        reason = f"its fork server ended ({_death(-status if status < 0 else status << 8)})"
        servers, self._servers = list(self._servers.values()), {}
        self._by_source.clear()
        self._process = None
        homeless = [attempt for server in servers for attempt in server.queue]
        for server in servers:
            self._lose(server, reason)
        self._loop.call_in(BASE_RESTART_SECONDS, lambda: self._restart(homeless))

    def _restart(self, attempts: Iterable[Attempt]) -> None:
        if not self._closing:
            self.start()
            for attempt in attempts:
                assert attempt.source is not None
                self.fork(attempt, attempt.source)

    def _kill_remains(self) -> bool:
        """SIGKILL and reap all children; return whether any is left."""
        process = self._process
        for pid in processes.children_of(os.getpid()):
            processes.kill_tree(pid)
            if process is None or pid != process.pid:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    continue
        if process is not None:
            process.poll()
        return bool(processes.children_of(os.getpid()))


def _broken_reason(server: VersionServer, message: Broken) -> str:
    assert server.source is not None
    kind, text = message.error.get("type"), message.error.get("message")
    return f"{server.source.file} cannot be imported: {kind}: {text}"


def _death(status: int) -> str:
    if status < 0:
        return "it could not be started"
    return describe_death(status)[0].removesuffix(" before it reported")
