"""Loads plugins and knows how each of them is doing.

What goes wrong with one plugin (it cannot be imported, a hook is misspelt, its name is taken) is recorded there and
shown by ``tradewind plugins list``; the others are loaded as if it were not there. A plugin is loaded whole or not at
all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from enum import StrEnum
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import pluggy

from tradewind import hookspecs
from tradewind.plugins import signatures
from tradewind.plugins.calls import Calls, PluginFailure
from tradewind.plugins.candidates import Candidate, Origin

log = logging.getLogger("tradewind.plugins")


class PluginState(StrEnum):
    """How a plugin is doing."""

    LOADED = "loaded"
    DISABLED = "disabled"  # by [plugins] disabled
    BROKEN = "broken"  # not loaded; ``problems`` says why
    MUTED = "muted"  # it failed too often and is no longer called


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin as people see it."""

    name: str
    origin: Origin
    place: str
    state: PluginState
    hooks: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    seconds_max: float = 0.0


class Implementation(NamedTuple):
    """One plugin's function for one hook."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]


class _Known(msgspec.Struct, kw_only=True):
    candidate: Candidate
    state: PluginState
    module: ModuleType | None = None
    hooks: tuple[str, ...] = ()
    problems: list[str] = []


class PluginManager:
    """The plugins of this process, in the order they were loaded. ``disabled`` names some to leave out."""

    def __init__(self, *, disabled: Collection[str] = (), calls: Calls | None = None) -> None:
        self.calls = calls or Calls()
        self._disabled = frozenset(disabled)
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._known: dict[str, _Known] = {}
        self._clashes: list[_Known] = []

    def load(self, candidates: Iterable[Candidate]) -> None:
        """Load plugins; never raises for what is wrong with one of them."""
        for candidate in candidates:
            known = _Known(candidate=candidate, state=PluginState.BROKEN)
            holder = self._known.get(candidate.name)
            if holder is not None:
                known.problems.append(
                    f'the name "{candidate.name}" is taken by {holder.candidate.place}; rename one of the two'
                    f" ({candidate.place} is not loaded)"
                )
                self._clashes.append(known)
                continue
            self._known[candidate.name] = known
            if candidate.name in self._disabled:
                known.state = PluginState.DISABLED
            else:
                self._load(known)

    def _load(self, known: _Known) -> None:
        candidate = known.candidate
        try:
            module = self.calls.strict(candidate.name, "import", candidate.load)
        except PluginFailure as failure:
            self._break(known, f"importing it failed: {failure}", failure.__cause__)
            return
        except SystemExit:
            self._break(known, "it tried to end the program while it was imported", None)
            return
        for problem in signatures.problems(module):
            self._break(known, problem, None)
        if known.problems:
            return
        try:
            self._pluggy.register(module, name=candidate.name)
            self._pluggy.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            self._break(known, str(error), None)
            if self._pluggy.has_plugin(candidate.name):
                self._pluggy.unregister(name=candidate.name)
            return
        known.module = module
        known.hooks = tuple(signatures.marked(module))
        known.state = PluginState.LOADED

    def _break(self, known: _Known, problem: str, cause: BaseException | None) -> None:
        known.problems.append(problem)
        log.warning(
            "Plugin %s (%s) is not loaded: %s",
            known.candidate.name,
            known.candidate.place,
            problem,
            exc_info=cause,
        )

    def add_problem(self, plugin: str, problem: str) -> None:
        """Record what is wrong with something a loaded plugin declared."""
        known = self._known[plugin]
        if problem not in known.problems:
            known.problems.append(problem)
            log.warning("Plugin %s: %s", plugin, problem)

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the functions for a hook: those marked tryfirst, the others, those marked trylast; as loaded."""
        order = {name: place for place, name in enumerate(self._known)}
        found = sorted(
            getattr(self._pluggy.hook, hook).get_hookimpls(),
            key=lambda impl: (impl.trylast - impl.tryfirst, order[impl.plugin_name]),
        )
        return [Implementation(impl.plugin_name, hook, impl.function, tuple(impl.argnames)) for impl in found]

    def origin(self, plugin: str) -> Origin:
        """Return who brought a plugin."""
        return self._known[plugin].candidate.origin

    def plugins(self) -> list[PluginInfo]:
        """Return all plugins as they are now, those that could not be loaded too."""
        return [self._info(known) for known in [*self._known.values(), *self._clashes]]

    def _info(self, known: _Known) -> PluginInfo:
        candidate = known.candidate
        stats = self.calls.stats_of(candidate.name)
        muted = stats.muted and known.state is PluginState.LOADED
        problems = list(known.problems)
        if stats.last_error is not None and known.state is PluginState.LOADED:
            problems.append(stats.last_error)
        return PluginInfo(
            name=candidate.name,
            origin=candidate.origin,
            place=candidate.place,
            state=PluginState.MUTED if muted else known.state,
            hooks=known.hooks,
            problems=tuple(problems),
            calls=stats.calls,
            failures=stats.failures,
            seconds=stats.seconds,
            seconds_max=stats.seconds_max,
        )
