"""Ends an attempt as an interpreter ends a program: waits for threads, runs exit functions, flushes.

Looking costs little, doing costs a lot (memory pages of a fork): what nobody registered is not done.
"""

from __future__ import annotations

import _thread
import atexit
import logging
import sys
import threading
from typing import Any

_functions = 0  # exit functions registered before any DAG file was imported
_handlers = 0  # logging handlers that are there when attempts are forked
_eager = False  # a DAG file made handlers: they may hold back records


def note_base() -> None:
    """Remember what the runtime itself has registered: attempts need not run that."""
    global _functions, _handlers  # noqa: PLW0603 - facts of this process, inherited by its forks
    _functions = atexit._ncallbacks()  # noqa: SLF001 - only these tell without running
    _handlers = _handler_count()


def note_loaded() -> None:
    """Look whether a DAG file made logging handlers when it was imported."""
    global _eager  # noqa: PLW0603 - the same
    _eager = _handler_count() > _handlers


def note_arranged() -> None:
    """Take the handlers that are there now as the runtime's own."""
    global _handlers  # noqa: PLW0603 - the same
    _handlers = _handler_count()


def end_like_an_interpreter() -> None:
    """Do what is left to do at the end of an attempt."""
    if _thread._count():  # noqa: SLF001 - the threading module's own count costs ten times as much
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - what the interpreter calls
    if _eager or atexit._ncallbacks() != _functions or _handler_count() > _handlers:  # noqa: SLF001 - as above
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter calls
    _flush(sys.stdout)
    _flush(sys.stderr)


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return  # a task may close or replace its streams


def _handler_count() -> int:
    return len(logging._handlerList)  # type: ignore[attr-defined]  # noqa: SLF001 - only it tells without locks
