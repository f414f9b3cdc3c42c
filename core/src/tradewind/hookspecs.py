"""Every extension point of Tradewind, typed, in calling order.

A provider or plugin is a module with functions marked :data:`hookimpl`. Functions named ``tradewind_…`` *declare*:
they are called once, at the first question that needs them, and return values that name code by import strings
(``"package.module:name"``), so that declaring costs nothing until somebody uses it. The others *act*: they are called
again and again, each call guarded and timed by itself, so that a bad plugin stays one bad plugin.

Hooks are given frozen values, never a session, a connection or anything that can write.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import pluggy

from tradewind.domain.reasons import Reason
from tradewind.domain.records import EventRow, InstanceRow, RunRow
from tradewind.domain.spec import DagSpec, TaskSpec

PROJECT = "tradewind"  # the entry-point group, too

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as one of the hooks below; its parameters are a subset of the hook's, by name."""


# ---- what plugins declare ----------------------------------------------------------------------------------------


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """Something with a name that is imported when it is needed. Names are unique among all plugins.

    ``target`` is an import string; what it must be, the hook says. ``summary`` is one line for lists and ``--help``.
    """

    name: str
    target: str
    summary: str = ""


class OperatorDeclared(Declared, frozen=True, kw_only=True):
    """An operator class for the catalogue; ``name`` is what authors import, ``docs`` a page about it."""

    kind: Literal["action", "transfer", "sensor"] = "action"
    docs: str = ""


def _no_extra() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False}


class FormField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a connection's form. ``name`` is host, port, login, password, schema or a key of extra."""

    name: str
    label: str
    kind: Literal["text", "password", "number", "boolean", "choice", "multiline"] = "text"
    required: bool = False
    help: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()


class ConnectionType(Declared, frozen=True, kw_only=True):
    """A kind of connection. ``target`` is the hook class: a client made from a connection.

    ``extra_schema`` is the JSON schema of its extra: keys it does not name are refused. ``test`` is the import string
    of a function that takes the connection's fields, runs in a task process and returns a sentence or raises.
    """

    title: str
    fields: tuple[FormField, ...] = ()
    extra_schema: dict[str, Any] = msgspec.field(default_factory=_no_extra)
    test: str | None = None
    url_schemes: tuple[str, ...] = ()  # further schemes that mean this type in a connection's URL


class TemplateName(Declared, frozen=True, kw_only=True):
    """A name for templates: ``{{ name(…) }}`` or ``{{ value | name }}``. ``target`` is the function.

    A DAG's own ``user_defined_macros`` and ``user_defined_filters`` win.
    """

    kind: Literal["macro", "filter"] = "macro"


class UiView(Declared, frozen=True, kw_only=True):
    """A page of the web UI. ``target`` is a Flask blueprint; who lacks ``permission`` sees neither page nor entry."""

    title: str
    path: str
    permission: str
    icon: str = ""


class TaskPanel(Declared, frozen=True, kw_only=True):
    """A panel on a task instance's page. ``target``: ``panel(spec, run, instance) -> dict`` that the page shows.

    ``operators`` limits it to tasks of these operator names; empty: all tasks.
    """

    title: str
    permission: str
    operators: tuple[str, ...] = ()


class ExtraLink(Declared, frozen=True, kw_only=True):
    """A link beside a task instance. ``target``: ``link(spec, run, instance) -> str | None``, an http(s) address."""

    title: str
    operators: tuple[str, ...] = ()


class AuthProvider(Declared, frozen=True, kw_only=True):
    """A way to sign in. ``target``: ``provider(settings)``, an object with the web server's sign-in protocol."""

    title: str


# ---- what plugins are told ---------------------------------------------------------------------------------------


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance that somebody asks about."""

    dag: DagSpec
    run: RunRow
    instance: InstanceRow
    now: datetime


# ---- declarations, in the order they are asked for ---------------------------------------------------------------


@hookspec
def tradewind_operators() -> Sequence[OperatorDeclared]:  # type: ignore[empty-body]
    """Return the operators and sensors, for the catalogue and the documentation."""


@hookspec
def tradewind_connection_types() -> Sequence[ConnectionType]:  # type: ignore[empty-body]
    """Return the connection types: schema, form and test."""


@hookspec
def tradewind_executors() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the executors; a target is ``factory(settings) -> tradewind.ports.executor.Executor``."""


@hookspec
def tradewind_log_stores() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the log stores; a target is ``factory(settings) -> tradewind.ports.logstore.LogStore``."""


@hookspec
def tradewind_xcom_stores() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the stores of large XComs; a target is ``factory(settings)``, an object with ``put`` and ``get``."""


@hookspec
def tradewind_secrets_backends() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the secrets backends; a target is ``factory(settings) -> tradewind.ports.secrets.SecretsBackend``."""


@hookspec
def tradewind_timetables() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the timetables; a target is ``factory(**args) -> tradewind.domain.timetable.Timetable``.

    A DAG asks for one by ``schedule=CustomSpec(name, args)``, or by an object whose ``to_spec`` returns that.
    """


@hookspec
def tradewind_notifiers() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the notifiers; a target is a class whose objects are called with a task's context."""


@hookspec
def tradewind_template_names() -> Sequence[TemplateName]:  # type: ignore[empty-body]
    """Return the macros and filters for templates."""


@hookspec
def tradewind_cli_commands() -> Sequence[Declared]:  # type: ignore[empty-body]
    """Return the commands of ``tradewind``; a target is a Click command, imported when it is called."""


@hookspec
def tradewind_ui_views() -> Sequence[UiView]:  # type: ignore[empty-body]
    """Return the pages of the web UI, each with its entry in the navigation and its permission."""


@hookspec
def tradewind_task_panels() -> Sequence[TaskPanel]:  # type: ignore[empty-body]
    """Return the panels on task instance pages."""


@hookspec
def tradewind_extra_links() -> Sequence[ExtraLink]:  # type: ignore[empty-body]
    """Return the links beside task instances."""


@hookspec
def tradewind_auth_providers() -> Sequence[AuthProvider]:  # type: ignore[empty-body]
    """Return the ways to sign in to the web UI."""


# ---- policies: when a DAG file was parsed, before its DAGs are stored ----------------------------------------------


@hookspec
def dag_policy(spec: DagSpec) -> DagSpec | None:
    """Return a changed DAG, or None to leave it as it is; raise an error to refuse the file.

    Called once for each DAG of a file that changed, in the order plugins were loaded; each is given what the one
    before returned. The id and the file stay as they are. The same DAG must always get the same answer.
    """


@hookspec
def task_policy(spec: TaskSpec, dag: DagSpec) -> TaskSpec | None:
    """Return a changed task, or None to leave it as it is; raise an error to refuse the file.

    Called after ``dag_policy``, once for each task; ``dag`` has its tasks as they were before any ``task_policy``.
    The id, the upstream and the mapping stay as they are.
    """


# ---- observers and explanations: while runs go -----------------------------------------------------------------------


@hookspec
def on_events(events: Sequence[EventRow]) -> None:
    """Take note of what was committed: runs, task instances, DAG changes, assets, import errors.

    Called after the commit with a batch in the order of the events. The kinds are listed in docs/reference/events.md.
    A plugin that fails again and again, or takes longer than a second each time, is muted.
    """


@hookspec
def why_reasons(waiting: Waiting) -> Sequence[Reason]:  # type: ignore[empty-body]
    """Return further reasons why a task instance waits, for ``tradewind tasks why``; kind ``ReasonKind.PLUGIN``.

    Called when a person asks, never by the scheduler: a reason explains, it does not hold anything back.
    """
