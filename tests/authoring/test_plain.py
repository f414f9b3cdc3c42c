"""The JSON view of arguments: whole values."""

from __future__ import annotations

import enum
import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.authoring.operators import Say
from tradewind import DAG, Asset
from tradewind.authoring.plain import NotPlainError, plain
from tradewind.domain.codec import decode, encode


class Colour(enum.Enum):
    RED = 1


class Word(enum.StrEnum):
    HI = "hi"


@dataclass
class Row:
    name: str
    size: Any = 1


class Pair(NamedTuple):
    a: int
    b: int


class Packed(msgspec.Struct):
    a: int


class Text(str):
    __slots__ = ()


def tag(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"__tw__": kind, "value": value, **more}


HERE = __name__
TABLE = [
    (None, None),
    (True, True),
    (3, 3),
    (2**80, tag("int", str(2**80))),
    (1.5, 1.5),
    ("é", "é"),
    (Text("x"), "x"),
    (b"ab", tag("bytes", "YWI=")),
    ((1, [2]), [1, [2]]),
    (Pair(1, 2), [1, 2]),
    ({"b": 1, "a": 2}, {"b": 1, "a": 2}),
    ({1: "x"}, tag("dict", [[1, "x"]])),
    ({"__tw__": 1}, tag("dict", [["__tw__", 1]])),
    ({3, 1, 2}, tag("set", [1, 2, 3])),
    (range(1, 9, 2), tag("range", [1, 9, 2])),
    (datetime(2026, 1, 1, tzinfo=UTC), tag("datetime", "2026-01-01T00:00:00+00:00")),
    (date(2026, 1, 1), tag("date", "2026-01-01")),
    (time(1, 2), tag("time", "01:02:00")),
    (timedelta(minutes=1), tag("timedelta", 60_000_000.0)),
    (Decimal("1.50"), tag("decimal", "1.50")),
    (UUID(int=1), tag("uuid", "00000000-0000-0000-0000-000000000001")),
    (Path("a/b"), tag("path", "a/b")),
    (ZoneInfo("Europe/Berlin"), tag("timezone", "Europe/Berlin")),
    (re.compile("a", re.ASCII), tag("pattern", ["a", int(re.ASCII)])),
    (Colour.RED, tag("enum", "RED", **{"class": f"{HERE}:Colour"})),
    (Word.HI, tag("enum", "HI", **{"class": f"{HERE}:Word"})),
    (Row("n", {1}), tag("dataclass", {"name": "n", "size": tag("set", [1])}, **{"class": f"{HERE}:Row"})),
    (Packed(1), tag("struct", {"a": 1}, **{"class": f"{HERE}:Packed"})),
    (Asset("s3://b", name="n"), tag("asset", "n", uri="s3://b")),
    (len, tag("callable", "builtins:len", code="")),
    (int, tag("callable", "builtins:int", code="")),
    (functools.partial(len, [1]), tag("callable", "builtins:len", code="", given=[[[1]], {}])),
]


@pytest.mark.parametrize(("value", "view"), TABLE, ids=[repr(row[0])[:40] for row in TABLE])
def test_values_have_one_json_form(value: Any, view: Any) -> None:
    assert plain(value, path="x") == view
    assert decode(encode(view), object) == view


def test_references_are_named() -> None:
    with DAG("d"):
        out = Say(task_id="a").output
    assert plain([out, out["k"].zip([1], fill_value=0), out.concat([2])], path="x") == [
        {"__tw__": "xcom", "task_id": "a", "key": "return_value"},
        {
            "__tw__": "zip",
            "sources": [{"__tw__": "xcom", "task_id": "a", "key": "k"}, [1]],
            "fill": True,
            "fill_value": 0,
        },
        {"__tw__": "concat", "sources": [{"__tw__": "xcom", "task_id": "a", "key": "return_value"}, [2]]},
    ]


class BadRepr:
    def __repr__(self) -> str:
        raise ValueError("no")


def test_objects_are_refused_without_their_address() -> None:
    with pytest.raises(NotPlainError) as caught:
        plain({"a": [object()]}, path="text")
    assert str(caught.value).startswith("text['a'][0] is an object (<object object>), which cannot be stored")
    with pytest.raises(NotPlainError, match="its repr fails: ValueError"):
        plain(BadRepr(), path="text")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(codec="utf-8")).filter("__tw__".__ne__), inner)
    ),
)


@given(JSON)
def test_json_is_its_own_view(value: Any) -> None:
    assert plain(value, path="x") == value
