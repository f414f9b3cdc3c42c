"""The arguments of one map index: which elements they are, fetched and no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from tradewind.authoring.graph import GroupNode
from tradewind.authoring.mapped import MappedOperator
from tradewind.authoring.xcom import ConcatRef, GroupItem, MapRef, Ref, XComRef, ZipRef
from tradewind.domain.expansion import (
    Apply,
    Element,
    Fetch,
    Length,
    Problem,
    Together,
    Value,
    argument_lengths,
    locate,
    product_position,
)
from tradewind.domain.records import MapIndex, format_map_index
from tradewind.domain.spec import (
    ConcatInput,
    ExpandInput,
    ExpandSpec,
    LiteralInput,
    MapInput,
    RefInput,
    ZipInput,
)
from tradewind.errors import TradewindError
from tradewind.runtime.task.scopes import Scopes
from tradewind.runtime.task.xcoms import MISSING, XComs


class MappingProblem(TradewindError):
    """The arguments of a map index cannot be found; the message names the index and what is missing."""


class Resolved(Ref):
    """A value that came from data: it stands where a reference stood, and is never rendered as a template."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return f"Resolved({self.value!r})"


class Expansion:
    """One mapping (of a task, or of a group around it) seen from one index."""

    def __init__(
        self,
        name: str,
        source: Any,
        *,
        position: int,
        scopes: Scopes,
        xcoms: XComs,
        known_lengths: Mapping[str, Mapping[str, int]],
        group_item: Callable[[GroupItem], Any],
    ) -> None:
        self._name = name
        self._scopes = scopes
        self._xcoms = xcoms
        self._known_lengths = known_lengths
        self._group_item = group_item
        self._functions: list[Callable[[Any], Any]] = []
        self._position = position
        kwargs = isinstance(source, dict)
        inputs = source.items() if isinstance(source, dict) else [("", source)]
        self._spec = ExpandSpec(
            mode="product" if kwargs else "kwargs",
            inputs=tuple((argument, self._input(one)) for argument, one in inputs),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of this index; those that came from data are wrapped in :class:`Resolved`."""
        try:
            located = self._located()
            found = {name: self._evaluate(element) for name, element in located.items()}
        except (IndexError, ValueError) as error:
            raise MappingProblem(
                f"{self._name} has no element {self._position}: {error}. Did the list it is mapped over change? Clear "
                "the task to map it again"
            ) from None
        return found if self._spec.mode == "product" else self._spread(found[""])

    def _located(self) -> dict[str, Element]:
        inputs = self._spec.inputs
        if len(inputs) == 1:  # the usual case needs no lengths
            return {inputs[0][0]: locate(inputs[0][1], self._position, self._length)}
        lengths = argument_lengths(self._spec, self._length)
        if lengths is None or isinstance(lengths, Problem):
            raise MappingProblem(f"{self._name}: {lengths or 'an input is not finished'}")
        position = product_position(self._position, lengths)
        return {
            name: locate(source, here, self._length)
            for (name, source), here in zip(inputs, position, strict=True)
        }

    def _spread(self, element: Any) -> dict[str, Any]:
        data = isinstance(element, Resolved)
        value = element.value if isinstance(element, Resolved) else element
        if isinstance(value, Ref):
            raise MappingProblem(
                f"{self._name}: element {self._position} of expand_kwargs is no dict but a reference"
            )
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise MappingProblem(
                f"{self._name}: element {self._position} of expand_kwargs is {value!r:.60}; it must be a dict with "
                "names as keys"
            )
        return {key: Resolved(item) if data else item for key, item in value.items()}

    # ---- authors' references to the domain's inputs, and back to values ------------------------------------

    def _input(self, source: Any) -> ExpandInput:
        match source:
            case XComRef():
                return RefInput(task_id=source.task_id, key=source.key)
            case MapRef():
                self._functions.append(source.function)
                number = str(len(self._functions) - 1)
                return MapInput(source=self._input(source.source), function=number)
            case ZipRef():
                return ZipInput(
                    sources=tuple(map(self._input, source.sources)),
                    fill=source.fill,
                    fill_value=source.fill_value,
                )
            case ConcatRef():
                return ConcatInput(sources=tuple(map(self._input, source.sources)))
            case GroupItem():
                value = self._group_item(source)
                return LiteralInput(value=_as_list(value.value if isinstance(value, Resolved) else value))
            case _:
                return LiteralInput(value=_as_list(source))

    def _evaluate(self, element: Element) -> Any:
        match element:
            case Value(value=value):
                return value
            case Fetch(task_id=task_id, key=key, index=index):
                return Resolved(self._fetch(task_id, key, index))
            case Apply(function=number, element=inner):
                return Resolved(self._functions[int(number)](_bare(self._evaluate(inner))))
            case Together(elements=elements):
                return Resolved(tuple(_bare(self._evaluate(inner)) for inner in elements))
            case _:
                assert_never(element)

    def _fetch(self, task_id: str, key: str, position: int) -> Any:
        index, single = self._seen(task_id)
        if single:
            value = self._xcoms.element(task_id, key, index, position)
            if value is MISSING:
                raise MappingProblem(f'{self._name}: task "{task_id}" pushed nothing under "{key}"')
            return value
        rows = self._xcoms.rows(task_id, key, index, position, 1)
        if not rows:
            raise IndexError(
                f'task "{task_id}" has only {len(self._xcoms.many(task_id, key, index))} results'
            )
        return self._xcoms.read(rows[0])

    def _seen(self, task_id: str) -> tuple[MapIndex, bool]:
        dag = self._scopes.task.dag
        assert dag is not None, "only a task of a DAG is mapped over others"
        return self._scopes.seen(dag.task_nodes[task_id])

    def _length(self, task_id: str, key: str) -> Length:
        index, single = self._seen(task_id)
        if not single:
            return len(self._xcoms.many(task_id, key, index))
        name = f"{task_id}[{format_map_index(index)}]" if index else task_id
        known = self._known_lengths.get(name, {}).get(key)
        if known is not None:
            return known
        value = self._xcoms.value(task_id, key, index)
        if value is MISSING or not hasattr(value, "__len__"):
            return Problem(f'task "{task_id}" pushed no list or dict under "{key}"')
        return len(value)


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, Resolved) else value


def _as_list(value: Any) -> Any:
    return (
        value
        if isinstance(value, list | tuple | dict)
        else dict(value)
        if isinstance(value, Mapping)
        else list(value)
    )


class MappedArguments:
    """All that one instance is mapped over: the groups around it, and its own mapping."""

    def __init__(
        self, task: Any, scopes: Scopes, xcoms: XComs, known_lengths: Mapping[str, Mapping[str, int]]
    ) -> None:
        self._task = task
        self._scopes = scopes
        self._xcoms = xcoms
        self._known_lengths = known_lengths
        self._of_group: dict[int, dict[str, Any]] = {}

    def own(self) -> dict[str, Any]:
        """Return the expanded arguments of a mapped task at its index."""
        assert isinstance(self._task, MappedOperator), "only a mapped task has expanded arguments"
        level = len(self._scopes.groups)
        if len(self._scopes.index) <= level:
            raise MappingProblem(f'Task "{self._task.task_id}" is mapped, but its instance has no map index')
        source, position = self._task.expand_input, self._scopes.index[level]
        if isinstance(source, dict) and len(source) == 1:  # the usual case needs no more than a look
            ((name, elements),) = source.items()
            if isinstance(elements, list | tuple) and position < len(elements):
                return {name: elements[position]}
        return self._expansion(f'Task "{self._task.task_id}"', source, level).arguments()

    def item(self, item: GroupItem) -> Any:
        """Return the element of a mapped group's argument at this index; data is wrapped in :class:`Resolved`."""
        arguments = self._group_arguments(item.group)
        try:
            return arguments[item.name]
        except KeyError:
            names = ", ".join(arguments) or "nothing"
            raise MappingProblem(
                f'The element that group "{item.group.group_id}" is mapped over has no "{item.name}"; it has {names}'
            ) from None

    def _group_arguments(self, group: GroupNode) -> dict[str, Any]:
        found = self._of_group.get(id(group))
        if found is None:
            level = next((at for at, one in enumerate(self._scopes.groups) if one is group), None)
            if level is None:
                raise MappingProblem(
                    f'Task "{self._task.task_id}" is not inside the mapped group "{group.group_id}"'
                )
            source = group.expand_input  # type: ignore[attr-defined]
            expansion = self._expansion(f'Group "{group.group_id}"', source, level)
            found = self._of_group[id(group)] = expansion.arguments()
        return found

    def _expansion(self, name: str, source: Any, level: int) -> Expansion:
        outer = Scopes(self._scopes.task, self._scopes.index[:level])
        return Expansion(
            name,
            source,
            position=self._scopes.index[level],
            scopes=outer,
            xcoms=self._xcoms,
            known_lengths=self._known_lengths,
            group_item=self.item,
        )
