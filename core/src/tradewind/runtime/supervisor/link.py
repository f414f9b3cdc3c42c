"""The worker's two connections to its executor: calls, their answers, and coming back after a loss."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from tradewind.ports.runtime_api import Beat, ClaimRequest, DataRequest, OutcomeReport
from tradewind.runtime.endpoints import connect, identity
from tradewind.runtime.frames import FrameError, FrameReader, Outbox, frame, read_frames
from tradewind.runtime.supervisor.loop import READABLE, WRITABLE, Loop
from tradewind.runtime.wire import (
    Call,
    Cancel,
    Dropped,
    FromExecutor,
    Hello,
    Launches,
    Received,
    Refused,
    Replies,
    Reply,
    Stop,
    decode_from_executor,
    decode_replies,
    encode,
)

RECONNECT_SECONDS_MIN = 0.1
RECONNECT_SECONDS_MAX = 2.0

logger = logging.getLogger(__name__)


class LinkEvents(Protocol):
    """Who is told what the executor says."""

    def hello(self, role: str) -> Hello: ...

    def launched(self, message: Launches) -> None: ...

    def cancelled(self, message: Cancel) -> None: ...

    def stopped(self, message: Stop) -> None: ...

    def refused(self, reason: str) -> None: ...

    def answered(self, replies: Replies) -> None: ...

    def connected(self) -> None: ...


class _Connection:
    """One unix socket connection that comes back for ever."""

    def __init__(self, loop: Loop, path: Path, role: str, link: ExecutorLink) -> None:
        self._loop = loop
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._role = role
        self._link = link
        self._sock: socket.socket | None = None
        self._reader = FrameReader()
        self._outbox = Outbox()
        self._delay = RECONNECT_SECONDS_MIN
        self._closed = False

    @property
    def up(self) -> bool:
        return self._sock is not None

    def open(self) -> None:
        """Connect now, or try again later."""
        if self._closed:
            return
        self._identity = identity(self._path)
        try:
            sock = connect(self._path)
        except OSError:
            self._loop.call_in(self._delay, self.open)
            self._delay = min(self._delay * 2, RECONNECT_SECONDS_MAX)
            return
        self._sock = sock
        self._reader = FrameReader()
        self._outbox = Outbox()
        self._loop.watch(sock.fileno(), self._ready)
        self._link.opened(self._role)

    def send(self, data: bytes) -> None:
        """Send when connected; otherwise forget it: what must arrive is sent again by the link."""
        if self._sock is None:
            return
        waiting = bool(self._outbox)
        alive = self._outbox.send(self._sock, data)
        if not alive:
            self._lose()
        elif bool(self._outbox) != waiting:
            self._loop.change(self._sock.fileno(), READABLE | (WRITABLE if self._outbox else 0))

    def follow(self) -> None:
        """Leave an executor whose socket was replaced by a newer one's: it leads no more."""
        if self._sock is not None and identity(self._path) not in {None, self._identity}:
            self._lose()

    def close(self) -> None:
        self._closed = True
        if self._sock is not None:
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _ready(self, events: int) -> None:
        assert self._sock is not None
        if events & WRITABLE:
            if not self._outbox.flush(self._sock):
                self._lose()
                return
            if not self._outbox:
                self._loop.change(self._sock.fileno(), READABLE)
        try:
            frames, gone = read_frames(self._sock, self._reader)
            for payload in frames:
                self._take(decode_from_executor(payload))
        except (FrameError, msgspec.DecodeError):
            logger.exception("The executor said something that is no message; connecting anew")
            gone = True
        if gone:
            self._lose()

    def _take(self, message: FromExecutor) -> None:
        self._delay = RECONNECT_SECONDS_MIN
        try:
            self._link.take(message)
        except Exception:  # the daemon loop: what one peer said must not end it
            logger.exception("The worker goes on after an error over %s", type(message).__name__)

    def _lose(self) -> None:
        if self._sock is None:
            return
        self._loop.forget(self._sock.fileno())
        self._sock.close()
        self._sock = None
        if not self._closed:
            self._loop.call_in(self._delay, self.open)
            self._delay = min(self._delay * 2, RECONNECT_SECONDS_MAX)


class ExecutorLink:
    """Sends questions once per loop turn, and again until they are answered: on a new connection, and now and then."""

    def __init__(self, loop: Loop, path: Path, events: LinkEvents) -> None:
        self._events = events
        self._main = _Connection(loop, path, "main", self)
        self._beat = _Connection(loop, path, "beat", self)
        self._sequences = itertools.count(1)
        self._unanswered: dict[int, tuple[bytes, Callable[[Replies], None]]] = {}
        self._overdue: set[int] = set()  # unanswered for a heartbeat already
        self._claims: list[ClaimRequest] = []
        self._reports: list[OutcomeReport] = []
        self._received: list[tuple[int, int]] = []
        self._dropped: list[tuple[int, int]] = []

    def open(self) -> None:
        """Begin to connect."""
        self._main.open()
        self._beat.open()

    @property
    def up(self) -> bool:
        """Whether the executor can be asked now."""
        return self._main.up

    def claim(self, request: ClaimRequest) -> None:
        """Ask for an attempt at the end of this turn."""
        self._claims.append(request)

    def report(self, report: OutcomeReport) -> None:
        """Tell an outcome at the end of this turn; it is in the spool by then."""
        self._reports.append(report)

    def received(self, key: tuple[int, int]) -> None:
        """Say that a launch is held."""
        self._received.append(key)

    def dropped(self, key: tuple[int, int]) -> None:
        """Say that a launch is held no more."""
        self._dropped.append(key)

    def ask(self, request: DataRequest, answered: Callable[[Replies], None]) -> None:
        """Ask a task's question now."""
        self._main.send(self._asking(Call(next(self._sequences), data=request), answered))

    def beat(self, beats: tuple[Beat, ...], answered: Callable[[Replies], None]) -> None:
        """Send heartbeats on their own connection; lost ones are not sent again."""
        sequence = next(self._sequences)
        self._beats_answered = (sequence, answered)
        self._beat.send(frame(encode(Call(sequence, beats=beats))))

    def follow(self) -> None:
        """Move to a newer executor, if there is one."""
        self._main.follow()
        self._beat.follow()

    def ask_again(self) -> None:
        """Repeat what was not answered since the last call of this; to be called at each heartbeat."""
        for sequence in self._overdue & self._unanswered.keys():
            self._main.send(self._unanswered[sequence][0])
        self._overdue = set(self._unanswered)

    def introduce(self) -> None:
        """Say hello again: the worker's processes have changed."""
        if self._main.up:
            self._main.send(frame(encode(self._events.hello("main"))))

    def flush(self) -> None:
        """Send what has gathered in this turn."""
        parts = []  # in one write: each wakes the scheduler for a round of its own
        if self._received:
            parts.append(frame(encode(Received(tuple(self._received)))))
            self._received.clear()
        if self._claims or self._reports:
            call = Call(next(self._sequences), claims=tuple(self._claims), reports=tuple(self._reports))
            self._claims.clear()
            self._reports.clear()
            parts.append(self._asking(call, self._events.answered))
        if self._dropped:
            parts.append(frame(encode(Dropped(tuple(self._dropped)))))
            self._dropped.clear()
        if parts:
            self._main.send(b"".join(parts))

    @property
    def idle(self) -> bool:
        """Whether every question has been answered."""
        return not (self._unanswered or self._claims or self._reports)

    def close(self) -> None:
        """Hang up."""
        self._main.close()
        self._beat.close()

    def opened(self, role: str) -> None:
        """Introduce this worker on a new connection; ask again what was not answered on the old one."""
        connection = self._main if role == "main" else self._beat
        connection.send(frame(encode(self._events.hello(role))))
        if role == "main":
            for data, _ in list(self._unanswered.values()):
                connection.send(data)
        else:
            self._events.connected()

    def take(self, message: FromExecutor) -> None:
        """Pass on what the executor said."""
        match message:
            case Reply():
                self._reply(message)
            case Launches():
                self._events.launched(message)
            case Cancel():
                self._events.cancelled(message)
            case Stop():
                self._events.stopped(message)
            case Refused():
                self._events.refused(message.reason)

    def _reply(self, message: Reply) -> None:
        replies = decode_replies(message.payload)
        sequence, answered = self._beats_answered
        if message.sequence == sequence:
            answered(replies)
            return
        waiting = self._unanswered.pop(message.sequence, None)
        if waiting is not None:
            waiting[1](replies)

    def _asking(self, call: Call, answered: Callable[[Replies], None]) -> bytes:
        """Return what is to be sent; it is sent again on every new connection until it is answered."""
        data = frame(encode(call))
        self._unanswered[call.sequence] = (data, answered)
        return data

    _beats_answered: tuple[int, Callable[[Replies], None]] = (0, lambda _replies: None)
