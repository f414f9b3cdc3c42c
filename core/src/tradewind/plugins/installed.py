"""Plugins of installed distributions: entry points of the group ``tradewind``."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from tradewind.errors import PluginError
from tradewind.hookspecs import PROJECT
from tradewind.plugins.candidates import Candidate, Origin

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def installed_candidates() -> list[Candidate]:
    """Return the plugins that installed distributions offer, by name; none of them is imported."""
    from importlib.metadata import entry_points

    return entry_point_candidates(entry_points(group=PROJECT))


def entry_point_candidates(found: Iterable[EntryPoint]) -> list[Candidate]:
    """Return candidates for entry points; the same one found on two paths counts once."""
    unique = {(point.name, point.value): point for point in found}
    return [
        Candidate(name, Origin.INSTALLED, _place(point), functools.partial(_load, point))
        for (name, _), point in sorted(unique.items())
    ]


def _place(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _load(point: EntryPoint) -> ModuleType:
    loaded = point.load()
    if not isinstance(loaded, ModuleType):
        raise PluginError(
            f'the entry point {point.name} = "{point.value}" is no module; name the module of the hooks'
        )
    return loaded
