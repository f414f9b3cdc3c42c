"""Which outputs of a task others are mapped over: their lengths are part of its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tradewind.authoring.graph import GroupNode
from tradewind.authoring.mapped import MappedOperator
from tradewind.authoring.xcom import ConcatRef, MapRef, Ref, XComRef, ZipRef, find_refs
from tradewind.errors import TradewindError
from tradewind.runtime.task.scopes import mapped_groups

KEPT = "_mapped_keys"  # where a task keeps the answer of mapped_keys


class NotMappable(TradewindError):
    """A task that others are mapped over returned something that has no elements."""


def mapped_keys(task: Any) -> Mapping[str, str]:
    """Return the XCom keys of ``task`` whose elements others are mapped over -> who is (for messages).

    Worked out once for a task: the graph does not change once its file is read.
    """
    known: dict[str, str] | None = getattr(task, KEPT, None)
    if known is None:
        known = _mapped_keys(task)
        setattr(task, KEPT, known)
    return known


def _mapped_keys(task: Any) -> dict[str, str]:
    """Return the XCom keys of ``task`` whose elements others are mapped over -> who is (for messages).

    Whoever is mapped over all instances of a mapped task takes each result whole, and asks no length of it.
    """
    found: dict[str, str] = {}
    dag = task.dag
    if dag is None:
        return found
    for task_id in dag.downstream_of(task.task_id):
        below = dag.task_nodes[task_id]
        around = mapped_groups(below)
        if isinstance(below, MappedOperator) and _sees_one(around, task):
            _collect(below.expand_input, task.task_id, f'task "{task_id}"', found)
        for level, group in enumerate(around):
            if _sees_one(around[:level], task):
                _collect(
                    group.expand_input,  # type: ignore[attr-defined]  # mapped ones are TaskGroups
                    task.task_id,
                    f'group "{group.group_id}"',
                    found,
                )
    return found


def _sees_one(around: list[GroupNode], task: Any) -> bool:
    """Whether a mapping inside the groups ``around`` sees one instance of ``task``, not many."""
    groups = mapped_groups(task)
    return not isinstance(task, MappedOperator) and groups == around[: len(groups)]


def _collect(source: Any, task_id: str, who: str, found: dict[str, str]) -> None:
    sources = source.values() if isinstance(source, dict) else [source]
    for one in sources:
        for ref in _sources(one):
            if ref.task_id == task_id:
                found.setdefault(ref.key, who)


def _sources(source: Any) -> Iterator[XComRef]:
    """Yield the outputs whose elements an input takes; a reference inside a literal list is one element itself."""
    match source:
        case XComRef():
            yield source
        case MapRef():
            yield from _sources(source.source)
        case ZipRef() | ConcatRef():
            for one in source.sources:
                yield from _sources(one)
        case _:
            return


def is_referred_to(task: Any) -> bool:
    """Whether a direct downstream task takes this task's output as an argument."""
    dag = task.dag
    if dag is None:
        return False
    for task_id in dag.downstream_of(task.task_id):
        for value in dag.task_nodes[task_id].given.values():
            if any(_refers(ref, task.task_id) for ref in find_refs(value)):
                return True
    return False


def _refers(ref: Ref, task_id: str) -> bool:
    return any(task.task_id == task_id for task in ref.tasks())


def lengths_of(
    values: Mapping[str, Any], pushed: Mapping[str, int], keys: Mapping[str, str]
) -> dict[str, int]:
    """Return the length of each key others are mapped over; ``NotMappable`` says what was returned instead."""
    lengths: dict[str, int] = {}
    for key, who in keys.items():
        if key in values:
            lengths[key] = _length(values[key], key, who)
        elif key in pushed:
            lengths[key] = pushed[key]
        else:
            raise NotMappable(
                f'{who} is mapped over "{key}", but nothing was pushed under it; push a list or a dict'
            )
    return lengths


def _length(value: Any, key: str, who: str) -> int:
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str | bytes):
        return len(value)
    what = "nothing (None)" if value is None else f"{type(value).__name__} ({value!r:.40})"
    raise NotMappable(
        f'{who} is mapped over "{key}", but that is {what}: return a list or a dict, an empty one if there is nothing '
        "to do"
    )
