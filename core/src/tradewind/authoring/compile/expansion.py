"""What tasks and groups are expanded over, in its stored form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tradewind.authoring.compile.findings import Findings
from tradewind.authoring.fingerprint import Home, fingerprint, qualified_name
from tradewind.authoring.mapped import not_mappable
from tradewind.authoring.place import Place
from tradewind.authoring.plain import NotPlainError, plain
from tradewind.authoring.xcom import ConcatRef, GroupItem, MapRef, XComRef, ZipRef
from tradewind.domain.expansion import Problem, length
from tradewind.domain.spec import (
    ConcatInput,
    ExpandInput,
    ExpandSpec,
    LiteralInput,
    MapInput,
    RefInput,
    ZipInput,
)
from tradewind.errors import ArgumentError

_DEPTH_MAX = 50  # of .map().zip().concat() on each other


class _Refused(Exception):
    """Why an input cannot be mapped over."""


def expand_spec(
    what: str,
    inputs: Mapping[str, Any],
    kwargs_input: Any,
    *,
    home: Home,
    length_max: int,
    place: Place,
    findings: Findings,
) -> ExpandSpec | None:
    """Return the stored form of an expansion; None, with errors noted, when it has none."""
    named = list(inputs.items()) if kwargs_input is None else [("", kwargs_input)]
    stored: list[tuple[str, ExpandInput]] = []
    for name, value in named:
        path = f"expand({name}=…)" if name else "expand_kwargs(…)"
        try:
            stored.append((name, _input(value, path, home, 0)))
        except (_Refused, NotPlainError) as error:
            findings.error(ArgumentError, f"{what}: {error}", place)
    if len(stored) < len(named):
        return None
    made = ExpandSpec(mode="product" if kwargs_input is None else "kwargs", inputs=tuple(stored))
    known = length(made, lambda _task, _key: None, limit=length_max)
    too_long = next(
        (n for _, one in stored if isinstance(one, LiteralInput) and (n := len(one.value)) > length_max), 0
    )
    if isinstance(known, Problem):
        findings.error(ArgumentError, f"{what}: {known}", place)
    elif too_long:
        findings.error(
            ArgumentError,
            f"{what} is expanded over a list of {too_long:,} elements; at most {length_max:,} are allowed. "
            "Put several elements into each, or raise DAG(max_map_length=…).",
            place,
        )
    return made


def references(value: ExpandInput) -> list[RefInput]:
    """Return the task outputs an input reads."""
    found: list[RefInput] = []
    waiting: list[ExpandInput] = [value]
    while waiting:
        match waiting.pop():
            case RefInput() as ref:
                found.append(ref)
            case MapInput(source=source):
                waiting.append(source)
            case ZipInput(sources=sources) | ConcatInput(sources=sources):
                waiting.extend(sources)
            case LiteralInput():
                continue
    return found


def _input(value: Any, path: str, home: Home, depth: int) -> ExpandInput:
    if depth > _DEPTH_MAX:
        raise _Refused(f"{path} has more than {_DEPTH_MAX} of .map(), .zip() and .concat() on each other.")
    match value:
        case XComRef(task_id=task_id, key=key):
            return RefInput(task_id=task_id, key=key)
        case MapRef(source=source, function=function):
            # Lambdas have one name for all, so the code is part of what tells them apart.
            name = f"{qualified_name(function, home)}@{fingerprint(function, home)}"
            return MapInput(source=_input(source, path, home, depth + 1), function=name)
        case ZipRef(sources=sources, fill=fill, fill_value=fill_value):
            return ZipInput(
                sources=tuple(_input(one, path, home, depth + 1) for one in sources),
                fill=fill,
                fill_value=plain(fill_value, path=f"{path} fill_value", home=home),
            )
        case ConcatRef(sources=sources):
            return ConcatInput(sources=tuple(_input(one, path, home, depth + 1) for one in sources))
        case GroupItem(group=group, name=name):
            raise _Refused(
                f'{path} maps over "{name}" of the mapped group "{group.group_id}", whose length is not known before '
                "the group runs. Let a task of the group return the list, and map over that task's output."
            )
        case Mapping():
            pairs = [
                [key, item] for key, item in value.items()
            ]  # keeps the order, which is the order of indices
            return LiteralInput(value=plain(pairs, path=path, home=home))
        case list() | tuple() | range():
            return LiteralInput(value=plain(list(value), path=path, home=home))
        case _:
            raise _Refused(not_mappable("…", value) or f"{path} cannot be mapped over.")
