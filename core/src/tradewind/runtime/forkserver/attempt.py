"""The process of one attempt, from its fork to its last word."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import gc
import os
import resource
import signal
import traceback
from typing import Any, NoReturn

import setproctitle

from tradewind.errors import RuntimeApiError
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime import processes
from tradewind.runtime.forkserver import ending, hooks
from tradewind.runtime.forkserver.engine import Engine
from tradewind.runtime.forkserver.load import describe_error
from tradewind.runtime.forkserver.messages import (
    Answer,
    Ask,
    DagSource,
    Go,
    Outcome,
    Spawn,
    decode_to_attempt,
    encode,
)
from tradewind.runtime.frames import HEADER_BYTES, frame, frame_end

SIGCHLD, SIG_DFL, SIG_UNBLOCK = int(signal.SIGCHLD), int(signal.SIG_DFL), int(signal.SIG_UNBLOCK)
BLOCKED_SIGNALS = tuple(map(int, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))  # in all fork servers
READ_BYTES = 16 * 1024  # the context of an attempt fits
ANSWER_READ_BYTES = 1024 * 1024
OOM_SCORE = 200  # the kernel shall take an attempt before the supervisor or a database


class SupervisorLink:
    """The attempt's end of its control socket: one question at a time, from any thread."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()

    def open(self, control: int) -> None:
        """Be this process' end of the descriptor ``control``."""
        self._control = control
        self._pid = os.getpid()

    def receive(self) -> Go | Answer | None:
        """Wait for the supervisor; None when it hung up."""
        # Plain reads of the descriptor: a socket object costs a fork twenty pages more.
        data = os.read(self._control, READ_BYTES)
        if not data:
            return None
        end = frame_end(data)
        if len(data) < end:
            parts, size = [data], len(data)
            while size < end:
                part = os.read(self._control, min(end - size, ANSWER_READ_BYTES))
                if not part:
                    return None
                parts.append(part)
                size += len(part)
            data = b"".join(parts)
        return decode_to_attempt(memoryview(data)[HEADER_BYTES:])

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Ask the runtime API and wait for its answer.

        Raises :class:`RuntimeApiError` when the answer is an error, or in a child process of the task: only
        the task's own process may ask.
        """
        if os.getpid() != self._pid:
            raise RuntimeApiError(
                "XComs, connections and variables can be asked for in the task's own process only."
                " Ask before you start a process, and hand it the value."
            )
        with self._lock:
            self._send(Ask(verb, arguments))
            answer = self.receive()
        if not isinstance(answer, Answer):
            raise RuntimeApiError("The supervisor hung up: this attempt is no longer valid.")
        if answer.reply.error is not None:
            raise RuntimeApiError(answer.reply.error)
        return answer.reply.value

    def finish(self, outcome: Outcome) -> None:
        """Say how it ended; a child of the task that came this far has nothing to say."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._send(outcome)

    def _send(self, message: Ask | Outcome) -> None:
        data = frame(encode(message))
        sent = os.write(self._control, data)
        while sent < len(data):
            sent += os.write(self._control, memoryview(data)[sent:])


def run_forked(
    spawn: Spawn,
    fds: tuple[int, int],
    parent: int,
    link: SupervisorLink,
    engine: Engine,
    loaded: Any,
    clock: Clock,
) -> NoReturn:
    """Be a process for an attempt, freshly forked: wait to be told which, run it; never return.

    ``loaded`` is the imported DAG file, unless ``spawn.source`` says to import it here.
    """
    code = 1
    try:
        _set_up(fds, parent)
        link.open(fds[0])
        message = link.receive()
        if isinstance(message, Go):  # else the claim was refused: nothing of the user runs
            _name(message)
            _run(message.context, spawn.source, link, engine, loaded, clock)
        code = 0
    except BaseException:  # noqa: BLE001 - the border of the process: the log is all that is left
        traceback.print_exc()
    finally:
        os._exit(code)


def _name(go: Go) -> None:
    """Take the attempt's name, in process lists and in the environment of all it will start."""
    os.environ[processes.ATTEMPT_VARIABLE] = f"{go.context.instance_id}:{go.context.token}"
    setproctitle.setproctitle(go.title)


def _set_up(fds: tuple[int, int], parent: int) -> None:
    os.setsid()
    processes.become_subreaper()
    processes.die_with_parent(parent)
    output = fds[1]
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    hooks.be_ordinary()
    # The C functions: the wrappers of the signal module make enums of everything, page by page.
    _signal.signal(SIGCHLD, SIG_DFL)
    _signal.pthread_sigmask(SIG_UNBLOCK, BLOCKED_SIGNALS)
    gc.freeze()  # what the server has made since its own: its count would start a collection right away
    gc.enable()


def _run(
    context: TaskContext,
    source: DagSource | None,
    link: SupervisorLink,
    engine: Engine,
    loaded: Any,
    clock: Clock,
) -> None:
    try:
        if source is not None:
            loaded = engine.load(source)
            ending.note_loaded()
            engine.arrange(loaded, clock)
            ending.note_arranged()
        report = engine.run(loaded, context, link, clock)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is an outcome
        report = OutcomeReport(
            instance_id=context.instance_id,
            token=context.token,
            kind=OutcomeKind.ERROR,
            reason=f"{type(error).__qualname__}: {error}",
            error=describe_error(error, source.folder if source else ""),
        )
    ending.end_like_an_interpreter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    link.finish(Outcome(report, os.getpid(), usage.ru_maxrss * 1024))
