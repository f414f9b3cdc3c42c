"""``tradewind plugins check`` and ``trace``: tries a plugin as the program would, and says what is wrong with it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tradewind.errors import NotFoundError, PluginError
from tradewind.hookspecs import ConnectionType
from tradewind.plugins.calls import Call, Calls
from tradewind.plugins.candidates import Candidate, Origin
from tradewind.plugins.declarations import KINDS, Offer, singular
from tradewind.plugins.imports import load_object
from tradewind.plugins.local import load_file, make_importable
from tradewind.plugins.manager import PluginManager
from tradewind.plugins.registry import Registry


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin offers and what is wrong with it; ``declared`` is "kind name" for each thing."""

    plugin: str
    place: str
    hooks: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()

    @property
    def ok(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.problems


def check(target: str, candidates: Sequence[Candidate] = ()) -> CheckReport:
    """Load one plugin by itself beside the built-in parts, call what declares, import all it names.

    ``target``: a file or package folder, the name of one of ``candidates``, or a module's import name.

    Raises:
        NotFoundError: there is nothing of that name.
    """
    candidate = _candidate(target, candidates)
    calls: list[Call] = []
    manager = PluginManager(calls=Calls(listener=calls.append))
    registry = Registry(manager, [lambda: [candidate]])
    registry.plugins()
    (info,) = (plugin for plugin in registry.plugins() if plugin.name == candidate.name)
    offers = [
        (hook, offer)
        for hook in KINDS
        for offer in registry.declarations(hook).offers()
        if offer.plugin == candidate.name
    ]
    problems = [*info.problems, *(problem for hook, offer in offers for problem in _loading(hook, offer))]
    return CheckReport(
        plugin=candidate.name,
        place=candidate.place,
        hooks=info.hooks,
        declared=tuple(f"{singular(hook)} {offer.declared.name}" for hook, offer in offers),
        problems=tuple(problems),
        calls=tuple(call for call in calls if call.plugin == candidate.name),
    )


def trace(registry: Registry) -> list[Call]:
    """Load all plugins of a registry that was not used yet and return every call, in order, with its time."""
    calls: list[Call] = []
    registry.manager.calls.listener = calls.append
    try:
        registry.plugins()
    finally:
        registry.manager.calls.listener = None
    return calls


def _candidate(target: str, candidates: Sequence[Candidate]) -> Candidate:
    path = Path(target)
    if path.suffix == ".py" or path.is_dir() or "/" in target:
        file = path / "__init__.py" if path.is_dir() else path
        if not file.is_file():
            raise NotFoundError(
                f"There is no plugin at {path}. Give a Python file, or a folder with an __init__.py."
            )
        make_importable(path.absolute().parent)
        return Candidate(path.stem, Origin.FOLDER, str(path), lambda: load_file(path.stem, file.absolute()))
    for candidate in candidates:
        if candidate.name == target:
            return candidate
    if importlib.util.find_spec(target.partition(".")[0]) is None:
        known = ", ".join(sorted(candidate.name for candidate in candidates)) or "none"
        raise NotFoundError(
            f'There is no plugin "{target}". Known: {known}. A path or a module\'s name works, too.'
        )
    return Candidate(target, Origin.INSTALLED, target, lambda: importlib.import_module(target))


def _loading(hook: str, offer: Offer) -> list[str]:
    """Return what goes wrong when the things a declaration names are imported."""
    what = f'the {singular(hook)} "{offer.declared.name}"'
    targets = [offer.declared.target]
    if isinstance(offer.declared, ConnectionType) and offer.declared.test:
        targets.append(offer.declared.test)
    problems = []
    for target in targets:
        try:
            found = load_object(target, wanted_by=what)
        except PluginError as error:
            problems.append(str(error))
            continue
        if hook != "tradewind_ui_views" and not callable(found):
            problems.append(f"{what} names {target}, which is a {type(found).__name__} and cannot be called")
    return problems
