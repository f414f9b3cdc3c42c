"""References to values that exist only at run time: outputs of tasks, and elements of mapped groups.

They are made by authors, stored in arguments, and resolved by the task process. Passing one anywhere in an argument
makes the dependency.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, Self

from tradewind.authoring.graph import Connectable, GroupNode, Node, TaskNode
from tradewind.authoring.place import author_place
from tradewind.errors import ArgumentError

RETURN_VALUE = "return_value"

# What str(reference) gives; found again in template strings, so that an f-string makes the dependency too.
_IN_TEMPLATE = re.compile(r"\{\{ ti\.xcom_pull\(task_ids='([^']+)', key='[^']*'\) \}\}")


class Ref:
    """A value that exists only at run time."""

    def tasks(self) -> Iterator[TaskNode]:
        """Yield the tasks whose output this needs."""
        raise NotImplementedError

    def groups(self) -> Iterator[GroupNode]:
        """Yield the mapped groups whose element this needs."""
        yield from ()

    def __iter__(self) -> NoReturn:
        place = author_place()
        raise ArgumentError(
            f"{self._shown()} is known only at run time, so a loop over it is not possible while the DAG is "
            "written. Run one task per element with some_task.expand(argument=...), or loop inside a task.",
            file=place.file,
            line=place.line,
        )

    def __bool__(self) -> NoReturn:
        place = author_place()
        raise ArgumentError(
            f"{self._shown()} is known only at run time, so `if` cannot test it while the DAG is written. "
            "Decide inside a task, with @task.branch or @task.short_circuit.",
            file=place.file,
            line=place.line,
        )

    def _shown(self) -> str:
        return type(self).__name__


class ListRef(Ref):
    """A reference whose value can be mapped over."""

    def map(self, f: Callable[[Any], Any]) -> MapRef:
        """Apply ``f`` to each element, in the task process; an element for which it raises Skip is skipped."""
        if not callable(f) or isinstance(f, Ref):
            place = author_place()
            raise ArgumentError(
                f".map() takes a plain function, not {type(f).__name__}. Undecorated: .map(lambda row: row['id']).",
                file=place.file,
                line=place.line,
            )
        return MapRef(self, f)

    def zip(self, *others: Any, fill_value: Any = ...) -> ZipRef:
        """Pair the elements up: as long as the shortest, or with ``fill_value`` as long as the longest."""
        fill = fill_value is not ...
        return ZipRef((self, *others), fill=fill, fill_value=fill_value if fill else None)

    def concat(self, *others: Any) -> ConcatRef:
        """Put the others' elements after this one's."""
        return ConcatRef((self, *others))


class XComRef(ListRef, Connectable):
    """The output ``key`` of a task. ``ref["other_key"]`` is another output of the same task."""

    def __init__(self, task: TaskNode, key: str = RETURN_VALUE) -> None:
        self.task = task
        self.key = key

    @property
    def task_id(self) -> str:
        """Full id of the task."""
        return self.task.task_id

    @property
    def dag(self) -> Any:
        """The task's DAG."""
        return self.task.dag

    def edge_node(self) -> Node:
        return self.task

    def tasks(self) -> Iterator[TaskNode]:
        yield self.task

    def __getitem__(self, key: str) -> XComRef:
        if not isinstance(key, str):
            place = author_place()
            raise ArgumentError(
                f'An output of "{self.task_id}" is named by a string, not by {key!r}. For one element of a list '
                "take it inside a task.",
                file=place.file,
                line=place.line,
            )
        return XComRef(self.task, key)

    def as_setup(self) -> XComRef:
        """Make the task a setup; see Operator.as_setup."""
        self.task.as_setup()
        return self

    def as_teardown(self, *, setups: Any = None, on_failure_fail_dagrun: bool = False) -> XComRef:
        """Make the task a teardown; see Operator.as_teardown."""
        self.task.as_teardown(setups=setups, on_failure_fail_dagrun=on_failure_fail_dagrun)
        return self

    def __enter__(self) -> Self:
        self.task.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.task.__exit__(*error)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, XComRef):
            return NotImplemented
        return self.task is other.task and self.key == other.key

    def __hash__(self) -> int:
        return hash((id(self.task), self.key))

    def __str__(self) -> str:
        """Return the template that gives the value, so that f-strings work in templated arguments."""
        return f"{{{{ ti.xcom_pull(task_ids='{self.task_id}', key='{self.key}') }}}}"

    def __repr__(self) -> str:
        return f"XComRef({self.task_id!r}, {self.key!r})"

    def _shown(self) -> str:
        return f'The output of task "{self.task_id}"'


class MapRef(ListRef):
    """``source`` with ``function`` applied to each element."""

    def __init__(self, source: Any, function: Callable[[Any], Any]) -> None:
        self.source = source
        self.function = function

    def tasks(self) -> Iterator[TaskNode]:
        yield from find_tasks(self.source)

    def groups(self) -> Iterator[GroupNode]:
        yield from find_groups(self.source)


class ZipRef(ListRef):
    """``sources`` side by side; elements are tuples. Sources are references or literal lists."""

    def __init__(self, sources: tuple[Any, ...], *, fill: bool = False, fill_value: Any = None) -> None:
        self.sources = sources
        self.fill = fill
        self.fill_value = fill_value

    def tasks(self) -> Iterator[TaskNode]:
        yield from find_tasks(list(self.sources))

    def groups(self) -> Iterator[GroupNode]:
        yield from find_groups(list(self.sources))


class ConcatRef(ListRef):
    """``sources`` one after the other. Sources are references or literal lists."""

    def __init__(self, sources: tuple[Any, ...]) -> None:
        self.sources = sources

    def tasks(self) -> Iterator[TaskNode]:
        yield from find_tasks(list(self.sources))

    def groups(self) -> Iterator[GroupNode]:
        yield from find_groups(list(self.sources))


class GroupItem(Ref):
    """Inside a mapped group: the element of the group's argument ``name`` that belongs to the present index."""

    def __init__(self, group: GroupNode, name: str) -> None:
        self.group = group
        self.name = name

    def tasks(self) -> Iterator[TaskNode]:
        yield from ()  # the group itself waits for what it is mapped over

    def groups(self) -> Iterator[GroupNode]:
        yield self.group

    def __repr__(self) -> str:
        return f"GroupItem({self.group.group_id!r}, {self.name!r})"

    def _shown(self) -> str:
        return f'"{self.name}" of the mapped group "{self.group.group_id}"'


def find_refs(value: Any) -> Iterator[Ref]:
    """Yield the references anywhere inside an argument.

    Looks into lists, tuples, sets, dicts, dataclasses and objects that declare ``template_fields``.
    """
    return (leaf for leaf in leaves(value) if isinstance(leaf, Ref))


def find_tasks(value: Any) -> Iterator[TaskNode]:
    """Yield the tasks whose output an argument needs."""
    for ref in find_refs(value):
        yield from ref.tasks()


def find_groups(value: Any) -> Iterator[GroupNode]:
    """Yield the mapped groups whose elements an argument needs."""
    for ref in find_refs(value):
        yield from ref.groups()


def find_template_task_ids(value: Any) -> Iterator[str]:
    """Yield the ids of tasks whose reference was written into a template string: ``f"cp {extract()} /tmp"``."""
    for leaf in leaves(value):
        if isinstance(leaf, str) and "ti.xcom_pull(" in leaf:
            yield from _IN_TEMPLATE.findall(leaf)


def leaves(value: Any) -> Iterator[Any]:
    """Yield what is inside an argument and has no parts itself, in order; each container is entered once."""
    entered: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        parts = _parts(one)
        if parts is None:
            yield one
        elif id(one) not in entered:
            entered.add(id(one))
            waiting.extend(reversed(parts))


def _parts(value: Any) -> list[Any] | None:
    if value is None or isinstance(value, _WHOLE):
        return None
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, declared.name, None) for declared in fields(value)]
    if not isinstance(value, type | TaskNode):
        declared_fields = getattr(value, "template_fields", None)
        if isinstance(declared_fields, tuple | list):
            return [getattr(value, name, None) for name in declared_fields]
    return None


_WHOLE = (str, int, float, bytes, Ref)
