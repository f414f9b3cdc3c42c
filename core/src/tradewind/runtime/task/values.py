"""XCom values as JSON text: what JSON has no word for is written with fixed tags.

A tag is ``{"__tw__": kind, "value": …}``. Kinds: ``datetime date time timedelta decimal uuid bytes path
tuple set frozenset int float dict`` and, for classes of the author, ``enum dataclass model``. Text becomes
values only here, in the task process; a class is looked up among the modules that are loaded already and
that the DAG's folder holds (or that were registered), never imported by its stored name.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from tradewind.domain import codec
from tradewind.errors import LimitError, TradewindError
from tradewind.ports.runtime_api import XCOM_BYTES_MAX

TAG = "__tw__"
DEPTH_MAX = 100  # nesting beyond this is a structure that refers to itself
_INT_MAX = 2**63
_PLAIN = frozenset({str, bool, type(None)})


class ValueProblem(TradewindError, TypeError):
    """A value that cannot travel between tasks; the message names where it sits and what to pass instead."""


# ---- values to text ----------------------------------------------------------------------------------


def encode(value: Any, *, where: str = "return_value", task: str = "") -> str:
    """Return ``value`` as canonical JSON text: equal values give equal text.

    ``ValueProblem`` for what cannot travel, ``LimitError`` above ``XCOM_BYTES_MAX``; both name ``where``.
    """
    try:
        data = codec.encode(tagged(value, where))
        text = data.decode("utf-8")
    except (UnicodeError, msgspec.MsgspecError, OverflowError) as error:
        raise ValueProblem(f"{where} cannot be written as JSON: {error}") from None
    if len(data) > XCOM_BYTES_MAX:
        raise LimitError(
            f"{where}{f' of task {task!r}' if task else ''} has {len(data) / 2**20:.1f} MiB; at most "
            f"{XCOM_BYTES_MAX // 2**20} MiB can be passed between tasks. Write it to a file, table or bucket "
            "and return its path or key"
        )
    return text


def tagged(value: Any, where: str = "value", depth: int = 0) -> Any:
    """Return ``value`` built of JSON types, tags included; ``ValueProblem`` names what has none."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if depth > DEPTH_MAX:
        raise ValueProblem(
            f"{where[:80]}… is nested more than {DEPTH_MAX} deep, or contains itself; return a flat structure"
        )
    if kind is list:
        return [tagged(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
    if kind is dict:
        return _tag_dict(value, where, depth)
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    if isinstance(value, tuple | set | frozenset):
        return _tag_items(value, where, depth)
    return _tag_special(value, where, depth)


def _tag_dict(value: Mapping[Any, Any], where: str, depth: int) -> Any:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: tagged(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    pairs = [
        [tagged(key, f"a key of {where}", depth + 1), tagged(item, f"{where}[{key!r}]", depth + 1)]
        for key, item in value.items()
    ]
    return {TAG: "dict", "value": pairs}


def _tag_items(value: Any, where: str, depth: int) -> Any:
    items = [tagged(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value)]
    if isinstance(value, tuple):
        return {TAG: "tuple", "value": items}
    kind = "frozenset" if isinstance(value, frozenset) else "set"
    return {TAG: kind, "value": sorted(items, key=codec.encode)}


def _tag_special(value: Any, where: str, depth: int) -> Any:
    """Write enums, the author's classes, subclasses of known types and the scalars of numeric libraries."""
    if isinstance(value, Enum):
        return {TAG: "enum", "class": _class_name(value, where), "value": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return _tag_object("dataclass", value, fields, where, depth)
    if _is_model(type(value)):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        return _tag_object("model", value, fields, where, depth)
    for known, writer in _WRITERS.items():
        if isinstance(value, known):
            return writer(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Sequence):
        return tagged(list(value), where, depth)
    if isinstance(value, Mapping):
        return _tag_dict(dict(value), where, depth)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return tagged(value.item(), where, depth)
    raise ValueProblem(_advice(value, where))


def _tag_object(kind: str, value: Any, fields: dict[str, Any], where: str, depth: int) -> Any:
    return {
        TAG: kind,
        "class": _class_name(value, where),
        "value": {name: tagged(item, f"{where}.{name}", depth + 1) for name, item in fields.items()},
    }


def _class_name(value: Any, where: str) -> str:
    owner = type(value)
    if "<locals>" in owner.__qualname__:
        raise ValueProblem(
            f"{where} is a {owner.__qualname__}, a class made inside a function; define it at module level"
        )
    return f"{owner.__module__}:{owner.__qualname__}"


def _is_model(kind: type) -> bool:
    """Whether ``kind`` is a pydantic model; pydantic is not imported to find out."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _advice(value: Any, where: str) -> str:
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else kind.__qualname__
    if hasattr(value, "to_parquet") or hasattr(value, "write_parquet") or hasattr(value, "__array__"):
        tell = "write it to a file (df.to_parquet(path)) and return the path; the next task reads it there"
    elif callable(getattr(value, "__next__", None)):
        tell = "return list(…) of it"
    elif callable(value):
        tell = "call it and return the result"
    else:
        tell = "return JSON types, a dataclass, or the path or key of where the data lies"
    return f"{where} is a {name}, which cannot be passed between tasks: {tell}"


def _write_int(value: int) -> Any:
    return int(value) if -_INT_MAX <= value < _INT_MAX else {TAG: "int", "value": str(int(value))}


def _write_float(value: float) -> Any:
    return float(value) if math.isfinite(value) else {TAG: "float", "value": repr(float(value))}


def _write_datetime(value: datetime) -> Any:
    tag = {TAG: "datetime", "value": value.isoformat()}
    zone = getattr(value.tzinfo, "key", None)
    if isinstance(zone, str):
        tag["zone"] = zone
    if value.fold:
        tag["fold"] = "1"
    return tag


def _write_bytes(value: bytes | bytearray) -> Any:
    return {TAG: "bytes", "value": base64.b64encode(value).decode("ascii")}


def _write_timedelta(value: timedelta) -> Any:
    return {TAG: "timedelta", "value": [value.days, value.seconds, value.microseconds]}


def _as_text(kind: str) -> Callable[[Any], Any]:
    return lambda value: {TAG: kind, "value": str(value)}


# datetime stands before date: it is one.
_WRITERS: dict[type, Callable[[Any], Any]] = {
    int: _write_int,
    float: _write_float,
    datetime: _write_datetime,
    date: lambda value: {TAG: "date", "value": value.isoformat()},
    time: lambda value: {TAG: "time", "value": value.isoformat()},
    timedelta: _write_timedelta,
    Decimal: _as_text("decimal"),
    UUID: _as_text("uuid"),
    bytes: _write_bytes,
    bytearray: _write_bytes,
    PurePath: _as_text("path"),
}


# ---- text to values ----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Types:
    """Which classes stored values may become: of loaded modules below ``folder``, and registered ones."""

    folder: Path | None = None
    registered: frozenset[type] = frozenset()

    def find(self, name: str) -> type:
        """Return the class stored as ``module:qualname``; ``ValueProblem`` when it may not be used."""
        for kind in self.registered:
            if f"{kind.__module__}:{kind.__qualname__}" == name:
                return kind
        module_name, _, path = name.partition(":")
        module = sys.modules.get(module_name)
        if module is None or not self._holds(module):
            raise ValueProblem(
                f"a stored value is a {name}, but this task knows no such class: define it in the DAG file "
                "or in a module of the DAG folder that the file imports"
            )
        found: Any = module
        for part in path.split("."):
            found = getattr(found, part, None)
        if not isinstance(found, type):
            raise ValueProblem(f"a stored value is a {name}, but {module_name} has no class {path} any more")
        return found

    def _holds(self, module: Any) -> bool:
        file = getattr(module, "__file__", None)
        if self.folder is None or not file:
            return False
        return Path(file).resolve().is_relative_to(self.folder.resolve())


NO_TYPES = Types()


def decode(text: str | bytes, types: Types = NO_TYPES) -> Any:
    """Return the value that :func:`encode` wrote; ``ValueProblem`` when it cannot be read."""
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ValueProblem(f"a stored value is no JSON: {error}") from None
    marker = TAG if isinstance(text, str) else TAG.encode()
    return untagged(value, types) if marker in text else value  # type: ignore[operator]


def untagged(value: Any, types: Types = NO_TYPES) -> Any:
    """Return the value of a JSON structure with tags."""
    if isinstance(value, list):
        return [untagged(item, types) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: untagged(item, types) for key, item in value.items()}
    reader = _READERS.get(value[TAG])
    if reader is None:
        raise ValueProblem(f"a stored value has the unknown tag {value[TAG]!r}; a newer Tradewind wrote it")
    try:
        return reader(value, types)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        if isinstance(error, ValueProblem):
            raise
        raise ValueProblem(f"a stored {value[TAG]} cannot be read: {error}") from None


def plain(value: Any) -> Any:
    """Return a JSON structure with its tags replaced by what people read."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if TAG not in value:
        return {key: plain(item) for key, item in value.items()}
    inner = value.get("value")
    if value[TAG] == "dict":
        return {_key_text(plain(key)): plain(item) for key, item in inner or ()}
    if value[TAG] == "timedelta":
        days, seconds, microseconds = inner or (0, 0, 0)
        return timedelta(days=days, seconds=seconds, microseconds=microseconds).total_seconds()
    return plain(inner)


def _key_text(key: Any) -> str:
    return key if isinstance(key, str) else codec.encode(key).decode()


def _read_datetime(tag: dict[str, Any], _types: Types) -> datetime:
    value = datetime.fromisoformat(tag["value"])
    if "zone" in tag:
        value = value.replace(tzinfo=ZoneInfo(tag["zone"]))
    return value.replace(fold=1) if "fold" in tag else value


def _read_object(tag: dict[str, Any], types: Types) -> Any:
    kind = types.find(tag["class"])
    fields = {name: untagged(item, types) for name, item in tag["value"].items()}
    if tag[TAG] == "model" and _is_model(kind):
        return kind.model_validate(fields)  # type: ignore[attr-defined]
    if tag[TAG] == "dataclass" and dataclasses.is_dataclass(kind):
        return kind(**fields)
    raise ValueProblem(f"a stored value was a {tag[TAG]} {tag['class']}, which this class is not any more")


def _read_enum(tag: dict[str, Any], types: Types) -> Any:
    kind = types.find(tag["class"])
    if not issubclass(kind, Enum):
        raise ValueProblem(f"a stored value was an enum {tag['class']}, which this class is not any more")
    return kind[tag["value"]]


def _items(tag: dict[str, Any], types: Types) -> Iterable[Any]:
    return [untagged(item, types) for item in tag["value"]]


_READERS: dict[str, Callable[[dict[str, Any], Types], Any]] = {
    "int": lambda tag, _: int(tag["value"]),
    "float": lambda tag, _: float(tag["value"]),
    "datetime": _read_datetime,
    "date": lambda tag, _: date.fromisoformat(tag["value"]),
    "time": lambda tag, _: time.fromisoformat(tag["value"]),
    "timedelta": lambda tag, _: timedelta(*tag["value"]),
    "decimal": lambda tag, _: Decimal(tag["value"]),
    "uuid": lambda tag, _: UUID(tag["value"]),
    "bytes": lambda tag, _: base64.b64decode(tag["value"], validate=True),
    "path": lambda tag, _: Path(tag["value"]),
    "tuple": lambda tag, types: tuple(_items(tag, types)),
    "set": lambda tag, types: set(_items(tag, types)),
    "frozenset": lambda tag, types: frozenset(_items(tag, types)),
    "dict": lambda tag, types: {untagged(key, types): untagged(item, types) for key, item in tag["value"]},
    "enum": _read_enum,
    "dataclass": _read_object,
    "model": _read_object,
}
