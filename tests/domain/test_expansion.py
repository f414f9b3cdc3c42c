"""Expansion against Python's own product, zip and chain over real lists."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.expansion import (
    Apply,
    Element,
    Fetch,
    Length,
    Problem,
    Together,
    Value,
    elements,
    length,
    locate,
    product_position,
)
from tradewind.domain.spec import (
    ConcatInput,
    ExpandInput,
    ExpandSpec,
    LiteralInput,
    MapInput,
    RefInput,
    ZipInput,
)

_SOURCES = {"a": [10, 11, 12], "b": [20], "none": [], "d": [30, 31, 32, 33]}


def _lookup(task_id: str, key: str) -> Length:
    if task_id == "later":
        return None
    if task_id == "odd":
        return Problem("odd pushed an int, which cannot be mapped")
    return len(_SOURCES[task_id])


def _value(element: Element) -> Any:
    match element:
        case Value(value=value):
            return value
        case Fetch(task_id=task_id, index=index):
            return _SOURCES[task_id][index]
        case Apply(element=inner):
            return ("f", _value(inner))
        case Together(elements=parts):
            return tuple(_value(part) for part in parts)


def _content(source: ExpandInput) -> list[Any]:
    """The whole input, computed the plain way."""
    match source:
        case LiteralInput(value=dict() as value):
            return list(value.items())
        case LiteralInput(value=value):
            return list(value)
        case RefInput(task_id=task_id):
            return _SOURCES[task_id]
        case MapInput(source=inner):
            return [("f", one) for one in _content(inner)]
        case ZipInput(sources=sources, fill=True, fill_value=fill_value):
            return list(itertools.zip_longest(*map(_content, sources), fillvalue=fill_value))
        case ZipInput(sources=sources):
            return list(zip(*map(_content, sources), strict=False))
        case ConcatInput(sources=sources):
            return list(itertools.chain(*map(_content, sources)))


_literal: st.SearchStrategy[ExpandInput] = st.builds(
    LiteralInput,
    value=st.lists(st.integers(), max_size=4)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=3),
)
_ref: st.SearchStrategy[ExpandInput] = st.builds(RefInput, task_id=st.sampled_from(sorted(_SOURCES)))


def _wrap(inner: st.SearchStrategy[ExpandInput]) -> st.SearchStrategy[ExpandInput]:
    several = st.lists(inner, max_size=3).map(tuple)
    return (
        st.builds(MapInput, source=inner, function=st.just("f"))
        | st.builds(ZipInput, sources=several, fill=st.booleans(), fill_value=st.just("fill"))
        | st.builds(ConcatInput, sources=several)
    )


_inputs = st.recursive(_literal | _ref, _wrap, max_leaves=6)


@given(st.lists(_inputs, min_size=1, max_size=3))
def test_a_product_is_pythons_product(inputs: list[ExpandInput]) -> None:
    expand = ExpandSpec(inputs=tuple((f"x{place}", one) for place, one in enumerate(inputs)))
    expected = [
        {f"x{place}": value for place, value in enumerate(row)}
        for row in itertools.product(*map(_content, inputs))
    ]
    assert length(expand, _lookup, limit=10**9) == len(expected)
    got = [
        {name: _value(element) for name, element in elements(expand, index, _lookup).items()}
        for index in range(len(expected))
    ]
    assert got == expected


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_positions_count_up_with_the_last_argument_fastest(lengths: list[int]) -> None:
    count = 1
    for one in lengths:
        count *= one
    got = [product_position(index, lengths) for index in range(count)]
    assert got == list(itertools.product(*(range(one) for one in lengths)))


@pytest.mark.parametrize(("index", "lengths"), [(6, (2, 3)), (-1, (2, 3)), (0, (2, 0))])
def test_a_position_past_the_end_is_refused(index: int, lengths: tuple[int, ...]) -> None:
    with pytest.raises(IndexError, match="the number of instances"):
        product_position(index, lengths)


def _refs(*task_ids: str) -> ExpandSpec:
    return ExpandSpec(inputs=tuple((task_id, RefInput(task_id=task_id)) for task_id in task_ids))


@pytest.mark.parametrize(
    ("expand", "expected"),
    [
        (_refs("a"), 3),
        (_refs("a", "d"), 12),
        (_refs("a", "none"), 0),
        (_refs("a", "later"), None),
        (_refs("later", "none"), None),
        (_refs("later", "odd"), Problem("odd pushed an int, which cannot be mapped")),
        (ExpandSpec(mode="kwargs", inputs=(("", RefInput(task_id="d")),)), 4),
        (ExpandSpec(inputs=(("x", LiteralInput(value={"k": 1, "l": 2})),)), 2),
        (
            ExpandSpec(
                inputs=(("x", ConcatInput(sources=(RefInput(task_id="a"), RefInput(task_id="later")))),)
            ),
            None,
        ),
        (
            ExpandSpec(inputs=(("x", LiteralInput(value=7)),)),
            Problem("expand needs a list or a dict, not int"),
        ),
    ],
)
def test_lengths(expand: ExpandSpec, expected: Length) -> None:
    assert length(expand, _lookup) == expected


def test_the_limit_is_named() -> None:
    assert length(_refs("a", "d"), _lookup, limit=12) == 12
    assert length(_refs("a", "d"), _lookup, limit=11) == Problem(
        "the mapping would make 12 instances (a: 3 x d: 4); the limit max_map_length is 11. "
        "Map over batches, or raise DAG(max_map_length=), at most 200,000"
    )


def test_a_dict_is_mapped_over_its_pairs() -> None:
    assert locate(LiteralInput(value={"k": 1, "l": 2}), 1, _lookup) == Value(("l", 2))


def test_only_one_element_is_fetched() -> None:
    joined = ConcatInput(
        sources=(RefInput(task_id="a"), MapInput(source=RefInput(task_id="d"), function="f"))
    )
    assert locate(joined, 4, _lookup) == Apply("f", Fetch("d", "return_value", 1))
    with pytest.raises(IndexError, match="past the end"):
        locate(joined, 7, _lookup)


def test_kwargs_have_one_nameless_element() -> None:
    expand = ExpandSpec(mode="kwargs", inputs=(("", RefInput(task_id="a", key="rows")),))
    assert elements(expand, 2, _lookup) == {"": Fetch("a", "rows", 2)}


@pytest.mark.parametrize(("task_id", "message"), [("later", "not finished"), ("odd", "odd pushed an int")])
def test_elements_of_an_unfinished_source_are_refused(task_id: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        elements(_refs(task_id), 0, _lookup)
