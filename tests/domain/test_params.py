"""Params: defaults, overrides, and an error that says which, what and what instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.domain.params import CONF_BYTES_MAX, check_schema, resolve_params
from tradewind.domain.spec import ParamSpec
from tradewind.errors import ParamError

_REGION = ParamSpec(name="region", default="eu", schema={"type": "string", "enum": ["eu", "us"]})
_COUNT = ParamSpec(name="count", has_default=False, schema={"type": "integer", "minimum": 1})
_ROWS = ParamSpec(
    name="rows",
    default=[],
    schema={"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}},
)


def test_defaults_and_overrides() -> None:
    assert resolve_params([_REGION, _COUNT], {"count": 3}) == {"region": "eu", "count": 3}
    assert resolve_params([_REGION], {"region": "us", "other": [1]}) == {"region": "us", "other": [1]}


def test_nothing_is_shared() -> None:
    default: list[Any] = [[1]]
    given_rows: list[Any] = [{"id": 1}]
    specs = [ParamSpec(name="lists", default=default), _ROWS]
    params = resolve_params(specs, {"rows": given_rows, "free": given_rows})
    params["lists"][0].append(2)
    params["rows"][0]["id"] = 9
    params["free"].append("x")
    assert (default, given_rows) == ([[1]], [{"id": 1}])


@pytest.mark.parametrize(
    ("specs", "conf", "message"),
    [
        ([_REGION], {"region": "mars"}, "param 'region' is 'mars', but it must be one of 'eu', 'us'"),
        ([_COUNT], {"count": 0}, "param 'count' is 0, but it must be at least 1"),
        ([_COUNT], {"count": "3"}, "param 'count' is '3', but it must be of type integer"),
        ([_COUNT], {}, "param 'count' has no default: give it a value ('integer')"),
        (
            [_ROWS],
            {"rows": [{"id": 1}, {"id": "x"}]},
            "param 'rows'[1]['id'] is 'x', but it must be of type integer",
        ),
        (
            [_REGION, _COUNT],
            {"region": "mars"},
            (
                "param 'region' is 'mars', but it must be one of 'eu', 'us'; "
                "param 'count' has no default: give it a value ('integer')"
            ),
        ),
        (
            [ParamSpec(name="day", default="2026-01-01", schema={"type": "string", "format": "date"})],
            {"day": "soon"},
            "param 'day' is 'soon', but it must be a date",
        ),
    ],
)
def test_what_is_wrong_is_said(specs: list[ParamSpec], conf: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamError) as caught:
        resolve_params(specs, conf)
    assert str(caught.value) == message


def test_unknown_keys_can_be_refused() -> None:
    with pytest.raises(ParamError) as caught:
        resolve_params([_REGION], {"regoin": "us"}, allow_unknown=False)
    assert str(caught.value) == "conf has 'regoin', but the DAG takes only its params: region"


def test_a_default_of_none_means_not_set() -> None:
    spec = ParamSpec(name="day", default=None, schema={"type": "string"})
    check_schema(spec)
    assert resolve_params([spec], {}) == {"day": None}
    with pytest.raises(ParamError, match="must be of type string"):
        resolve_params([spec], {"day": None})


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ([1], r"conf must be a JSON object such as .* not \[1\]"),
        ({1: 2}, "conf must be a JSON object"),
        ({"x": object()}, "conf cannot be written as JSON"),
        ({"x": "y" * CONF_BYTES_MAX}, r"conf has 65,544 bytes as JSON; at most 65,536 are allowed"),
    ],
)
def test_a_conf_that_is_none(conf: Any, message: str) -> None:
    with pytest.raises(ParamError, match=message):
        resolve_params([], conf)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (ParamSpec(name="x", schema={"type": "text"}), "param 'x' has a schema that is no JSON schema"),
        (
            ParamSpec(name="x", default=1, schema={"type": "string"}),
            "a default does not fit its own schema: param 'x'",
        ),
        (
            ParamSpec(name="x", schema={"anyOf": [{"$ref": "https://example.com/s.json"}]}),
            "refers to 'https://example.com/s.json'; only references inside",
        ),
    ],
)
def test_schemas_are_checked_when_compiled(spec: ParamSpec, message: str) -> None:
    with pytest.raises(ParamError, match=message):
        check_schema(spec)


def test_references_inside_a_schema_are_followed() -> None:
    spec = ParamSpec(
        name="x", has_default=False, schema={"$defs": {"n": {"maximum": 5}}, "$ref": "#/$defs/n"}
    )
    check_schema(spec)
    assert resolve_params([spec], {"x": 5}) == {"x": 5}
    with pytest.raises(ParamError, match="must be at most 5"):
        resolve_params([spec], {"x": 6})


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), _json, max_size=4),
    st.dictionaries(st.text(max_size=4), _json, max_size=4),
)
def test_without_schemas_the_conf_lies_over_the_defaults(
    defaults: dict[str, Any], conf: dict[str, Any]
) -> None:
    specs = [ParamSpec(name=name, default=value) for name, value in defaults.items()]
    assert resolve_params(specs, conf) == defaults | conf
