"""The process of one attempt, from its fork to its last word."""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

import setproctitle

from tradewind.errors import RuntimeApiError
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport, TaskContext
from tradewind.runtime import processes
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
from tradewind.runtime.frames import READ_BYTES, FrameReader, frame

OOM_SCORE = 200  # the kernel shall take an attempt before the supervisor or a database


class SupervisorLink:
    """The attempt's end of its control socket: one question at a time, from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._lock = _thread.allocate_lock()
        self._pid = os.getpid()

    def receive(self) -> Go | Answer | None:
        """Wait for the supervisor; None when it hung up."""
        while data := self._sock.recv(READ_BYTES):
            for payload in self._reader.feed(data):
                return decode_to_attempt(payload)
        return None

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
            self._sock.sendall(frame(encode(Ask(verb, arguments))))
            answer = self.receive()
        if not isinstance(answer, Answer):
            raise RuntimeApiError("The supervisor hung up: this attempt is no longer valid.")
        if answer.reply.error is not None:
            raise RuntimeApiError(answer.reply.error)
        return answer.reply.value

    def finish(self, report: OutcomeReport) -> None:
        """Say how it ended."""
        with self._lock:
            self._sock.sendall(frame(encode(Outcome(report))))


def run_forked(
    spawn: Spawn, fds: tuple[int, int], parent: int, engine: Engine, loaded: Any, clock: Clock
) -> NoReturn:
    """Be the attempt ``spawn`` in a process that has just been forked; never returns.

    ``loaded`` is the imported DAG file, unless ``spawn.source`` says to import it here.
    """
    code = 1
    try:
        link = _set_up(spawn, fds, parent)
        message = link.receive()
        if isinstance(message, Go):  # else the claim was refused: nothing of the user runs
            _run(message.context, spawn.source, link, engine, loaded, clock)
        code = 0
    except BaseException:  # noqa: BLE001 - the border of the process: the log is all that is left
        traceback.print_exc()
    finally:
        os._exit(code)


def _set_up(spawn: Spawn, fds: tuple[int, int], parent: int) -> SupervisorLink:
    os.setsid()
    processes.become_subreaper()
    processes.die_with_parent(parent)
    control, output = fds
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    os.environ[processes.ATTEMPT_VARIABLE] = f"{spawn.key[0]}:{spawn.key[1]}"
    setproctitle.setproctitle(spawn.title)
    gc.enable()
    return SupervisorLink(socket.socket(fileno=control))


def _run(
    context: TaskContext,
    source: DagSource | None,
    link: SupervisorLink,
    engine: Engine,
    loaded: Any,
    clock: Clock,
) -> None:
    started_at = clock.now()
    try:
        if source is not None:
            loaded = engine.load(source)
        report = engine.run(loaded, context, link, clock)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises is an outcome
        report = OutcomeReport(
            instance_id=context.instance_id,
            token=context.token,
            kind=OutcomeKind.ERROR,
            reason=f"{type(error).__qualname__}: {error}",
            error=describe_error(error, source.folder if source else ""),
        )
    _end_like_an_interpreter()
    link.finish(_complete(report, started_at, clock))


def _end_like_an_interpreter() -> None:
    """Do what the end of a program does: wait for threads, run exit handlers, flush."""
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        threading._shutdown()  # noqa: SLF001 - what the interpreter's own end calls
    atexit._run_exitfuncs()  # noqa: SLF001 - the same
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # a task may close or replace them


def _complete(report: OutcomeReport, started_at: Any, clock: Clock) -> OutcomeReport:
    import msgspec

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return msgspec.structs.replace(
        report,
        started_at=report.started_at or started_at,
        ended_at=report.ended_at or clock.now(),
        pid=os.getpid(),
        memory_max_bytes=usage * 1024,
    )
