"""The border between errors and people: every known error becomes one clear message and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from tradewind.errors import ConfigError, ParamError, TradewindError

OK, FAILED, WRONG_USE = 0, 1, 2
INTERRUPTED = 130  # what shells expect after Ctrl-C


def guarded(run: Callable[[], Any]) -> int:
    """Call ``run`` and return the exit status; what it raises is told on standard error."""
    try:
        return _status(run())
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        _debug()
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("\nStopped.", file=sys.stderr)  # noqa: T201 - this is where messages go
        return INTERRUPTED
    except BrokenPipeError:
        return reader_gone()
    except (TradewindError, OSError, ValueError) as error:
        return told(error)
    except Exception as error:  # noqa: BLE001 - the last border: no traceback unless it is asked for
        return told(error)


def told(error: BaseException) -> int:
    """Write what is wrong and return the exit status it means."""
    _debug()
    print(f"Error: {message(error)}", file=sys.stderr)  # noqa: T201 - the same
    return WRONG_USE if isinstance(error, ConfigError | ParamError) or type(error) is ValueError else FAILED


def message(error: BaseException) -> str:
    """Return the sentence for people; never empty."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        where = f" while writing {error.filename}" if error.filename else ""
        return f"The disk is full{where}. Free some space and run this again."
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}."
    text = str(error)
    if isinstance(error, TradewindError) or (type(error) is ValueError and text):
        return sentence(text) or type(error).__name__
    return f"{type(error).__name__}: {text}\nThis is unexpected. TRADEWIND_DEBUG=1 shows where it happened."


def sentence(text: str) -> str:
    """Return the text with a capital letter, unless it begins with something that is no word."""
    first = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def _status(result: Any) -> int:
    return result if isinstance(result, int) else OK


def _debug() -> None:
    if os.environ.get("TRADEWIND_DEBUG", "") not in {"", "0"}:
        traceback.print_exc()


def reader_gone() -> int:
    """Whoever read the output has seen enough (``| head``); keep Python from complaining at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK
