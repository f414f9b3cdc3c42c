"""Decide what follows: one way out of several, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Unpack

from tradewind.authoring.arguments import nearest
from tradewind.authoring.callables import PythonOperator
from tradewind.authoring.operator import ActionOperator
from tradewind.authoring.options import TaskOptions
from tradewind.authoring.task import Task
from tradewind.errors import TradewindError

Chosen = str | Sequence[str] | None


class BranchError(TradewindError):
    """A branch chose something that does not follow it; the message names what does."""


def tasks_to_skip(task: Task, chosen: Chosen) -> tuple[str, ...]:
    """Return the direct downstream tasks of ``task`` that ``chosen`` leaves out, in the order they are connected.

    ``chosen`` has ids of direct downstream tasks, or of groups whose first tasks are; inside a group ids may leave out
    the group's prefix. None chooses nothing. What can also be reached from a chosen task is not skipped, and
    teardowns never are. ``BranchError`` for an id that does not follow the branch.
    """
    dag = task.dag
    if dag is None:
        raise BranchError(f'Task "{task.task_id}" belongs to no DAG, so nothing follows it')
    direct = [one for one in dag.downstream_of(task.task_id) if not dag.task_nodes[one].is_teardown]
    groups = _groups_below(task, direct)
    followed: set[str] = set()
    for wanted in _as_ids(task, chosen):
        followed |= _resolve(task, wanted, direct, groups)
    reached = _reachable(dag, followed)
    return tuple(one for one in direct if one not in followed and one not in reached)


def _as_ids(task: Task, chosen: Chosen) -> list[str]:
    ids = [] if chosen is None else [chosen] if isinstance(chosen, str) else list(chosen)
    wrong = next((one for one in ids if not isinstance(one, str)), None)
    if wrong is not None:
        raise BranchError(
            f'Branch "{task.task_id}" returned {wrong!r:.60}; it must return ids of tasks or groups, or None'
        )
    return ids


def _groups_below(task: Task, direct: list[str]) -> dict[str, set[str]]:
    """Return the groups that a direct downstream task stands in, with those tasks; groups around the branch apart."""
    dag = task.dag
    assert dag is not None, "checked by the caller"
    around = set(map(id, task.enclosing_groups()))
    found: dict[str, set[str]] = {}
    for one in direct:
        for group in dag.task_nodes[one].enclosing_groups():
            if id(group) not in around:
                found.setdefault(group.group_id, set()).add(one)
    return found


def _resolve(task: Task, wanted: str, direct: list[str], groups: dict[str, set[str]]) -> set[str]:
    prefixes = [f"{group.group_id}." for group in task.enclosing_groups() if group.prefix_group_id]
    for name in (wanted, *(prefix + wanted for prefix in prefixes)):
        if name in direct:
            return {name}
        if name in groups:
            return groups[name]
    valid = [*direct, *groups]
    close = nearest(wanted, valid)
    advice = f"Did you mean {close}?" if close else ""
    raise BranchError(
        f'Branch "{task.task_id}" chose "{wanted}", which does not follow it directly. It may choose: '
        f"{', '.join(valid) or 'nothing, as nothing is downstream of it'}. {advice}".rstrip()
    )


def _reachable(dag: Any, start: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(start)
    while waiting:
        for one in dag.downstream_of(waiting.pop()):
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


class BranchOperator(ActionOperator):
    """A branch of your own: subclass it, and let ``choose(context)`` return ids of tasks or groups, or None."""

    decides_branch: ClassVar[bool] = True

    def choose(self, context: Any) -> Chosen:
        """Return what to follow."""
        raise NotImplementedError(f"{type(self).__name__} has no choose(self, context).")

    def execute(self, context: Any) -> Any:
        """Choose, and skip the direct downstream tasks that were not chosen."""
        return _decide(self, self.choose(context), context)


class BranchPythonOperator(PythonOperator):
    """Call a function that returns what to follow: one or several ids of tasks or groups, or None."""

    decides_branch: ClassVar[bool] = True

    def execute(self, context: Any) -> Any:
        """Call the function, and skip the direct downstream tasks that were not chosen."""
        return _decide(self, super().execute(context), context)


def _decide(task: Task, chosen: Chosen, context: Any) -> Any:
    skipped = tasks_to_skip(task, chosen)
    context.ti.skip(skipped)
    context.log.info("follows %s; skips %s", chosen or "nothing", ", ".join(skipped) or "nothing")
    return chosen


class ShortCircuitOperator(PythonOperator):
    """Call a function; when what it returns is falsy, everything downstream is skipped.

    Whatever their rules, teardowns apart. With ``ignore_downstream_trigger_rules=False`` only the direct downstream
    tasks are skipped, and from there each task's rule decides.
    """

    decides_branch: ClassVar[bool] = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] = (),
        op_kwargs: Mapping[str, Any] | None = None,
        ignore_downstream_trigger_rules: bool = True,
        **kwargs: Unpack[TaskOptions],
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules

    def execute(self, context: Any) -> Any:
        """Call the function and return what it returned."""
        result = super().execute(context)
        if not result:
            if self.ignore_downstream_trigger_rules:
                context.ti.skip_all_downstream()
            else:
                context.ti.skip(tasks_to_skip(self, None))
            context.log.info("the condition is %r: what follows is skipped", result)
        return result
