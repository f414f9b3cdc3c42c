"""Which changes of state one commit may show: the listed transitions and what one decision can chain of them.

Used by the in-memory metastore in tests: a write that no chain of listed events explains is a bug of the writer.
"""

from __future__ import annotations

from typing import Final

from tradewind.domain.records import Guard, InstanceRow
from tradewind.domain.states import TASK_TABLE, TaskEvent, TaskState, advance, can

# Nobody decides beyond these within one commit: the next step is a worker's.
_RESTING: Final = frozenset(
    {TaskState.QUEUED, TaskState.RUNNING, TaskState.DEFERRED, TaskState.AWAITING_INPUT}
)
# What may follow in the same decision. A lost attempt is admitted again or given up; nothing else.
_NEXT: Final = frozenset(
    {
        TaskEvent.READY,
        TaskEvent.ADMIT,
        TaskEvent.SUCCEED,
        TaskEvent.DEFER,
        TaskEvent.SKIP,
        TaskEvent.UPSTREAM_FAIL,
        TaskEvent.FAIL,
        TaskEvent.CLEAR,
    }
)
_AFTER_LOSS: Final = frozenset({TaskEvent.ADMIT, TaskEvent.FAIL})


def _reach(source: TaskState) -> frozenset[TaskState]:
    reached: set[TaskState] = set()
    seen: set[tuple[TaskState, bool]] = set()
    rest = [(advance(source, event), event is TaskEvent.LOSE) for event in TASK_TABLE if can(source, event)]
    while rest:
        state, after_loss = rest.pop()
        reached.add(state)
        if (state, after_loss) in seen or state in _RESTING:
            continue
        seen.add((state, after_loss))
        allowed = _AFTER_LOSS if after_loss else _NEXT
        rest += [(advance(state, event), after_loss) for event in allowed if can(state, event)]
    return frozenset(reached)


COMMITTED_EDGES: Final = {source: _reach(source) | {source} for source in TaskState}
FIRST_STATES: Final = frozenset({TaskState.NONE, *_reach(TaskState.NONE)}) - {TaskState.RUNNING}


def check_edge(old: Guard | None, new: InstanceRow) -> None:
    """Raise ``AssertionError`` when the change is one no listed transition explains."""
    where = f"task instance {new.id} ({new.task_id}{list(new.map_index) or ''})"
    if old is None:
        assert new.state in FIRST_STATES, f"{where} was inserted as {new.state}"
        return
    assert new.state in COMMITTED_EDGES[old.state], (
        f"{where} went from {old.state} to {new.state} in one commit"
    )
    assert new.token >= old.token, f"{where}: its token fell from {old.token} to {new.token}"
    admitted = new.state is TaskState.QUEUED and old.state is not TaskState.QUEUED
    assert not admitted or new.token > old.token, f"{where} was queued under its old token {new.token}"
    assert new.state is not TaskState.RUNNING or new.token == old.token, (
        f"{where} runs under a token never queued"
    )
