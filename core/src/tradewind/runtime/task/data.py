"""What a task process may ask for, and the one way to ask."""

from __future__ import annotations

from typing import Any, Protocol


class DataClient(Protocol):
    """Carries one question to the supervisor and waits for its answer.

    Verbs and their arguments are those of :class:`tradewind.ports.runtime_api.DataRequest`. For ``xcom_get`` a client
    may also be asked for less than everything: ``item`` (an int: the answer may then be ``{"item": JSON text}``, that
    element of the list), and ``prefix``, ``offset``, ``limit`` over the rows in index order. Who ignores them answers
    with all rows; the caller copes with both.
    """

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Return the answer; raises :class:`tradewind.errors.RuntimeApiError` with the text for the task's author."""
        ...
