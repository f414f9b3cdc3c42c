"""Drawings of the state tables, so that the documentation shows what the program does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from tradewind.domain.states import (
    RUN_TABLE,
    TASK_TABLE,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    RunState,
    TaskEvent,
    TaskState,
)

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

# What a person can do to an instance in nearly every state; drawn, it would hide the rest.
_BY_PEOPLE = frozenset({TaskEvent.CLEAR, TaskEvent.MARK_SUCCESS, TaskEvent.MARK_FAILED})
_BY_REMOVAL = frozenset({TaskEvent.REMOVE, TaskEvent.RESTORE})


def mermaid_tasks(*, everything: bool = False) -> str:
    """Return the states of a task instance as a mermaid diagram.

    Without ``everything`` what people do (clear, mark) and removal are left out: they lead from nearly every
    state to one.
    """
    table = {
        event: edge
        for event, edge in TASK_TABLE.items()
        if everything or event not in _BY_PEOPLE | _BY_REMOVAL
    }
    return _mermaid(TaskState.NONE, tuple(TaskState), table, TERMINAL_TASK_STATES)


def mermaid_runs() -> str:
    """Return the states of a run as a mermaid diagram."""
    return _mermaid(RunState.QUEUED, tuple(RunState), RUN_TABLE, TERMINAL_RUN_STATES)


def _mermaid(
    first: S, order: tuple[S, ...], table: Mapping[E, tuple[frozenset[S], S]], terminal: frozenset[S]
) -> str:
    """Return one arrow per pair of states with its events, in the order of the enums: it never flickers."""
    arrows: defaultdict[tuple[S, S], list[str]] = defaultdict(list)
    for event, (sources, target) in table.items():
        for source in sources:
            arrows[source, target].append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {first.value}"]
    lines += [
        f"    {source.value} --> {target.value}: {', '.join(arrows[source, target])}"
        for source in order
        for target in order
        if (source, target) in arrows
    ]
    drawn = {state for arrow in arrows for state in arrow}
    lines += [f"    {state.value} --> [*]" for state in order if state in terminal and state in drawn]
    return "\n".join(lines) + "\n"
