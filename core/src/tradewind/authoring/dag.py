"""The DAG as its author writes it, and the ``@dag`` decorator."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import Token
from datetime import datetime, timedelta
from typing import Any, Literal, Self, cast, overload

from tradewind.authoring.arguments import check_arguments, check_mappings, nearest
from tradewind.authoring.edges import task_edges
from tradewind.authoring.fingerprint import Home
from tradewind.authoring.graph import NodeFunction, Structure
from tradewind.authoring.group import TaskGroup
from tradewind.authoring.options import as_timedelta, as_tuple
from tradewind.authoring.params import DagParam, Param
from tradewind.authoring.place import AuthorWarning, Place, author_place, place_in
from tradewind.authoring.scope import Scope, collected, enter, leave
from tradewind.authoring.task import Task
from tradewind.domain.spec import MAP_LENGTH_MAX_DEFAULT, MAX_ACTIVE_RUNS_DEFAULT, Overlap
from tradewind.errors import ArgumentError, UnknownReferenceError


class DAG(Structure):
    """A graph of tasks with a schedule. Used as ``with DAG("sales", schedule="0 6 * * *"):`` or through ``@dag``.

    ``schedule``: a cron or preset, a timedelta, a list of crons or datetimes, ``Cron(…)``, assets, a timetable or None.
    ``start_date``, ``end_date``: first and last logical date (inclusive); naive ones are in ``timezone`` (default: the
    start date's, else UTC). ``catchup``: False runs only the newest missed tick, True all, "5h" or a timedelta those of
    that window. ``overlap``: what a due run does while ``max_active_runs`` are active: "queue", "skip" or
    "cancel_running". ``run_fails_if``: "leaf_failed" or "any_task_failed". ``run_retries``: how often a failed run is
    tried again. ``fail_fast``: the first failure ends the run. ``params``: name -> default or Param.
    ``default_args``: arguments for every task of the DAG that accepts them. ``auto_register=False``: not found by the
    DAG folder. Wrong values are reported together when the DAG is compiled; wrong names at once, as ArgumentError.
    """

    def __init__(
        self,
        dag_id: str,
        *,
        description: str | None = None,
        schedule: Any = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        timezone: Any = None,
        catchup: bool | str | timedelta = False,
        overlap: Overlap | str = Overlap.QUEUE,
        max_active_runs: int = MAX_ACTIVE_RUNS_DEFAULT,
        max_active_tasks: int | None = None,
        max_active_tasks_per_run: int | None = None,
        max_map_length: int = MAP_LENGTH_MAX_DEFAULT,
        run_fails_if: Literal["leaf_failed", "any_task_failed"] = "leaf_failed",
        run_timeout: timedelta | float | None = None,
        run_retries: int = 0,
        fail_fast: bool = False,
        priority: int = 0,
        paused: bool = False,
        tags: Iterable[str] = (),
        owner: str | None = None,
        params: Mapping[str, Any] | None = None,
        default_args: Mapping[str, Any] | None = None,
        on_success: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        on_failure: Callable[..., Any] | Sequence[Callable[..., Any]] | None = None,
        doc: str | None = None,
        display_name: str | None = None,
        template_searchpath: str | Sequence[str] = (),
        user_defined_macros: Mapping[str, Any] | None = None,
        user_defined_filters: Mapping[str, Callable[..., Any]] | None = None,
        render_template_as_native_obj: bool = False,
        auto_register: bool = True,
        **unknown: Any,
    ) -> None:
        super().__init__()
        self.place = author_place()
        check_arguments(f'DAG "{dag_id}"', unknown, DAG_ARGUMENTS, (), self.place)
        mappings = {
            "params": params,
            "default_args": default_args,
            "user_defined_macros": user_defined_macros,
        }
        check_mappings(f'DAG "{dag_id}"', mappings, self.place)
        self.dag_id = dag_id
        self.description = description
        self.schedule = schedule
        self.start_date = start_date
        self.end_date = end_date
        self.timezone = timezone
        self.catchup = catchup
        self.overlap = overlap
        self.max_active_runs = max_active_runs
        self.max_active_tasks = max_active_tasks
        self.max_active_tasks_per_run = max_active_tasks_per_run
        self.max_map_length = max_map_length
        self.run_fails_if = run_fails_if
        self.run_timeout = as_timedelta(run_timeout)
        self.run_retries = run_retries
        self.fail_fast = fail_fast
        self.priority = priority
        self.paused = paused
        self.tags = as_tuple(tags)
        self.owner = owner
        self.params: dict[str, Param] = {
            name: value if isinstance(value, Param) else Param(value)
            for name, value in (params or {}).items()
        }
        self.default_args = dict(default_args or {})
        self.on_success: tuple[Callable[..., Any], ...] = as_tuple(on_success)
        self.on_failure: tuple[Callable[..., Any], ...] = as_tuple(on_failure)
        self.doc = doc
        self.display_name = display_name
        self.template_searchpath: tuple[str, ...] = as_tuple(template_searchpath)
        self.user_defined_macros = dict(user_defined_macros or {})
        self.user_defined_filters = dict(user_defined_filters or {})
        self.render_template_as_native_obj = render_template_as_native_obj
        self.auto_register = auto_register
        self.warnings: list[AuthorWarning] = []  # what compiles, but will surprise; filled by compile_dag
        self._tokens: list[Token[Scope]] = []
        self._register()

    def _register(self) -> None:
        collection = collected()
        file = collection.file if collection is not None and collection.file is not None else self.place.file
        place, module, code = place_in(file)
        self.file, self._line, self.home = place.file, place.line, Home(place.file, module, code)
        if collection is not None and self.auto_register:
            collection.dags.append(self)

    @property
    def line(self) -> int | None:
        """The line of ``file`` that made the DAG; None when a helper module did."""
        return self._line

    @property
    def tasks(self) -> list[Task]:
        """All tasks, in the order they were written."""
        return cast("list[Task]", list(self.task_nodes.values()))

    @property
    def groups(self) -> dict[str, TaskGroup]:
        """All groups by full id, in the order they were written."""
        return cast("dict[str, TaskGroup]", dict(self.group_nodes))

    def get_task(self, task_id: str) -> Any:
        """Return the Operator or MappedOperator with the full id ``task_id``; raises UnknownReferenceError."""
        try:
            return self.task_nodes[task_id]
        except KeyError:
            close = nearest(task_id, self.task_nodes)
            advice = (
                f"Did you mean {close}?" if close else f"Its tasks: {', '.join(list(self.task_nodes)[:20])}."
            )
            raise UnknownReferenceError(f'DAG "{self.dag_id}" has no task "{task_id}". {advice}') from None

    def resolve_edges(self) -> Iterable[tuple[str, str]]:
        return task_edges(self)

    def __enter__(self) -> Self:
        self._tokens.append(enter(Scope(self)))
        return self

    def __exit__(self, *error: object) -> None:
        leave(self._tokens.pop())

    def test(
        self,
        *,
        at: datetime | None = None,
        conf: Mapping[str, Any] | None = None,
        clock: Literal["virtual", "real"] = "virtual",
        **options: Any,
    ) -> Any:
        """Run the DAG once in this process, without server and database.

        ``at``: the logical date. ``conf``: the run's configuration. With the virtual clock, retries and waits pass at
        once. Returns a result with ``.state``, ``.tasks``, ``.xcoms`` and ``.to_dict()``.
        """
        # The one door upwards: running needs the task process's engine, which must not be imported by DAG files.
        engine = importlib.import_module("tradewind.testing.dag_test")
        return engine.run_dag(self, at=at, conf=conf, clock=clock, **options)

    def __repr__(self) -> str:
        return f"<DAG {self.dag_id}>"


DAG_ARGUMENTS = frozenset(DAG.__init__.__annotations__) - {"unknown", "return"}


class DagFunction(NodeFunction):
    """What ``@dag`` makes of a function: calling it makes the DAG."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any], place: Place) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.options = dict(options)
        self.place = place
        collection = collected()
        if collection is not None:
            collection.uncalled[function.__name__] = place.line

    def __call__(self, *args: Any, **kwargs: Any) -> DAG:
        """Make the DAG: the function's parameters become the DAG's params, arguments given here their defaults."""
        place = author_place()
        collection = collected()
        if collection is not None:
            collection.uncalled.pop(self.function.__name__, None)
        parameters = inspect.signature(self.function).parameters
        unusable = [p.name for p in parameters.values() if p.kind in {p.VAR_POSITIONAL, p.VAR_KEYWORD}]
        if unusable:
            raise ArgumentError(
                f"{self.function.__name__}() has the parameter *{unusable[0]}; each parameter of a @dag function is a "
                "param of the DAG and needs a name.",
                file=place.file,
                line=place.line,
            )
        try:
            given = inspect.signature(self.function).bind_partial(*args, **kwargs).arguments
        except TypeError as error:
            raise ArgumentError(
                f"{self.function.__name__}(): {error}.", file=place.file, line=place.line
            ) from None
        made = DAG(**self._arguments({name: _param(name, parameters[name], given) for name in parameters}))
        with made:
            self.function(**{name: DagParam(name) for name in parameters})
        return made

    def _arguments(self, params: dict[str, Param]) -> dict[str, Any]:
        options = {"dag_id": self.function.__name__, **self.options}
        if options.get("doc") is None and self.function.__doc__:
            options["doc"] = inspect.cleandoc(self.function.__doc__)
        declared = dict(options.get("params") or {})
        options["params"] = {
            **declared,
            # a schema declared in @dag(params=…) stays; the function's parameter only adds what is new
            **{name: param for name, param in params.items() if name not in declared},
        }
        return options


@overload
def dag(dag_id: Callable[..., Any], **options: Any) -> DagFunction: ...


@overload
def dag(dag_id: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], DagFunction]: ...


def dag(
    dag_id: str | Callable[..., Any] | None = None, **options: Any
) -> DagFunction | Callable[[Callable[..., Any]], DagFunction]:
    """Make a function a DAG: ``@dag(schedule="@daily")``; its name is the dag_id, its parameters are params.

    The function is called once to make the DAG: ``daily_sales()``; the DAG is found whether or not the result is kept.
    """
    place = author_place()
    if callable(dag_id):
        return DagFunction(dag_id, options, place)
    if dag_id is not None:
        options["dag_id"] = dag_id
    check_arguments("@dag", options, DAG_ARGUMENTS, (), place)
    return lambda function: DagFunction(function, options, place)


def _param(name: str, parameter: inspect.Parameter, given: Mapping[str, Any]) -> Param:
    default = given.get(name, parameter.default)
    if isinstance(default, Param):
        return default
    return Param() if default is inspect.Parameter.empty else Param(default)
