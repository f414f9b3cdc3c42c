"""XCom values survive the way through JSON, and what cannot says so."""

import collections
import dataclasses
import enum
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.errors import LimitError
from tradewind.runtime.task.values import Types, ValueProblem, decode, encode, plain

HERE = Types(folder=Path(__file__).parent)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    at: datetime


class Pair(collections.namedtuple("Pair", "a b")):  # noqa: PYI024 - the untyped one is what must work
    __slots__ = ()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes(timezones=st.just(ZoneInfo("Europe/Berlin")), allow_imaginary=False)
    | st.just(Colour.RED)
    | st.builds(Point, x=st.integers(), at=st.datetimes())
)
keys = st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.just("__tw__")
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.frozensets(scalars, max_size=4)
        | st.sets(scalars, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_every_value_comes_back(value: object) -> None:
    text = encode(value)
    found = decode(text, HERE)
    assert (found, type(found)) == (value, type(value))
    assert encode(found) == text


@given(values)
def test_the_readable_form_is_plain_json(value: object) -> None:
    assert "__tw__" not in json.dumps(plain(json.loads(encode(value)))).replace('"__tw__": ', "")


def test_values_that_need_no_tag_have_none() -> None:
    assert encode({"b": [1, 2.5, None, True], "a": "é"}) == '{"a":"é","b":[1,2.5,null,true]}'


def test_the_zone_survives() -> None:
    at = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    found = decode(encode(at))
    assert (found, found.tzinfo, found.fold) == (at, at.tzinfo, 1)


def test_a_named_tuple_becomes_a_tuple() -> None:
    assert decode(encode(Pair(1, 2))) == (1, 2)


def test_paths_and_floats_beyond_json() -> None:
    assert decode(encode(Path("a/b"))) == Path("a/b")
    assert decode(encode([float("inf"), -float("inf")])) == [float("inf"), -float("inf")]
    assert encode(float("nan")) == '{"__tw__":"float","value":"nan"}'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(minutes=1), 60.0),
        (date(2026, 1, 2), "2026-01-02"),
        (time(6, 5), "06:05:00"),
        (Decimal("1.50"), "1.50"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ((1, (2,)), [1, [2]]),
        ({1: "a"}, {"1": "a"}),
        (Colour.RED, "RED"),
    ],
)
def test_the_readable_form(value: object, text: object) -> None:
    assert plain(json.loads(encode(value))) == text


class Frame:
    """Looks like a data frame."""

    __module__ = "pandas"

    def to_parquet(self, path: str) -> None:
        """Write it."""


def test_a_data_frame_is_refused_with_the_way_to_pass_it() -> None:
    with pytest.raises(ValueProblem) as caught:
        encode({"rows": [1, Frame()]})
    assert str(caught.value) == (
        "return_value['rows'][1] is a pandas.Frame, which cannot be passed between tasks: write it to a file "
        "(df.to_parquet(path)) and return the path; the next task reads it there"
    )


def test_generators_functions_and_local_classes_are_refused() -> None:
    @dataclasses.dataclass
    class Local:
        x: int = 1

    for value, advice in [
        (iter([1]), "return list(…) of it"),
        (len, "call it and return the result"),
        (Local(), "define it at module level"),
        (object(), "return JSON types, a dataclass"),
    ]:
        with pytest.raises(ValueProblem) as caught:
            encode(value)
        assert advice in str(caught.value)


def test_a_structure_that_contains_itself_is_refused() -> None:
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(ValueProblem, match="contains itself"):
        encode(circle)


def test_a_surrogate_is_refused() -> None:
    with pytest.raises(ValueProblem, match="cannot be written as JSON"):
        encode("\ud800")


def test_a_value_above_the_limit_is_refused_with_the_way_out() -> None:
    with pytest.raises(LimitError) as caught:
        encode("x" * (3 * 2**20), task="load")
    assert str(caught.value) == (
        "return_value of task 'load' has 3.0 MiB; at most 1 MiB can be passed between tasks. Write it to a file, "
        "table or bucket and return its path or key"
    )


@pytest.mark.parametrize("name", ["subprocess:Popen", "nosuch:Thing", "pathlib:Path"])
def test_a_stored_class_is_never_imported_from_elsewhere(name: str) -> None:
    text = f'{{"__tw__":"dataclass","class":"{name}","value":{{}}}}'
    with pytest.raises(ValueProblem, match="knows no such class"):
        decode(text, HERE)


def test_only_data_classes_are_made() -> None:
    text = f'{{"__tw__":"dataclass","class":"{__name__}:Frame","value":{{}}}}'
    with pytest.raises(ValueProblem, match="which this class is not any more"):
        decode(text, HERE)


def test_an_unknown_tag_says_so() -> None:
    with pytest.raises(ValueProblem, match="unknown tag 'later'"):
        decode('{"__tw__":"later","value":1}')
