"""The two channels of each attempt: what it asks and says, and what it prints."""

from __future__ import annotations

import os
from typing import Protocol

import msgspec

from tradewind.ports.clock import Clock
from tradewind.runtime.forkserver.messages import Ask, Outcome, ToAttempt, decode_from_attempt, encode
from tradewind.runtime.frames import FrameError, frame, read_frames
from tradewind.runtime.logs.keys import log_key
from tradewind.runtime.logs.store import FileLogStore
from tradewind.runtime.logs.stream import AttemptLog
from tradewind.runtime.supervisor.attempts import Attempt
from tradewind.runtime.supervisor.loop import READABLE, WRITABLE, Loop

OUTPUT_BYTES = 64 * 1024  # what a pipe holds
OUTPUT_READS_PER_TURN_MAX = 16  # one that prints without end must not starve the others


class ChannelEvents(Protocol):
    """Who is told what attempts say."""

    def asked(self, attempt: Attempt, question: Ask) -> None: ...

    def spoke_last(self, attempt: Attempt, outcome: Outcome) -> None: ...

    def spoke_nonsense(self, attempt: Attempt, what: str) -> None: ...


class AttemptChannels:
    """Reads and writes them; logs are on disk at the end of the turn in which they came."""

    def __init__(self, loop: Loop, clock: Clock, store: FileLogStore, events: ChannelEvents) -> None:
        self._loop = loop
        self._clock = clock
        self._store = store
        self._events = events
        self._unflushed: set[Attempt] = set()

    def watch(self, attempt: Attempt) -> None:
        """Listen to an attempt whose channels have just been opened."""
        assert attempt.control is not None
        self._loop.watch(attempt.control.fileno(), lambda events: self._control_ready(attempt, events))
        self._loop.watch(attempt.output, lambda _events: self._output_ready(attempt))

    def send(self, attempt: Attempt, message: ToAttempt) -> None:
        """Say something to an attempt; one that is gone does not hear it."""
        if attempt.control is None:
            return
        waiting = bool(attempt.outbox)
        attempt.outbox.send(attempt.control, frame(encode(message)))
        if bool(attempt.outbox) != waiting:
            events = READABLE | (WRITABLE if attempt.outbox else 0)
            self._loop.change(attempt.control.fileno(), events)

    def log(self, attempt: Attempt) -> AttemptLog:
        """Return the attempt's log."""
        if attempt.log is None:
            launch = attempt.launch
            key = log_key(launch.dag_id, launch.run_id, launch.task_id, launch.map_index, launch.token)
            attempt.log = AttemptLog(self._store, key, self._clock)
        return attempt.log

    def note(self, attempt: Attempt, message: str, level: str = "INFO") -> None:
        """Write a line of the supervisor's own into the attempt's log."""
        self.log(attempt).system(message, level)
        self._unflushed.add(attempt)

    def hang_up(self, attempt: Attempt) -> None:
        """Close the control channel: an attempt that waits for its context ends."""
        if attempt.control is not None:
            self._loop.forget(attempt.control.fileno())
            attempt.control.close()
            attempt.control = None

    def drain(self, attempt: Attempt) -> None:
        """Read all that an attempt which is dead by now has said."""
        if attempt.control is not None:
            self._control_ready(attempt, READABLE)
        self._read_output(attempt, None)

    def close(self, attempt: Attempt) -> None:
        """Close everything of an attempt that is over."""
        self.hang_up(attempt)
        if attempt.output >= 0:
            self._loop.forget(attempt.output)
            os.close(attempt.output)
            attempt.output = -1
        if attempt.log is not None:
            attempt.log.close()
            attempt.log = None
        self._unflushed.discard(attempt)

    def flush(self) -> None:
        """Write what has gathered in this turn."""
        if self._unflushed:
            for attempt in self._unflushed:
                if attempt.log is not None:
                    attempt.log.flush()
            self._unflushed.clear()

    def _control_ready(self, attempt: Attempt, events: int) -> None:
        sock = attempt.control
        assert sock is not None
        if events & WRITABLE:
            attempt.outbox.flush(sock)
            if not attempt.outbox:
                self._loop.change(sock.fileno(), READABLE)
        try:
            frames, gone = read_frames(sock, attempt.reader)
            for payload in frames:
                self._take(attempt, payload)
        except (FrameError, msgspec.DecodeError) as error:
            self._events.spoke_nonsense(attempt, str(error))
            gone = True
        if gone and attempt.control is not None:
            self._loop.forget(sock.fileno())  # its exit is reported by its server; close() comes then

    def _take(self, attempt: Attempt, payload: bytes) -> None:
        message = decode_from_attempt(payload)
        if isinstance(message, Ask):
            self._events.asked(attempt, message)
        elif isinstance(message, Outcome):
            # All it printed before lies in the pipe: whoever hears of the outcome finds the whole log.
            self._read_output(attempt, None)
            if attempt.log is not None:
                attempt.log.flush()
            self._events.spoke_last(attempt, message)

    def _output_ready(self, attempt: Attempt) -> None:
        if self._read_output(attempt, OUTPUT_READS_PER_TURN_MAX):
            self._loop.forget(attempt.output)

    def _read_output(self, attempt: Attempt, reads_max: int | None) -> bool:
        """Read what was printed; return whether nobody can print any more."""
        if attempt.output < 0:
            return True
        reads = 0
        while reads_max is None or reads < reads_max:
            try:
                data = os.read(attempt.output, OUTPUT_BYTES)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError:
                return True
            if not data:
                return True
            self.log(attempt).feed(data)
            self._unflushed.add(attempt)
            reads += 1
        return False
