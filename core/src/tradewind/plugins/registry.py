"""Who offers what: the questions that the rest of Tradewind asks plugins.

Nothing is imported before the first question. A question for a name is answered by the built-in parts first;
installed plugins and the plugins folder are loaded when the name is not theirs, or when all are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import msgspec

from tradewind.domain.reasons import Reason
from tradewind.domain.records import EventRow
from tradewind.domain.spec import DagSpec
from tradewind.domain.timetable import TimetableFactory
from tradewind.hookspecs import (
    AuthProvider,
    ConnectionType,
    Declared,
    ExtraLink,
    OperatorDeclared,
    TaskPanel,
    TemplateName,
    UiView,
    Waiting,
)
from tradewind.plugins import builtin
from tradewind.plugins.calls import Calls
from tradewind.plugins.candidates import Candidate, Origin
from tradewind.plugins.declarations import KINDS, Declarations, Offer, collect, singular
from tradewind.plugins.imports import load_object
from tradewind.plugins.installed import installed_candidates
from tradewind.plugins.local import folder_candidates, make_importable
from tradewind.plugins.manager import PluginInfo, PluginManager
from tradewind.plugins.policies import apply_policies

Source = Callable[[], Sequence[Candidate]]


class Registry:
    """The plugins of an installation. ``sources`` are asked for plugins once, in order, when they are needed."""

    def __init__(self, manager: PluginManager, sources: Sequence[Source] = ()) -> None:
        self.manager = manager
        self._sources = tuple(sources)
        self._complete = not self._sources
        self._built_in: dict[str, Declarations] = {}
        self._all: dict[str, Declarations] = {}
        manager.load([Candidate(builtin.NAME, Origin.BUILT_IN, "Tradewind", lambda: builtin)])

    def _load_all(self) -> None:
        if not self._complete:
            self._complete = True
            for source in self._sources:
                self.manager.load(source())

    # ---- plugins themselves -------------------------------------------------------------------------------------

    def plugins(self) -> list[PluginInfo]:
        """Return every plugin with its state; what they declared wrongly is among their problems."""
        self._load_all()
        for hook in KINDS:
            self.declarations(hook)
        return self.manager.plugins()

    # ---- what they declare --------------------------------------------------------------------------------------

    def declarations(self, hook: str) -> Declarations:
        """Return the answers of all plugins to a declaring hook."""
        self._load_all()
        if hook not in self._all:
            self._all[hook] = collect(self.manager, hook)
        return self._all[hook]

    def find(self, hook: str, name: str) -> Offer:
        """Return what has that name; raises PluginError that names the others, or both who claim it."""
        if not self._complete:
            if hook not in self._built_in:
                self._built_in[hook] = collect(self.manager, hook)
            if name in self._built_in[hook]:
                return self._built_in[hook].get(name)
        return self.declarations(hook).get(name)

    def load(self, hook: str, name: str) -> Any:
        """Return the object that a declaration names; raises PluginError."""
        offer = self.find(hook, name)
        what = f'The {singular(hook)} "{name}" of plugin "{offer.plugin}"'
        return load_object(offer.declared.target, wanted_by=what)

    def catalogue(self) -> list[OperatorDeclared]:
        """Return all operators and sensors."""
        return cast("list[OperatorDeclared]", self._declared("tradewind_operators"))

    def connection_types(self) -> list[ConnectionType]:
        """Return all connection types."""
        return cast("list[ConnectionType]", self._declared("tradewind_connection_types"))

    def cli_commands(self) -> list[Declared]:
        """Return the commands that plugins add; load one with :meth:`cli_command`."""
        return self._declared("tradewind_cli_commands")

    def cli_command(self, name: str) -> Any:
        """Return a plugin's Click command."""
        return self.load("tradewind_cli_commands", name)

    def template_names(self) -> list[TemplateName]:
        """Return the macros and filters that plugins add to templates."""
        return cast("list[TemplateName]", self._declared("tradewind_template_names"))

    def ui_views(self) -> list[UiView]:
        """Return the pages that plugins add to the web UI."""
        return cast("list[UiView]", self._declared("tradewind_ui_views"))

    def task_panels(self) -> list[TaskPanel]:
        """Return the panels that plugins add to task instance pages."""
        return cast("list[TaskPanel]", self._declared("tradewind_task_panels"))

    def extra_links(self) -> list[ExtraLink]:
        """Return the links that plugins add to task instances."""
        return cast("list[ExtraLink]", self._declared("tradewind_extra_links"))

    def auth_providers(self) -> list[AuthProvider]:
        """Return the ways to sign in."""
        return cast("list[AuthProvider]", self._declared("tradewind_auth_providers"))

    def notifiers(self) -> list[Declared]:
        """Return the notifiers."""
        return self._declared("tradewind_notifiers")

    def executor_factory(self, name: str) -> Callable[..., Any]:
        """Return ``factory(settings) -> Executor`` of that name."""
        return cast("Callable[..., Any]", self.load("tradewind_executors", name))

    def log_store_factory(self, name: str) -> Callable[..., Any]:
        """Return ``factory(settings) -> LogStore`` of that name."""
        return cast("Callable[..., Any]", self.load("tradewind_log_stores", name))

    def xcom_store_factory(self, name: str) -> Callable[..., Any]:
        """Return ``factory(settings)`` of the XCom store of that name."""
        return cast("Callable[..., Any]", self.load("tradewind_xcom_stores", name))

    def secrets_backends(self) -> list[tuple[str, Callable[..., Any]]]:
        """Return (name, ``factory(settings) -> SecretsBackend``) of every backend, by name."""
        hook = "tradewind_secrets_backends"
        return [(name, self.load(hook, name)) for name in self.declarations(hook).names()]

    def timetable(self, name: str) -> TimetableFactory:
        """Return the factory of a plugin's timetable."""
        return cast("TimetableFactory", self.load("tradewind_timetables", name))

    def timetables(self) -> Mapping[str, TimetableFactory]:
        """Return the timetables by name for ``tradewind.domain.timetable.from_spec``; each loaded when looked up."""
        return _Timetables(self)

    def _declared(self, hook: str) -> list[Any]:
        return [offer.declared for offer in self.declarations(hook).offers()]

    # ---- what they do -------------------------------------------------------------------------------------------

    def apply_policies(self, spec: DagSpec) -> DagSpec:
        """Return the DAG as policies want it; raises AuthorError when one refuses it or itself fails."""
        self._load_all()
        return apply_policies(self.manager, spec)

    def observes(self) -> bool:
        """Say whether any plugin wants to hear of events, so that others need not be read."""
        self._load_all()
        return bool(self.manager.implementations("on_events"))

    def observe(self, events: Sequence[EventRow], *, at: datetime | None = None) -> None:
        """Tell the observers of a committed batch. Never raises; one that fails too often is muted.

        ``at`` is the time of events that have none yet: the metastore gives it when it writes them.
        """
        self._load_all()
        told = tuple(
            event if event.at or at is None else msgspec.structs.replace(event, at=at) for event in events
        )
        for plugin, hook, function, parameters in self.manager.implementations("on_events"):
            self.manager.calls.guarded(plugin, hook, function, *([told] if parameters else []))

    def reasons(self, waiting: Waiting) -> list[Reason]:
        """Return what plugins say about why an instance waits. Never raises."""
        self._load_all()
        found: list[Reason] = []
        for plugin, hook, function, parameters in self.manager.implementations("why_reasons"):
            answer = self.manager.calls.guarded(plugin, hook, function, *([waiting] if parameters else []))
            if answer is None:
                continue
            if isinstance(answer, list | tuple) and all(isinstance(item, Reason) for item in answer):
                found.extend(answer)
            else:
                self.manager.add_problem(
                    plugin, "why_reasons() returned something else than a list of Reason"
                )
        return found


class _Timetables(Mapping[str, TimetableFactory]):
    """Timetable factories by name, each imported when it is looked up."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def _declarations(self) -> Declarations:
        return self._registry.declarations("tradewind_timetables")

    def __getitem__(self, name: str) -> TimetableFactory:
        if name not in self._declarations():
            raise KeyError(name)
        return self._registry.timetable(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._declarations().names())

    def __len__(self) -> int:
        return len(self._declarations().names())


def load_registry(
    folder: Path | None = None, *, disabled: Collection[str] = (), calls: Calls | None = None
) -> Registry:
    """Return the registry of this installation: built-in parts, installed plugins, the plugins folder.

    Nothing but the built-in part is loaded before somebody asks for more.
    """
    sources: list[Source] = [installed_candidates]
    if folder is not None:
        make_importable(folder)
        sources.append(lambda: folder_candidates(folder))
    return Registry(PluginManager(disabled=disabled, calls=calls), sources)
