"""Run parameters: a run's conf checked against what its DAG declares, with defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from tradewind.domain.codec import encode
from tradewind.domain.spec import ParamSpec
from tradewind.errors import ParamError

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

CONF_BYTES_MAX = 64 * 1024  # a conf is read with every claim of its run; data belongs into files or XComs
_PROBLEMS_MAX = 5  # of one parameter; the first say enough
_SHOWN_CHARS_MAX = 120


def resolve_params(
    specs: Sequence[ParamSpec], conf: Mapping[str, Any], *, allow_unknown: bool = True
) -> dict[str, Any]:
    """Return the params of a run: the defaults, overridden by ``conf``, each checked against its JSON schema.

    Keys that nobody declared reach the tasks as they are; with ``allow_unknown=False`` they are refused.
    A default of None without a value given is not checked: it means "not set".
    The result shares nothing with the specs or the conf.

    ``ParamError`` names every wrong parameter, its value and what is allowed; it is also raised for a
    parameter without default and value, a conf that is no JSON object, and one above ``CONF_BYTES_MAX``.
    """
    _check_conf(conf)
    problems: list[str] = []
    params: dict[str, Any] = {}
    for spec in specs:
        if spec.name in conf:
            params[spec.name] = deepcopy(conf[spec.name])
            problems += _problems(spec, params[spec.name])
        elif spec.has_default:
            params[spec.name] = deepcopy(spec.default)
            problems += _problems(spec, spec.default) if spec.default is not None else []
        else:
            problems.append(f"param {spec.name!r} has no default: give it a value{_described(spec)}")
    unknown = [name for name in conf if name not in params and name not in {spec.name for spec in specs}]
    if unknown and not allow_unknown:
        names = ", ".join(spec.name for spec in specs) or "none"
        problems.append(
            f"conf has {', '.join(map(repr, unknown))}, but the DAG takes only its params: {names}"
        )
    if problems:
        raise ParamError("; ".join(problems))
    return params | {name: deepcopy(conf[name]) for name in unknown}


def check_schema(spec: ParamSpec) -> None:
    """Raise :class:`ParamError` when the schema is no JSON schema, or when the default does not fit it.

    Made for the compiler: runs then only meet schemas that work. References must stay inside the schema
    (``#/…``), because nothing is ever fetched to check a parameter.
    """
    import jsonschema

    try:
        jsonschema.Draft202012Validator.check_schema(spec.schema)
    except jsonschema.SchemaError as error:
        raise ParamError(
            f"param {spec.name!r} has a schema that is no JSON schema: {error.message}"
        ) from None
    outside = _outside_reference(spec.schema)
    if outside is not None:
        raise ParamError(
            f"the schema of param {spec.name!r} refers to {outside!r}; "
            "only references inside it (#/…) are followed"
        )
    problems = _problems(spec, spec.default) if spec.has_default and spec.default is not None else []
    if problems:
        raise ParamError(f"a default does not fit its own schema: {problems[0]}")


def _check_conf(conf: Mapping[str, Any]) -> None:
    if not isinstance(conf, Mapping) or not all(isinstance(name, str) for name in conf):
        raise ParamError(f'conf must be a JSON object such as {{"region": "eu"}}, not {_shown(conf)}')
    try:
        size = len(encode(dict(conf)))
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ParamError(f"conf cannot be written as JSON: {error}") from None
    if size > CONF_BYTES_MAX:
        raise ParamError(
            f"conf has {size:,} bytes as JSON; at most {CONF_BYTES_MAX:,} are allowed. "
            "Put the data into a file and pass its path"
        )


def _problems(spec: ParamSpec, value: Any) -> list[str]:
    if not spec.schema:
        return []
    found = sorted(_validator(spec.schema).iter_errors(value), key=_order)
    return [
        f"param {spec.name!r}{_place(error)} is {_shown(error.instance)}, but {_wanted(error)}"
        for error in found[:_PROBLEMS_MAX]
    ]


def _validator(schema: Mapping[str, Any]) -> Validator:
    # Imported here: it costs some 50 ms, and most DAGs have no params with a schema.
    import jsonschema
    import referencing

    kind = jsonschema.Draft202012Validator
    # An empty registry: the default one would fetch a reference over the network.
    return kind(schema, registry=referencing.Registry(), format_checker=kind.FORMAT_CHECKER)


def _outside_reference(schema: Any) -> str | None:
    """Return the first reference that leaves the schema."""
    pending = [schema]
    while pending:
        one = pending.pop()
        if isinstance(one, Mapping):
            target = one.get("$ref", "#")
            if isinstance(target, str) and not target.startswith("#"):
                return target
            pending += one.values()
        elif isinstance(one, list | tuple):
            pending += one
    return None


def _order(error: ValidationError) -> tuple[list[str], str]:
    return [str(part) for part in error.absolute_path], error.message


def _place(error: ValidationError) -> str:
    """Return where inside the parameter: ``[0]['name']``, empty for the parameter itself."""
    return "".join(f"[{part!r}]" for part in error.absolute_path)


_WANTED = MappingProxyType(
    {
        "minimum": "it must be at least {}",
        "maximum": "it must be at most {}",
        "exclusiveMinimum": "it must be greater than {}",
        "exclusiveMaximum": "it must be less than {}",
        "multipleOf": "it must be a multiple of {}",
        "minLength": "it must have at least {} characters",
        "maxLength": "it must have at most {} characters",
        "minItems": "it must have at least {} items",
        "maxItems": "it must have at most {} items",
        "pattern": "it must match the pattern {}",
        "format": "it must be a {}",
        "const": "it must be {!r}",
    }
)


def _wanted(error: ValidationError) -> str:
    """Return what is allowed there, as a clause for people."""
    value = error.validator_value
    if error.validator == "enum" and isinstance(value, Sequence):
        return f"it must be one of {', '.join(map(_shown, value))}"
    if error.validator == "type" and isinstance(value, Sequence):
        kinds = [value] if isinstance(value, str) else value
        return f"it must be of type {' or '.join(map(str, kinds))}"
    words = _WANTED.get(str(error.validator))
    return words.format(value) if words else error.message


def _described(spec: ParamSpec) -> str:
    """Return what may be given, as far as the schema says it shortly."""
    if "enum" in spec.schema:
        return f" (one of {', '.join(map(_shown, spec.schema['enum']))})"
    if "type" in spec.schema:
        return f" ({_shown(spec.schema['type'])})"
    return ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"
