"""The error tree: what can go wrong, named once.

::

    TradewindError                  anything Tradewind raises on purpose
    ├── AuthorError                 a DAG file says something impossible (carries file and line)
    │   ├── ScheduleError           a schedule that cannot be read or never fires
    │   ├── CycleError              tasks that wait for each other
    │   ├── DuplicateIdError        one id given twice
    │   ├── UnknownReferenceError   an id that nothing has
    │   └── ArgumentError           an argument that is missing, unknown, of a wrong type or not serialisable
    ├── ParamError                  a run's conf breaks the DAG's params schema
    ├── ConfigError                 a setting, folder or file of the installation is wrong
    ├── NotFoundError               an id that does not exist
    ├── ConflictError               the request does not fit the present state
    ├── MetastoreError              the database said no
    │   ├── MetastoreUnavailableError   it cannot be reached now; trying again can help
    │   ├── SchemaError             its schema is older or newer than this program
    │   └── StaleTermError          another scheduler leads now
    ├── PluginError                 a plugin or provider misbehaves
    ├── LimitError                  a named limit was passed
    └── RuntimeApiError             a worker's request was refused
    TaskSignal                      not an error: how an author ends or parks a task
    ├── Skip                        end as skipped
    ├── Fail                        end as failed, without a retry
    ├── Reschedule                  free the slot and come back at an instant
    ├── Defer                       free the slot until a trigger fires
    └── AwaitInput                  free the slot until a person answers

Every message says what is wrong, where, and what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime, timedelta

__all__ = [
    "ArgumentError",
    "AuthorError",
    "AwaitInput",
    "ConfigError",
    "ConflictError",
    "CycleError",
    "Defer",
    "DuplicateIdError",
    "Fail",
    "LimitError",
    "MetastoreError",
    "MetastoreUnavailableError",
    "NotFoundError",
    "ParamError",
    "PluginError",
    "Reschedule",
    "RuntimeApiError",
    "ScheduleError",
    "SchemaError",
    "Skip",
    "StaleTermError",
    "TaskSignal",
    "TradewindError",
    "UnknownReferenceError",
]


class TradewindError(Exception):
    """Anything Tradewind raises on purpose; its text is meant for the person who reads it."""


class AuthorError(TradewindError):
    """A DAG file says something impossible.

    ``file`` and ``line`` point at the author's line when they are known.
    """

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line


class ScheduleError(AuthorError, ValueError):
    """A schedule that cannot be read, or that never fires."""


class CycleError(AuthorError, ValueError):
    """Tasks that wait for each other; the message shows the path."""


class DuplicateIdError(AuthorError, ValueError):
    """One id given twice; the message names both places."""


class UnknownReferenceError(AuthorError, ValueError):
    """An id that nothing has; the message names the nearest ones."""


class ArgumentError(AuthorError, TypeError):
    """An argument that is missing, unknown, of a wrong type or not serialisable."""


class ParamError(TradewindError, ValueError):
    """A run's conf breaks the DAG's params schema."""


class ConfigError(TradewindError):
    """A setting, folder or file of the installation is wrong."""


class NotFoundError(TradewindError, LookupError):
    """An id that does not exist."""


class ConflictError(TradewindError):
    """The request does not fit the present state."""


class MetastoreError(TradewindError):
    """The database refused an operation."""


class MetastoreUnavailableError(MetastoreError):
    """The database cannot be reached now; trying again can help."""


class SchemaError(MetastoreError):
    """The database's schema is older or newer than this program."""


class StaleTermError(MetastoreError):
    """Another scheduler holds the leadership now; nothing was written."""


class PluginError(TradewindError):
    """A plugin or provider misbehaves."""


class LimitError(TradewindError, ValueError):
    """A named limit was passed."""


class RuntimeApiError(TradewindError):
    """A worker's request was refused."""


class TaskSignal(Exception):
    """How an author ends or parks a task from inside it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message


class Skip(TaskSignal):
    """End the task as skipped."""


class Fail(TaskSignal):
    """End the task as failed; no retry is made."""


class Reschedule(TaskSignal):
    """Free the slot and run again at ``at`` (aware), or after ``delay``."""

    def __init__(
        self, message: str = "", *, at: datetime | None = None, delay: timedelta | None = None
    ) -> None:
        super().__init__(message)
        if (at is None) == (delay is None):
            raise TypeError(
                "Reschedule needs exactly one of at= (an aware datetime) and delay= (a timedelta)"
            )
        self.at = at
        self.delay = delay


class Defer(TaskSignal):
    """Free the slot until ``trigger`` (an import path and its arguments) fires; then ``method`` is called."""

    def __init__(
        self,
        *,
        trigger: str,
        arguments: dict[str, Any] | None = None,
        method: str = "resume",
        timeout: timedelta | None = None,
    ) -> None:
        super().__init__(f"waiting for {trigger}")
        self.trigger = trigger
        self.arguments = arguments or {}
        self.method = method
        self.timeout = timeout


class AwaitInput(TaskSignal):
    """Free the slot until a person answers the form described by ``schema`` (a JSON schema)."""

    def __init__(
        self, subject: str, *, schema: dict[str, Any] | None = None, timeout: timedelta | None = None
    ) -> None:
        super().__init__(subject)
        self.schema = schema or {"type": "object"}
        self.timeout = timeout
