"""Arguments as JSON: for people to read, and for the hash that says whether a DAG changed.

What JSON has no word for is written with the tags that XComs have: ``{"__tw__": kind, "value": …}``. The view must be
the same in every process, so objects that only have an address are refused.
"""

from __future__ import annotations

import base64
import functools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import UUID

import msgspec

from tradewind.authoring.assets import Asset
from tradewind.authoring.fingerprint import Home, fingerprint, qualified_name, unwrapped
from tradewind.authoring.graph import Node, NodeFunction, TaskNode
from tradewind.authoring.xcom import ConcatRef, GroupItem, MapRef, XComRef, ZipRef
from tradewind.domain.codec import encode

TAG = "__tw__"
DEPTH_MAX = 50  # nesting of an argument; deeper is a structure that contains itself
TEXT_CHARS_MAX = 1_000_000  # of one string; scripts and data that large belong into a file
ITEMS_MAX = 2_000_000  # of one argument, counted through: 100,000 mapped rows of 15 fields fit
_INT_MAX = 2**63 - 1
NO_HOME = Home()


class NotPlainError(ValueError):
    """A value that has no stable JSON form; the text says where it sits, what it is and what to do."""


def plain(value: Any, *, path: str, home: Home = NO_HOME, notes: list[str] | None = None) -> Any:
    """Return ``value`` built of JSON types; raises NotPlainError, whose text begins with ``path``.

    ``home`` is the DAG file's: code defined there is named without its module. ``notes`` gets a line for each value
    that looks as if it were another one in every process.
    """
    return _View(home, notes if notes is not None else []).of(value, path, 0)


@dataclass
class _View:
    home: Home
    notes: list[str]
    items: int = 0

    def of(self, value: Any, path: str, depth: int) -> Any:
        """Return the JSON form of ``value``, which sits at ``path``."""
        if value is None or value is True or value is False:
            return value
        if depth > DEPTH_MAX:
            raise NotPlainError(f"{path[:80]}… is nested more than {DEPTH_MAX} deep, or contains itself.")
        self.items += 1
        if self.items > ITEMS_MAX:
            raise NotPlainError(
                f"{path[:80]} is in an argument of more than {ITEMS_MAX:,} values. Read them in a task."
            )
        simple = _SIMPLE.get(type(value))
        if simple is not None:
            return simple(value, path)
        for kinds, convert in _KINDS:
            if isinstance(value, kinds):
                return convert(self, value, path, depth)
        return self._object(value, path, depth)

    def _object(self, value: Any, path: str, depth: int) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            named = {item.name: getattr(value, item.name, None) for item in fields(value)}
            return self._members("dataclass", value, named, path, depth)
        if isinstance(value, msgspec.Struct):
            return self._members("struct", value, msgspec.structs.asdict(value), path, depth)
        dump = getattr(type(value), "model_dump", None)
        if callable(dump):
            return self._members("model", value, dict(value), path, depth)
        declared = getattr(type(value), "template_fields", None)
        if isinstance(declared, tuple | list):
            named = {name: getattr(value, name, None) for name in declared}
            return self._members("object", value, named, path, depth)
        if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
            return self.of(value.item(), path, depth + 1)
        if callable(value):
            return {
                TAG: "callable",
                "value": qualified_name(value, self.home),
                "code": fingerprint(value, self.home),
            }
        raise NotPlainError(
            f"{path} is {_article(type(value).__qualname__)} ({_shown(value)}), which cannot be stored with the DAG. "
            "Give plain data (text, numbers, lists, dicts, dates, paths, dataclasses), or make it inside the task."
        )

    def _members(self, kind: str, value: Any, named: Mapping[str, Any], path: str, depth: int) -> Any:
        return {
            TAG: kind,
            "class": qualified_name(type(value), self.home),
            "value": {name: self.of(item, f"{path}.{name}", depth + 1) for name, item in named.items()},
        }

    def mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> Any:
        """Return a dict; one with other keys than texts as a list of pairs."""
        if all(type(key) is str for key in value) and TAG not in value:
            return {
                _text(key, f"a key of {path}"): self.of(item, f"{path}[{key!r:.40}]", depth + 1)
                for key, item in value.items()
            }
        pairs = [
            [self.of(key, f"a key of {path}", depth + 1), self.of(item, f"{path}[{key!r:.40}]", depth + 1)]
            for key, item in value.items()
        ]
        return {TAG: "dict", "value": pairs}

    def sequence(self, value: Any, path: str, depth: int) -> Any:
        """Return a list; a tuple as a list too: for an argument they are the same."""
        return [self.of(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(value)]

    def unordered(self, value: Any, path: str, depth: int) -> Any:
        """Return a set in an order that is the same in every process."""
        items = [self.of(item, f"an item of {path}", depth + 1) for item in value]
        return {TAG: "set", "value": sorted(items, key=encode)}

    def moment(self, value: datetime, path: str, depth: int) -> Any:
        """Return a datetime; one with microseconds looks like now()."""
        if value.microsecond:
            self.notes.append(f"{path} is {value.isoformat()}, which looks like datetime.now()")
        return {TAG: "datetime", "value": value.isoformat()}

    def uuid(self, value: UUID, path: str, depth: int) -> Any:
        """Return a UUID; one of a random or time-based kind may be made anew in each process."""
        if value.version in {1, 4, 6, 7}:
            self.notes.append(f"{path} is the UUID {value}, which looks made by uuid{value.version}()")
        return {TAG: "uuid", "value": str(value)}

    def code(self, value: Any, path: str, depth: int) -> Any:
        """Return a function or class by name and fingerprint."""
        return {
            TAG: "callable",
            "value": qualified_name(value, self.home),
            "code": fingerprint(value, self.home),
        }

    def partial(self, value: functools.partial[Any], path: str, depth: int) -> Any:
        """Return a partial with what it was given."""
        given = self.of([list(value.args), value.keywords], f"{path} (its partial arguments)", depth + 1)
        return {**self.code(unwrapped(value), path, depth), "given": given}

    def enum(self, value: Enum, path: str, depth: int) -> Any:
        """Return an enum's member by name."""
        return {TAG: "enum", "class": qualified_name(type(value), self.home), "value": value.name}

    def refuse(self, value: Any, path: str, depth: int) -> Any:
        """Refuse a thing that an author most likely did not mean to pass."""
        if isinstance(value, NodeFunction):
            name = value.__name__
            raise NotPlainError(
                f"{path} is the decorated function {name} itself. Call it: {name}(…) gives its output."
            )
        if isinstance(value, Node):
            output = (
                f"For its output give {value.node_id}.output; for" if isinstance(value, TaskNode) else "For"
            )
            raise NotPlainError(
                f'{path} is the {value.node_kind} "{value.node_id}" itself. {output} the order alone write a >> b.'
            )
        raise NotPlainError(f"{path} is the module {value.__name__}. Import it inside the task.")

    def xcom(self, value: XComRef, path: str, depth: int) -> Any:
        """Return a reference to a task's output."""
        return {TAG: "xcom", "task_id": value.task_id, "key": value.key}

    def mapped(self, value: MapRef, path: str, depth: int) -> Any:
        """Return a reference with a function applied."""
        source = self.of(value.source, path, depth + 1)
        return {TAG: "map", "source": source, "function": self.code(value.function, path, depth)}

    def zipped(self, value: ZipRef, path: str, depth: int) -> Any:
        """Return references side by side."""
        sources = self.sequence(value.sources, path, depth)
        fill_value = self.of(value.fill_value, path, depth + 1)
        return {TAG: "zip", "sources": sources, "fill": value.fill, "fill_value": fill_value}

    def concatenated(self, value: ConcatRef, path: str, depth: int) -> Any:
        """Return references one after the other."""
        return {TAG: "concat", "sources": self.sequence(value.sources, path, depth)}

    def item(self, value: GroupItem, path: str, depth: int) -> Any:
        """Return a reference to a mapped group's element."""
        return {TAG: "item", "group": value.group.group_id, "name": value.name}


def _text(value: str, path: str) -> str:
    if len(value) > TEXT_CHARS_MAX:
        raise NotPlainError(
            f"{path} has {len(value):,} characters; at most {TEXT_CHARS_MAX:,} can be stored with a DAG. Put it into a "
            "file and pass the path."
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotPlainError(
            f"{path} has half of a character (a surrogate, {value[error.start]!r}) at position {error.start}, which "
            "is not text. Decode the bytes it came from with the right encoding."
        ) from None
    return str(value)


def _integer(value: int, _path: str) -> Any:
    return int(value) if -_INT_MAX <= value <= _INT_MAX else {TAG: "int", "value": str(value)}


def _float(value: float, path: str) -> Any:
    if not math.isfinite(value):
        raise NotPlainError(f"{path} is {value}, which JSON cannot hold. Use None for a missing number.")
    return float(value)


def _binary(value: Any, path: str) -> Any:
    if len(value) > TEXT_CHARS_MAX:
        raise NotPlainError(
            f"{path} has {len(value):,} bytes; at most {TEXT_CHARS_MAX:,}. Put them into a file."
        )
    return {TAG: "bytes", "value": base64.b64encode(bytes(value)).decode("ascii")}


def _article(name: str) -> str:
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _shown(value: Any) -> str:
    try:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{value!r:.60}")
    except Exception as error:  # noqa: BLE001 - repr of an author's class is user code
        return f"its repr fails: {type(error).__name__}"


_SIMPLE: dict[type, Callable[[Any, str], Any]] = {
    str: _text,
    int: _integer,
    float: _float,
    bytes: _binary,
    bytearray: _binary,
    date: lambda value, _path: {TAG: "date", "value": value.isoformat()},
    time: lambda value, _path: {TAG: "time", "value": value.isoformat()},
    timedelta: lambda value, _path: {TAG: "timedelta", "value": value / timedelta(microseconds=1)},
    Decimal: lambda value, _path: {TAG: "decimal", "value": str(value)},
    range: lambda value, _path: {TAG: "range", "value": [value.start, value.stop, value.step]},
    re.Pattern: lambda value, _path: {TAG: "pattern", "value": [value.pattern, value.flags]},
}

# In this order, because some kinds are subclasses of later ones.
_KINDS: tuple[tuple[Any, Callable[[_View, Any, str, int], Any]], ...] = (
    (datetime, _View.moment),
    (UUID, _View.uuid),
    (XComRef, _View.xcom),
    (MapRef, _View.mapped),
    (ZipRef, _View.zipped),
    (ConcatRef, _View.concatenated),
    (GroupItem, _View.item),
    ((Node, NodeFunction, ModuleType), _View.refuse),
    (Enum, _View.enum),
    (Asset, lambda _view, value, _path, _depth: {TAG: "asset", "value": value.name, "uri": value.uri}),
    (PurePath, lambda _view, value, _path, _depth: {TAG: "path", "value": value.as_posix()}),
    (tzinfo, lambda _view, value, _path, _depth: {TAG: "timezone", "value": str(value)}),
    (str, lambda _view, value, path, _depth: _text(value, path)),
    (int, lambda _view, value, path, _depth: _integer(value, path)),
    (float, lambda _view, value, path, _depth: _float(value, path)),
    (functools.partial, _View.partial),
    ((type, FunctionType, BuiltinFunctionType, MethodType), _View.code),
    ((list, tuple), _View.sequence),
    ((set, frozenset), _View.unordered),
    (Mapping, _View.mapping),
)
