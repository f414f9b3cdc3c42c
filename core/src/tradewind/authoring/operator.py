"""Operators: the classes whose instances are tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from tradewind.authoring.arguments import accepted_arguments, check_arguments
from tradewind.authoring.graph import GroupNode, Structure
from tradewind.authoring.mapped import OperatorPartial
from tradewind.authoring.options import TaskOptions
from tradewind.authoring.place import Place, author_place
from tradewind.authoring.scope import current_scope
from tradewind.authoring.task import Task
from tradewind.errors import ArgumentError, AuthorError, Skip

__all__ = ["ActionOperator", "Operator", "SensorOperator", "TransferOperator"]


class OperatorType(type):
    """Makes an operator's call: checks names, fills in default_args, notes file and line, joins the open DAG."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        place = author_place()
        if args:
            raise ArgumentError(
                f'{cls.__name__} takes arguments by name only: {cls.__name__}(task_id="…", …).',
                file=place.file,
                line=place.line,
            )
        dag, group = home_of_call(kwargs)
        complete = {**accepted_defaults(cls, dag, group), **kwargs}
        check_call(cls, complete, place)
        if group is not None and isinstance(complete.get("task_id"), str):
            complete["task_id"] = group.child_id(complete["task_id"])
        task = make_operator(cls, complete, place)
        if dag is not None:
            task._join(dag, group, place)  # noqa: SLF001 - the metaclass is the operator's own maker
        return task


def home_of_call(kwargs: dict[str, Any]) -> tuple[Structure | None, GroupNode | None]:
    """Take ``dag`` and ``group`` out of an operator's arguments; what is open stands in for what is not given."""
    scope = current_scope()
    dag, group = kwargs.pop("dag", None), kwargs.pop("group", None)
    if group is not None:
        return group.dag, group
    if dag is None or dag is scope.dag:
        return scope.dag, scope.group
    return dag, None


def accepted_defaults(cls: type, dag: Structure | None, group: GroupNode | None) -> dict[str, Any]:
    """Return the default_args of DAG and groups (the innermost wins) that ``cls`` accepts."""
    layers: list[Mapping[str, Any]] = []
    while group is not None:
        layers.append(group.default_args)
        group = group.group
    if dag is not None:
        layers.append(dag.default_args)
    accepted = accepted_arguments(cls, Operator).every
    return {name: value for layer in reversed(layers) for name, value in layer.items() if name in accepted}


def check_call(cls: type, given: Mapping[str, Any], place: Place) -> None:
    """Raise ArgumentError when a call's names do not fit the class."""
    accepted = accepted_arguments(cls, Operator)
    task_id = given.get("task_id")
    what = f'{cls.__name__} "{task_id}"' if task_id else cls.__name__
    check_arguments(what, given, accepted.every, ("task_id", *accepted.required), place)


def make_operator(cls: type, arguments: Mapping[str, Any], place: Place) -> Any:
    """Make an operator outside every DAG, with ``task_id`` as its full id; errors carry the author's line."""
    own = accepted_arguments(cls, Operator).own
    task: Any = object.__new__(cls)
    task.place = place
    task.given = {name: value for name, value in arguments.items() if name in own}
    try:
        task.__init__(**arguments)
    except AuthorError as error:
        if error.file is None:
            error.file, error.line = place.file, place.line
        raise
    except TypeError as error:
        if "__init__() " in str(error):  # a wrong call between the operator's own classes
            raise ArgumentError(
                f"{cls.__name__} could not be made: {error}.", file=place.file, line=place.line
            ) from error
        raise
    if not task.task_id:
        raise ArgumentError(
            f"{cls.__name__}.__init__ must call super().__init__(**kwargs) with the arguments it does not know.",
            file=place.file,
            line=place.line,
        )
    return task


def build_operator(cls: type, arguments: Mapping[str, Any], place: Place) -> Any:
    """Check an operator's arguments and make it outside every DAG."""
    check_call(cls, arguments, place)
    return make_operator(cls, arguments, place)


class Operator(Task, metaclass=OperatorType):
    """What a task does.

    Subclass it with a plain ``__init__``::

        class Copy(TransferOperator):
            template_fields = ("source", "target")

            def __init__(self, *, source: str, target: str, **kwargs: Unpack[TaskOptions]) -> None:
                super().__init__(**kwargs)
                self.source = source
                self.target = target

            def execute(self, context: Context) -> int: ...

    Arguments are given by name; ``dag=`` and ``group=`` place a task outside the open ``with`` block. An unknown
    argument is an ArgumentError that names the nearest ones and the author's line. ``template_fields`` are attributes
    that the task process renders (references first, then templates) before ``execute``; a string that ends in one of
    ``template_ext`` is read as a file first.
    """

    # Conditions of @task.skip_if and @task.run_if: (run when the condition is …, condition, message)
    guards: tuple[tuple[bool, Any, str | None], ...] = ()

    def __init__(self, **options: Unpack[TaskOptions]) -> None:
        self.task_id = options.get("task_id", "")
        self._set_options({name: value for name, value in options.items() if name != "task_id"})

    def pre_execute(self, context: Any) -> None:
        """Called by the task process before ``execute``, with templates rendered; raises Skip if a guard says so."""
        for run_when, condition, message in self.guards:
            if bool(condition(context)) is not run_when:
                name = getattr(condition, "__name__", type(condition).__name__)
                raise Skip(message or f"{'run_if' if run_when else 'skip_if'} {name} said so")

    def execute(self, context: Any) -> Any:
        """Do the work in the task process; what it returns becomes the XCom ``return_value``."""
        raise NotImplementedError(f"{type(self).__name__} has no execute(self, context).")

    def on_kill(self) -> None:
        """Called in the task process when the attempt must end (SIGTERM): stop what ``execute`` started elsewhere."""

    @classmethod
    def partial(cls, *, task_id: str, **kwargs: Any) -> OperatorPartial:
        """Give the arguments that all mapped instances share; ``.expand(…)`` or ``.expand_kwargs(…)`` follows."""
        place = author_place()
        dag, group = home_of_call(kwargs)
        complete = {**accepted_defaults(cls, dag, group), "task_id": task_id, **kwargs}
        accepted = accepted_arguments(cls, Operator)
        check_arguments(f'{cls.__name__}.partial "{task_id}"', complete, accepted.every, (), place)
        return OperatorPartial(cls, complete, accepted, home=(dag, group), place=place, build=build_operator)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.task_id}>"


class ActionOperator(Operator):
    """An operator that does something where it is told to."""

    operator_kind = "action"


class TransferOperator(Operator):
    """An operator that moves data from one system to another."""

    operator_kind = "transfer"


class SensorOperator(Operator):
    """An operator that waits until something is so: ``poke(context)`` returns a truthy value.

    How it waits (mode, poke_interval, timeout, soft_fail) is in ``tradewind.sensors``.
    """

    operator_kind = "sensor"
