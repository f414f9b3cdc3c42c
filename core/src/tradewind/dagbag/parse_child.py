"""The process that parses one DAG file: the only place of the DAG processor where user code runs.

It has limits of its own, but nothing depends on its good will: the server outside counts, waits and kills.
"""

from __future__ import annotations

import faulthandler
import gc
import math
import os
import resource
import signal
import struct
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from tradewind.authoring.compile import compile_file
from tradewind.authoring.place import AuthorWarning
from tradewind.dagbag.load import import_file
from tradewind.dagbag.messages import RESULT_BYTES_MAX, Finding, Order, Parsed, Start
from tradewind.dagbag.reads import Reads
from tradewind.domain.codec import encode
from tradewind.errors import AuthorError
from tradewind.runtime import processes

PROCESSES_MAX = 64  # a DAG file may ask git for its version; it is no place to compute
CPU_SECONDS_SPARE = 2  # the server's clock comes first, and says it better
GARBAGE_THRESHOLD = 50_000  # a DAG of thousands of tasks makes many objects and no garbage
TEXT_CHARS_MAX = 20_000  # of a message or a traceback
ERRORS_MAX = 200
STUCK_SIGNAL = signal.SIGUSR1  # asks the interpreter where it is

HEADER = struct.Struct("<I")


class Place(NamedTuple):
    """Where a child finds itself: descriptors to write to, its parent, and how many processes its user may have."""

    result: int
    output: int
    server: int
    processes_max: int


def run(start: Start, order: Order, place: Place) -> None:
    """Parse and write the answer to ``place.result``; the caller exits afterwards."""
    _enter(start, place)
    reads = Reads(start.folder)
    reads.start()
    parsed = parse(start.folder, order.file, order.source)
    try:
        data = encode(_with_reads(parsed, reads.found(order.file)))
    except (TypeError, ValueError, RecursionError) as error:
        data = encode(
            Parsed(errors=[Finding(message=f"Its DAGs cannot be stored: {error}."[:TEXT_CHARS_MAX])])
        )
    if len(data) > RESULT_BYTES_MAX:
        text = f"Its DAGs have {len(data):,} bytes; a file may have {RESULT_BYTES_MAX:,}. Read data in tasks."
        data = encode(Parsed(errors=[Finding(message=text)]))
    view = memoryview(HEADER.pack(len(data)) + data)
    while view:
        view = view[os.write(place.result, view) :]


def _enter(start: Start, place: Place) -> None:
    os.setsid()
    processes.become_subreaper()
    processes.die_with_parent(place.server)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(place.output, 1)
    os.dup2(place.output, 2)
    os.close(place.output)
    faulthandler.enable(file=2, all_threads=False)
    faulthandler.register(STUCK_SIGNAL, file=2, all_threads=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limits = start.limits
    cpu = math.ceil(limits.seconds_max) + CPU_SECONDS_SPARE
    _limit(resource.RLIMIT_CPU, cpu)
    _limit(resource.RLIMIT_AS, limits.memory_mb_max * 1024 * 1024)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, place.processes_max)
    sys.dont_write_bytecode = True
    gc.enable()
    gc.set_threshold(GARBAGE_THRESHOLD)


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (most, most))


def _with_reads(parsed: Parsed, reads: list[str]) -> Parsed:
    return Parsed(dags=parsed.dags, errors=parsed.errors, warnings=parsed.warnings, reads=reads)


def parse(folder: str, file: str, source: bytes) -> Parsed:
    """Return what a file makes, or what is wrong with it; never raises for what the file does."""
    try:
        dags = import_file(folder, file, source)
        made = compile_file(dags, folder=folder)
    except BaseException as error:  # noqa: BLE001 - whatever a DAG file raises, SystemExit too, belongs to that file
        return Parsed(errors=[_finding_of(error, f"{folder}/{file}")])
    if made.errors:
        return Parsed(
            errors=[_author_finding(error, f"{folder}/{file}") for error in made.errors[:ERRORS_MAX]]
        )
    warnings = [_warning(warning, f"{folder}/{file}") for warning in made.warnings[:ERRORS_MAX]]
    return Parsed(dags=made.dags, warnings=warnings)


def _author_finding(error: AuthorError, path: str) -> Finding:
    own = error.file == path or error.file is None
    message = error.message if own else f"{error.message} ({error.file}:{error.line})"
    return Finding(message=message[:TEXT_CHARS_MAX], line=error.line if own else None)


def _warning(warning: AuthorWarning, path: str) -> Finding:
    return Finding(
        message=str(warning.message)[:TEXT_CHARS_MAX], line=warning.line if warning.file == path else None
    )


def _finding_of(error: BaseException, path: str) -> Finding:
    trace = "".join(traceback.format_exception(type(error), error, _own_part(error.__traceback__)))
    if isinstance(error, AuthorError):
        found = _author_finding(error, path)
        return Finding(
            message=found.message, line=found.line or _line_in(error, path), traceback=trace[-TEXT_CHARS_MAX:]
        )
    name = type(error).__name__
    try:
        own = isinstance(error, SyntaxError) and error.filename == path
        words = error.msg if own and isinstance(error, SyntaxError) else str(error)
    except Exception:  # noqa: BLE001 - an exception of the author's that cannot even be shown
        words = "(its text cannot be made)"
    message = f"{name}: {words}" if words else name
    if isinstance(error, SystemExit):
        message = f"It ended the program while it was imported: {name}({words})."
    return Finding(
        message=message[:TEXT_CHARS_MAX], line=_line_in(error, path), traceback=trace[-TEXT_CHARS_MAX:]
    )


def _own_part(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from where the DAG file begins."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename in {
        __file__,
        import_file.__code__.co_filename,
    }:
        part = part.tb_next
    return part


def _line_in(error: BaseException, path: str) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None
