"""The executor of one machine: carries messages between the scheduler and workers on its unix socket."""

from __future__ import annotations

import logging
import os
import select
import socket
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tradewind.executors.local_workers import PATIENCE_SECONDS, Channel, WorkerStarter, WorkerState
from tradewind.ports.clock import Clock
from tradewind.ports.executor import (
    ApiCall,
    Capacity,
    CapacityChanged,
    ExecutorSignal,
    Gone,
    Launched,
)
from tradewind.ports.runtime_api import Launch
from tradewind.runtime import processes
from tradewind.runtime.endpoints import listen
from tradewind.runtime.frames import FrameError, frame, read_frames
from tradewind.runtime.supervisor.options import WorkerOptions
from tradewind.runtime.wire import (
    WIRE_SCHEMA,
    AttemptKey,
    Call,
    Cancel,
    Dropped,
    FromExecutor,
    FromWorker,
    Hello,
    Launches,
    Received,
    Refused,
    Reply,
    Stop,
    decode_from_worker,
    encode,
)

EVENTS_MAX = 256
STOP_SECONDS = 12.0  # a worker that is told to end: 5 s of grace for its attempts, 5 s to kill them, and room

logger = logging.getLogger(__name__)


class LocalExecutor:
    """Carries launches to the workers of this machine.

    Workers live in sessions of their own and survive this process; they come back to its successor. A launch
    that no worker can take now is kept; one that is dispatched twice is sent once. With ``spawn_worker`` a
    worker with ``options`` is started whenever none is there. ``filenos`` is one descriptor that never changes.
    """

    def __init__(
        self,
        options: WorkerOptions,
        *,
        clock: Clock,
        environment: Mapping[str, str],
        spawn_worker: bool = True,
        name: str = "local",
    ) -> None:
        self.name = name
        self._options = options
        self._clock = clock
        self._starter = WorkerStarter(options, clock, environment) if spawn_worker else None
        self._epoll = select.epoll()
        self._listener: socket.socket | None = None
        self._numbers = 0
        self._channels: dict[int, Channel] = {}  # by number
        self._by_fd: dict[int, Channel] = {}
        self._workers: dict[str, WorkerState] = {}  # by incarnation
        self._watched: dict[int, WorkerState] = {}  # by pidfd
        self._kept: dict[AttemptKey, Launch] = {}  # until a worker can take them
        self._signals: list[ExecutorSignal] = []
        self._outgoing: dict[int, list[bytes]] = {}

    # ---- Executor

    def start(self) -> None:
        if self._listener is not None:
            return  # a leader whose first reads failed starts again
        if self._epoll.closed:
            self._epoll = select.epoll()  # it led before, and was stopped when it lost the term
        self._listener = listen(self._options.socket_path)
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        if self._starter is not None:
            self._starter.ensure()

    def capacity(self) -> Capacity:
        present = [worker for worker in self._workers.values() if worker.main is not None]
        slots = sum(worker.hello.slots for worker in present)
        if slots:
            return Capacity(slots=slots, workers=len(present))
        if present:
            return Capacity(slots=0, workers=len(present), detail="every worker is being stopped")
        problem = self._starter.problem if self._starter is not None else ""
        return Capacity(
            slots=0,
            workers=0,
            detail=f"no worker is connected to executor {self.name!r}" + (problem and f": {problem}"),
        )

    def dispatch(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            key = (launch.instance_id, launch.token)
            if key not in self._kept and not any(key in worker.held for worker in self._workers.values()):
                self._kept[key] = launch
        self._send_kept()

    def cancel(self, attempts: Sequence[tuple[int, int]], grace_seconds: float) -> None:
        wanted = set(attempts)
        for key in wanted & self._kept.keys():
            del self._kept[key]
        for worker in self._workers.values():
            here = tuple(wanted & worker.held.keys())
            if here and worker.main is not None:
                self._send(worker.main, Cancel(here, grace_seconds))

    def filenos(self) -> Iterable[int]:
        return (self._epoll.fileno(),)

    def poll(self) -> list[ExecutorSignal]:
        for fd, events in self._epoll.poll(0, EVENTS_MAX):
            if self._listener is not None and fd == self._listener.fileno():
                self._accept()
            elif fd in self._by_fd:
                self._channel_ready(self._by_fd[fd], events)
            elif fd in self._watched:
                self._worker_died(fd)
        self._bury()
        if self._starter is not None and not any(
            worker.main is not None for worker in self._workers.values()
        ):
            self._starter.ensure()
        signals, self._signals = self._signals, []
        # Heartbeats first: a lease must not wait behind a batch of reports.
        signals.sort(key=lambda s: not (isinstance(s, ApiCall) and bool(s.beats)))
        return signals

    def reply(self, channel: int, sequence: int, payload: bytes) -> None:
        target = self._channels.get(channel)
        if target is None:
            return
        if target.worker is not None:
            for key in target.reported.pop(sequence, ()):
                target.worker.forget(key)
        self._send(target, Reply(sequence, payload))

    def stop(self, *, kill_workers: bool) -> None:
        if kill_workers:
            for worker in self._workers.values():
                if worker.main is not None:
                    self._send(worker.main, Stop(0.0))
        for channel in list(self._channels.values()):
            self._close_channel(channel)
        if self._listener is not None:
            self._epoll.unregister(self._listener.fileno())
            self._listener.close()
            self._listener = None
        if kill_workers:
            self._await_end()
        for worker in self._workers.values():
            worker.close()
        for known in (self._workers, self._watched, self._kept, self._signals):
            known.clear()  # what was not handed over is found in the rows by whoever leads next
        self._epoll.close()
        if self._starter is not None:
            self._starter.reap()

    # ---- launches

    def _send_kept(self) -> None:
        """Hand kept launches to connected workers: to one that has the file warm, else to the freest."""
        batches: dict[str, list[Launch]] = {}
        for key, launch in list(self._kept.items()):
            worker = self._choose(launch)
            if worker is None:
                break
            del self._kept[key]
            worker.held[key] = launch
            worker.versions.add(launch.source_sha)
            batches.setdefault(worker.hello.incarnation, []).append(launch)
        for incarnation, launches in batches.items():
            channel = self._workers[incarnation].main
            assert channel is not None
            self._send(channel, Launches(tuple(launches)))

    def _choose(self, launch: Launch) -> WorkerState | None:
        present = [w for w in self._workers.values() if w.main is not None and w.hello.slots > 0]
        if len(present) <= 1:
            return present[0] if present else None
        return max(present, key=lambda w: (w.free > 0, launch.source_sha in w.versions, w.free))

    # ---- connections

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setblocking(False)
            self._numbers += 1
            channel = Channel(self._numbers, sock)
            self._channels[channel.number] = channel
            self._by_fd[sock.fileno()] = channel
            self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _channel_ready(self, channel: Channel, events: int) -> None:
        if events & select.EPOLLOUT:
            channel.outbox.flush(channel.sock)
            if not channel.outbox:
                self._epoll.modify(channel.sock.fileno(), select.EPOLLIN)
        try:
            frames, gone = read_frames(channel.sock, channel.reader)
            for payload in frames:
                self._take(channel, decode_from_worker(payload))
        except (FrameError, msgspec.DecodeError):
            logger.exception("A worker said something that is no message; its connection is closed")
            gone = True
        if gone:
            self._close_channel(channel)

    def _take(self, channel: Channel, message: FromWorker) -> None:
        match message:
            case Call():
                self._called(channel, message)
            case Received():
                self._signals.extend(Launched(instance_id=key[0], token=key[1]) for key in message.attempts)
            case Dropped():
                if channel.worker is not None:
                    for key in message.attempts:
                        channel.worker.forget(key)
            case Hello():
                self._hello(channel, message)

    def _called(self, channel: Channel, call: Call) -> None:
        if channel.worker is None:
            return
        channel.worker.claimed.update((claim.instance_id, claim.token) for claim in call.claims)
        if call.reports:
            channel.reported[call.sequence] = tuple((r.instance_id, r.token) for r in call.reports)
        self._signals.append(
            ApiCall(
                channel=channel.number,
                sequence=call.sequence,
                claims=call.claims,
                beats=call.beats,
                reports=call.reports,
                data=call.data,
                worker=channel.worker.hello.worker,
            )
        )

    def _hello(self, channel: Channel, hello: Hello) -> None:
        if hello.schema != WIRE_SCHEMA:
            self._send(
                channel,
                Refused(f"it speaks schema {hello.schema}, this scheduler {WIRE_SCHEMA}; start it anew"),
            )
            return
        worker = self._workers.get(hello.incarnation)
        if worker is None:
            worker = self._workers[hello.incarnation] = WorkerState(hello)
        worker.hello = hello
        channel.role = hello.role
        channel.worker = worker
        self._watch_processes(worker)
        if hello.role == "main":
            self._main_connected(worker, channel)

    def _main_connected(self, worker: WorkerState, channel: Channel) -> None:
        worker.main = channel
        if self._starter is not None:
            self._starter.came()
        live = set(worker.hello.live)
        for key, launch in list(worker.held.items()):
            if key not in live and launch is not None:
                del worker.held[key]  # it never arrived there: the claim decides
                self._kept[key] = launch
        for key in live:
            worker.held.setdefault(key, None)
            self._kept.pop(key, None)
        self._signals.append(CapacityChanged(detail=f"worker {worker.hello.worker!r} is connected"))
        self._send_kept()

    def _watch_processes(self, worker: WorkerState) -> None:
        for pid in (worker.hello.pid, *worker.hello.servers):
            if pid not in worker.pidfds:
                try:
                    fd = os.pidfd_open(pid)
                except OSError:
                    if pid == worker.hello.pid and processes.started_ticks(pid) is None:
                        worker.mourned = True  # it said hello and died
                    continue
                worker.pidfds[pid] = fd
                self._watched[fd] = worker
                self._epoll.register(fd, select.EPOLLIN)

    def _close_channel(self, channel: Channel) -> None:
        if self._channels.pop(channel.number, None) is None:
            return
        fd = channel.sock.fileno()
        del self._by_fd[fd]
        self._epoll.unregister(fd)
        channel.sock.close()
        worker = channel.worker
        if worker is not None and worker.main is channel:
            worker.main = None
            self._signals.append(CapacityChanged(detail=f"worker {worker.hello.worker!r} is not connected"))

    def _send(self, channel: Channel, message: FromExecutor) -> None:
        waiting = bool(channel.outbox)
        alive = channel.outbox.send(channel.sock, frame(encode(message)))
        if alive and bool(channel.outbox) != waiting:
            mask = select.EPOLLIN | (select.EPOLLOUT if channel.outbox else 0)
            self._epoll.modify(channel.sock.fileno(), mask)

    # ---- death of workers

    def _worker_died(self, pidfd: int) -> None:
        worker = self._watched.pop(pidfd)
        self._epoll.unregister(pidfd)
        for pid, fd in list(worker.pidfds.items()):
            if fd == pidfd:
                os.close(fd)
                del worker.pidfds[pid]
                if pid == worker.hello.pid:
                    worker.mourned = True
                    worker.patience_until = self._clock.monotonic() + PATIENCE_SECONDS

    def _bury(self) -> None:
        """Tell of attempts whose worker is verifiably dead; the others' fate is left to their leases."""
        now = self._clock.monotonic()
        for incarnation, worker in list(self._workers.items()):
            if worker.main is not None or not worker.is_gone(now):
                continue
            for fd in worker.pidfds.values():
                self._watched.pop(fd, None)
                self._epoll.unregister(fd)
            worker.close()
            del self._workers[incarnation]
            reason = f"worker {worker.hello.worker!r} (process {worker.hello.pid}) ended"
            for key, launch in worker.held.items():
                if launch is not None and key not in worker.claimed:
                    self._kept[key] = launch  # it never got as far as that: another worker may have it
                else:
                    self._signals.append(Gone(instance_id=key[0], token=key[1], reason=reason))
            self._signals.append(CapacityChanged(detail=reason))
            self._send_kept()

    def _await_end(self) -> None:
        """Wait until all workers are gone; SIGKILL those that take too long."""
        poller = select.poll()
        until = self._clock.monotonic() + STOP_SECONDS
        for worker in self._workers.values():
            for fd in worker.pidfds.values():
                poller.register(fd, select.POLLIN)
        waiting = sum(len(worker.pidfds) for worker in self._workers.values())
        killed = False
        while waiting:
            ready = poller.poll(max(0.0, until - self._clock.monotonic()) * 1000)
            for fd, _ in ready:
                poller.unregister(fd)
                waiting -= 1
            if not ready:
                if killed:
                    return
                killed = True
                until = self._clock.monotonic() + STOP_SECONDS
                for worker in self._workers.values():
                    worker.end()
        for worker in self._workers.values():
            worker.mourned = True
            worker.is_gone(until)
        if self._starter is not None:
            self._starter.end()
