"""What plugins declared, checked once: names are unique, import strings have their shape."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, TypeVar

from tradewind.errors import PluginError
from tradewind.hookspecs import (
    AuthProvider,
    ConnectionType,
    Declared,
    ExtraLink,
    OperatorDeclared,
    TaskPanel,
    TemplateName,
    UiView,
)
from tradewind.plugins.candidates import Origin
from tradewind.plugins.imports import is_import_string
from tradewind.plugins.manager import PluginManager

D = TypeVar("D", bound=Declared)

KINDS: dict[str, type[Declared]] = {
    "tradewind_operators": OperatorDeclared,
    "tradewind_connection_types": ConnectionType,
    "tradewind_executors": Declared,
    "tradewind_log_stores": Declared,
    "tradewind_xcom_stores": Declared,
    "tradewind_secrets_backends": Declared,
    "tradewind_timetables": Declared,
    "tradewind_notifiers": Declared,
    "tradewind_template_names": TemplateName,
    "tradewind_cli_commands": Declared,
    "tradewind_ui_views": UiView,
    "tradewind_task_panels": TaskPanel,
    "tradewind_extra_links": ExtraLink,
    "tradewind_auth_providers": AuthProvider,
}
"""Declaring hook -> what it returns a sequence of."""


class Offer(NamedTuple):
    """Something declared, and who declared it."""

    plugin: str
    declared: Declared


class Declarations:
    """The answers to one declaring hook. Built-in names are reserved; a name that two plugins declare is nobody's."""

    def __init__(self, hook: str, offers: dict[str, Offer], clashes: dict[str, tuple[str, ...]]) -> None:
        self.hook = hook
        self._offers = offers
        self._clashes = clashes

    def __contains__(self, name: str) -> bool:
        return name in self._offers

    def names(self) -> list[str]:
        """Return the names that can be asked for, sorted."""
        return sorted(self._offers)

    def offers(self) -> list[Offer]:
        """Return everything declared, in the order of names."""
        return [self._offers[name] for name in self.names()]

    def get(self, name: str) -> Offer:
        """Return one offer.

        Raises:
            PluginError: nobody declares it, or two plugins do; the text names what there is, or both plugins.
        """
        what = singular(self.hook)
        if name in self._clashes:
            holders = " and ".join(self._clashes[name])
            raise PluginError(
                f'The {what} "{name}" is declared by two plugins: {holders}. Remove or disable one of them:'
                ' [plugins] disabled = ["…"].'
            )
        if name not in self._offers:
            known = ", ".join(self.names()) or "none"
            raise PluginError(
                f'No plugin offers the {what} "{name}". There are: {known}.'
                " `tradewind plugins list` shows which plugins are loaded, and why others are not."
            )
        return self._offers[name]


def singular(hook: str) -> str:
    """Return what a declaring hook declares, as a word for one of it."""
    words = hook.removeprefix("tradewind_").replace("_", " ")
    return words if words.endswith("us") else words.removesuffix("s")


def collect(manager: PluginManager, hook: str) -> Declarations:
    """Ask every loaded plugin; what is wrong is recorded with the plugin and left out."""
    offers: dict[str, Offer] = {}
    holders: dict[str, list[str]] = defaultdict(list)
    for implementation in manager.implementations(hook):
        answer = manager.calls.guarded(implementation.plugin, hook, implementation.function)
        for declared in _checked(manager, implementation.plugin, hook, answer):
            name = declared.name
            holder = offers.get(name)
            if holder is not None and manager.origin(holder.plugin) is Origin.BUILT_IN:
                manager.add_problem(
                    implementation.plugin,
                    f'its {singular(hook)} "{name}" is left out: the built-in one has that name',
                )
                continue
            holders[name].append(implementation.plugin)
            offers[name] = Offer(implementation.plugin, declared)
    clashes = {name: tuple(plugins) for name, plugins in holders.items() if len(plugins) > 1}
    for name, plugins in clashes.items():
        del offers[name]
        for plugin in plugins:
            manager.add_problem(
                plugin, f'the {singular(hook)} "{name}" is declared by {" and ".join(plugins)}'
            )
    return Declarations(hook, offers, clashes)


def _checked(manager: PluginManager, plugin: str, hook: str, answer: object) -> list[Declared]:
    if answer is None:
        return []
    kind = KINDS[hook]
    if not isinstance(answer, list | tuple):
        manager.add_problem(
            plugin, f"{hook}() returned a {type(answer).__name__}; it returns a list of {kind.__name__}"
        )
        return []
    good = []
    for item in answer:
        problem = _problem_of(item, kind)
        if problem:
            manager.add_problem(plugin, f"{hook}(): {problem}")
        else:
            good.append(item)
    return good


def _problem_of(item: object, kind: type[Declared]) -> str:
    if not isinstance(item, kind):
        return f"an item is a {type(item).__name__}; each is a {kind.__name__}"
    if not isinstance(item.name, str) or not item.name.strip():
        return "an item has no name"
    if not is_import_string(item.target):
        return f'"{item.name}" has the target {item.target!r}; write an import string "package.module:name"'
    if isinstance(item, UiView) and not item.permission:
        return f'the view "{item.name}" names no permission; without one nobody could be kept out'
    return ""
