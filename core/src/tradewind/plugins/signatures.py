"""Why a plugin's functions do not fit the hooks, in words that say what to change."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tradewind import hookspecs

_MARK = f"{hookspecs.PROJECT}_impl"  # where pluggy's marker leaves its options
_SPEC_MARK = f"{hookspecs.PROJECT}_spec"


def hooks() -> dict[str, inspect.Signature]:
    """Return every hook with its signature, in calling order."""
    return {
        name: inspect.signature(function)
        for name, function in vars(hookspecs).items()
        if inspect.isfunction(function) and hasattr(function, _SPEC_MARK)
    }


def marked(module: ModuleType) -> dict[str, Any]:
    """Return the functions of a module that are marked as hooks, by the name of the hook they are for."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        options = getattr(value, _MARK, None)
        if isinstance(options, dict):
            found[options.get("specname") or name] = value
    return found


def problems(module: ModuleType) -> list[str]:
    """Return what keeps a module from being a plugin, a sentence each; empty when nothing does."""
    known = hooks()
    functions = marked(module)
    if not functions:
        return [
            "it has no function marked @hookimpl. Write: from tradewind.hookspecs import hookimpl, and mark its hooks."
        ]
    return [
        problem for name, function in functions.items() for problem in _problems_of(name, function, known)
    ]


def _problems_of(name: str, function: Any, known: Mapping[str, inspect.Signature]) -> list[str]:
    line = function.__code__.co_firstlineno if inspect.isfunction(function) else None
    where = f"{name}() (line {line})" if line else f"{name}()"
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f'Did you mean "{near[0]}"?' if near else f"There are: {', '.join(known)}."
        return [f"{where} is marked @hookimpl, but there is no such hook. {hint}"]
    options = getattr(function, _MARK)
    if options.get("wrapper") or options.get("hookwrapper"):
        return [
            f"{where} is a wrapper; each plugin is called by itself, so there is nothing to wrap. Drop wrapper=."
        ]
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        return [f"{where} is a coroutine or a generator; a hook is a plain function that returns its answer."]
    return _parameter_problems(where, function, known[name])


def _parameter_problems(where: str, function: Any, wanted: inspect.Signature) -> list[str]:
    offered = list(wanted.parameters)
    shown = f"({', '.join(offered)})"
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            found.append(f"{where} takes {parameter}; name the parameters you need. The hook offers {shown}.")
        elif parameter.kind is parameter.KEYWORD_ONLY:
            found.append(
                f'{where} takes "{parameter.name}" by keyword only; take it plainly. The hook offers {shown}.'
            )
        elif parameter.name not in offered and parameter.default is parameter.empty:
            near = difflib.get_close_matches(parameter.name, offered, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            found.append(f'{where} takes "{parameter.name}"; the hook offers {shown}.{hint}')
    return found
