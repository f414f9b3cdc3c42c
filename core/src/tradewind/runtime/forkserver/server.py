"""The loop of a fork server: takes orders from the supervisor, forks, reaps, tidies up."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import time
from typing import Any

import msgspec
import setproctitle

from tradewind.ports.clock import Clock
from tradewind.runtime import processes
from tradewind.runtime.forkserver import ending
from tradewind.runtime.forkserver.attempt import OOM_SCORE, SupervisorLink, run_forked
from tradewind.runtime.forkserver.engine import Engine
from tradewind.runtime.forkserver.load import describe_error
from tradewind.runtime.forkserver.messages import (
    Broken,
    DagSource,
    Exited,
    FromServer,
    KillServer,
    KillTree,
    Ready,
    Serve,
    ServerExited,
    Signal,
    Spawn,
    SpawnFailed,
    Trust,
    decode_to_server,
    encode,
    receive_packet,
)

ORDERS_PER_TURN_MAX = 16  # then the dead are reaped, so that their outcomes need not wait
CHILDREN_BYTES = 64 * 1024  # what one look at the list of children reads; the next look sees the rest
TIDY_SECONDS = 5.0  # how long processes that were killed may take to go
TIDY_STEP_SECONDS = 0.005


class ForkServer:
    """One server process; ``loaded`` is its imported DAG file, None in the base server."""

    def __init__(self, sock: socket.socket, engine: Engine, clock: Clock, loaded: Any = None) -> None:
        self._sock = sock
        self._engine = engine
        self._clock = clock
        self._loaded = loaded
        self._pid = os.getpid()
        self._link = SupervisorLink()  # made once, used in the forks
        self._tickets: dict[int, int] = {}  # pid -> ticket
        self._pid_of: dict[int, int] = {}  # ticket -> pid
        self._servers: dict[int, int] = {}  # pid -> number, in the base server
        self._ended: list[Exited | ServerExited] = []  # to be told when what they left behind is gone
        self._tidy_until = 0.0
        self._leftovers = 0
        self._trust_until: float | None = None
        # One thread: this file lists all children. Read again and again, so it stays open.
        self._children = -1
        if processes.HAS_CHILDREN_FILES:
            self._children = os.open(f"/proc/self/task/{self._pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        self._wake, wake_end = socket.socketpair()
        self._wake.setblocking(False)
        wake_end.setblocking(False)
        self._wake_end = wake_end

    def run(self) -> None:
        """Serve until the supervisor hangs up; nothing below is alive when this returns."""
        signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
        signal.set_wakeup_fd(self._wake_end.fileno(), warn_on_full_buffer=False)
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        alive = True
        while alive:
            for fd, _ in poller.poll(self._timeout_ms()):
                if fd == self._wake.fileno():
                    with contextlib.suppress(BlockingIOError):
                        self._wake.recv(4096)
                    self._reap()
                else:
                    alive = self._take_orders()
            if self._ended:
                self._tidy()
            if self._trust_until is not None and time.monotonic() > self._trust_until:
                self._trust_until = None
                self._kill_everything()
        self._end_all()

    def _timeout_ms(self) -> float | None:
        if self._ended:
            return TIDY_STEP_SECONDS * 1000
        if self._trust_until is not None:
            return max(0.0, (self._trust_until - time.monotonic()) * 1000 + 1)
        return None

    def _take_orders(self) -> bool:
        """Carry out what has been ordered; returns False when the supervisor hung up."""
        for _ in range(ORDERS_PER_TURN_MAX):
            try:
                data, fds = receive_packet(self._sock)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self._carry_out(data, fds)
        return True

    def _carry_out(self, data: bytes, fds: list[int]) -> None:
        order = decode_to_server(data)
        match order:
            case Spawn():
                self._spawn(order, (fds[0], fds[1]))
            case Signal():
                pid = self._pid_of.get(order.ticket)
                if pid is not None:
                    processes.send_signal(pid, order.signum)
            case KillTree():
                pid = self._pid_of.get(order.ticket)
                if pid is not None:
                    processes.kill_tree(pid)
            case Serve():
                self._serve(order, fds[0])
            case KillServer():
                for pid in [pid for pid, number in self._servers.items() if number == order.number]:
                    processes.kill_tree(pid)
            case Trust():
                self._trust_until = order.until

    def _spawn(self, spawn: Spawn, fds: tuple[int, int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._say(SpawnFailed(spawn.ticket, f"the system refused another process: {error.strerror}"))
            pid = -1
        if pid == 0:
            self._leave()
            if spawn.source is not None:
                raise_oom_score()
            run_forked(spawn, fds, self._pid, self._link, self._engine, self._loaded, self._clock)
        for fd in fds:
            os.close(fd)
        if pid > 0:
            self._tickets[pid] = spawn.ticket
            self._pid_of[spawn.ticket] = pid

    def _serve(self, serve: Serve, fd: int) -> None:
        try:
            pid = os.fork()
        except OSError:
            os.close(fd)
            self._say(ServerExited(serve.number, -1))
            return
        if pid == 0:
            self._leave()
            code = 1
            try:
                processes.become_subreaper()
                processes.die_with_parent(self._pid)
                serve_version(socket.socket(fileno=fd), serve.source, self._engine, self._clock)
                code = 0
            finally:
                os._exit(code)
        os.close(fd)
        self._servers[pid] = serve.number

    def _leave(self) -> None:
        """Close, in a forked child, what belongs to this server."""
        self._sock.close()
        self._wake.close()
        signal.set_wakeup_fd(-1)
        self._wake_end.close()
        if self._children >= 0:
            os.close(self._children)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ticket = self._tickets.pop(pid, None)
            if ticket is not None:
                del self._pid_of[ticket]
                self._ended.append(Exited(ticket, pid, status, usage.ru_maxrss * 1024))
            elif pid in self._servers:
                self._ended.append(ServerExited(self._servers.pop(pid), status))
            else:
                continue
            self._tidy_until = time.monotonic() + TIDY_SECONDS

    def _tidy(self) -> None:
        """Report the dead once what they left behind is gone too."""
        strangers = self._sweep()
        self._leftovers = max(self._leftovers, strangers)
        if strangers and time.monotonic() < self._tidy_until:
            return
        for ended in self._ended:
            if isinstance(ended, Exited) and self._leftovers:
                self._say(msgspec.structs.replace(ended, leftovers=self._leftovers, survivors=strangers))
            else:
                self._say(ended)
        self._ended.clear()
        self._leftovers = 0

    def _sweep(self) -> int:
        """Kill children nobody here knows: what dead attempts left behind. Return how many there were."""
        if self._children >= 0:
            children = [int(pid) for pid in os.pread(self._children, CHILDREN_BYTES, 0).split()]
        else:
            children = processes.children_by_parent(self._pid)
        strangers = [pid for pid in children if pid not in self._tickets and pid not in self._servers]
        for pid in strangers:
            processes.kill_tree(pid)
        return len(strangers)

    def _kill_everything(self) -> None:
        for pid in processes.children_of(self._pid):
            processes.kill_tree(pid)

    def _end_all(self) -> None:
        """Kill what is below, wait until it is gone: this process is the last one who can."""
        signal.set_wakeup_fd(-1)
        until = time.monotonic() + TIDY_SECONDS
        while time.monotonic() < until:
            self._kill_everything()
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            select.select([], [], [], TIDY_STEP_SECONDS)

    def _say(self, message: FromServer) -> None:
        # A supervisor that is gone shows as an end of file in the next round.
        with contextlib.suppress(OSError):
            self._sock.send(encode(message))


def serve_version(sock: socket.socket, source: DagSource, engine: Engine, clock: Clock) -> None:
    """Be a version server: import the file, say how that went, fork attempts of it."""
    setproctitle.setproctitle(f"tradewind dag server {source.file} {source.sha[:8]}")
    raise_oom_score()
    try:
        loaded = engine.load(source)
    except BaseException as error:  # noqa: BLE001 - whatever a DAG file raises belongs to that file
        sock.send(encode(Broken(describe_error(error, source.folder))))
        return
    threads = len(os.listdir("/proc/self/task")) > 1
    sock.send(encode(Ready(threads)))
    if threads:
        return
    ending.note_loaded()
    engine.arrange(loaded, clock)
    ending.note_arranged()
    freeze()
    ForkServer(sock, engine, clock, loaded).run()


def freeze() -> None:
    """Put all objects out of the collector's sight: looking at them would copy their pages into every fork."""
    gc.collect()
    gc.freeze()
    gc.disable()


def raise_oom_score() -> None:
    """Let the kernel prefer this process and its children when memory runs out."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(OOM_SCORE))
