"""The state tables are total and sane, and their drawing shows exactly them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import pytest

from tradewind.domain.diagram import mermaid_runs, mermaid_tasks
from tradewind.domain.states import (
    ACTIVE_RUN_STATES,
    RUN_EDGES,
    RUN_TABLE,
    SLOT_STATES,
    TASK_EDGES,
    TASK_TABLE,
    TERMINAL_RUN_STATES,
    TERMINAL_TASK_STATES,
    IllegalTransition,
    RunEvent,
    RunState,
    TaskEvent,
    TaskState,
    advance,
    advance_run,
    can,
    can_run,
)

S = TypeVar("S", bound=StrEnum)

# What only a person (or a change of the DAG or of a mapped length) does.
_BY_PEOPLE = {
    TaskEvent.CLEAR,
    TaskEvent.MARK_SUCCESS,
    TaskEvent.MARK_FAILED,
    TaskEvent.REMOVE,
    TaskEvent.RESTORE,
}
_RUN_BY_PEOPLE = {RunEvent.REOPEN, RunEvent.MARK_SUCCESS, RunEvent.MARK_FAILED}


def _reachable(start: S, edges: frozenset[tuple[S, S]]) -> set[S]:
    seen, pending = {start}, [start]
    while pending:
        here = pending.pop()
        for source, target in edges:
            if source is here and target not in seen:
                seen.add(target)
                pending.append(target)
    return seen


def test_every_event_is_in_its_table() -> None:
    assert (set(TASK_TABLE), set(RUN_TABLE)) == (set(TaskEvent), set(RunEvent))


def test_every_state_is_reachable_from_the_first() -> None:
    assert _reachable(TaskState.NONE, TASK_EDGES) == set(TaskState)
    assert _reachable(RunState.QUEUED, RUN_EDGES) == set(RunState)


def test_every_state_can_end() -> None:
    for state in TaskState:
        assert _reachable(state, TASK_EDGES) & TERMINAL_TASK_STATES
    for run_state in RunState:
        assert _reachable(run_state, RUN_EDGES) & TERMINAL_RUN_STATES


def test_terminal_states_are_left_by_people_only() -> None:
    leaving = {
        event
        for event, (sources, target) in TASK_TABLE.items()
        if any(s in TERMINAL_TASK_STATES for s in sources)
    }
    assert leaving == _BY_PEOPLE
    run_leaving = {event for event, (sources, _) in RUN_TABLE.items() if sources & TERMINAL_RUN_STATES}
    assert run_leaving == _RUN_BY_PEOPLE


def test_running_comes_from_queued_only_and_queued_from_scheduled_only() -> None:
    assert {source for source, target in TASK_EDGES if target is TaskState.RUNNING} == {TaskState.QUEUED}
    assert {source for source, target in TASK_EDGES if target is TaskState.QUEUED} == {TaskState.SCHEDULED}


def test_slots_are_held_between_admission_and_outcome_only() -> None:
    taking = {
        event
        for event, (sources, target) in TASK_TABLE.items()
        if target in SLOT_STATES and not sources <= SLOT_STATES
    }
    assert taking == {TaskEvent.ADMIT}


def test_every_live_state_can_be_cancelled_and_failed() -> None:
    live = set(TaskState) - TERMINAL_TASK_STATES
    for event in (TaskEvent.CANCEL, TaskEvent.FAIL, TaskEvent.SKIP):
        assert set(TASK_TABLE[event][0]) == live
    assert set(RUN_TABLE[RunEvent.CANCEL][0]) == set(RUN_TABLE[RunEvent.FAIL][0]) == ACTIVE_RUN_STATES


def test_advance_is_the_table_and_refuses_the_rest() -> None:
    for state, event in itertools.product(TaskState, TaskEvent):
        sources, target = TASK_TABLE[event]
        assert can(state, event) is (state in sources)
        if state in sources:
            assert advance(state, event) is target
        else:
            with pytest.raises(IllegalTransition, match=f"in state {state} cannot {event}$"):
                advance(state, event)


def test_advance_run_is_the_table_and_refuses_the_rest() -> None:
    for state, event in itertools.product(RunState, RunEvent):
        sources, target = RUN_TABLE[event]
        assert can_run(state, event) is (state in sources)
        if state in sources:
            assert advance_run(state, event) is target
        else:
            with pytest.raises(IllegalTransition, match=f"in state {state} cannot {event}$"):
                advance_run(state, event)


def test_the_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TASK_TABLE[TaskEvent.CLAIM] = (frozenset(), TaskState.NONE)  # type: ignore[index]


def _drawn(text: str) -> set[tuple[str, str, str]]:
    arrows = re.findall(r"^    (\w+) --> (\w+): (.+)$", text, re.MULTILINE)
    return {(source, target, event) for source, target, events in arrows for event in events.split(", ")}


def _listed(table: Mapping[StrEnum, tuple[frozenset[StrEnum], StrEnum]]) -> set[tuple[str, str, str]]:
    return {(str(s), str(target), str(event)) for event, (sources, target) in table.items() for s in sources}


def test_the_drawings_show_the_tables() -> None:
    assert _drawn(mermaid_tasks(everything=True)) == _listed(TASK_TABLE)  # type: ignore[arg-type]
    assert _drawn(mermaid_runs()) == _listed(RUN_TABLE)  # type: ignore[arg-type]
    short = {event: edge for event, edge in TASK_TABLE.items() if event not in _BY_PEOPLE}
    assert _drawn(mermaid_tasks()) == _listed(short)  # type: ignore[arg-type]


def test_a_drawing_starts_and_ends() -> None:
    lines = mermaid_runs().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> queued"]
    assert lines[-3:] == ["    success --> [*]", "    failed --> [*]", "    cancelled --> [*]"]
