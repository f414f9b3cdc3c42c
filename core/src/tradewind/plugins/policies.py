"""Lets policies change or refuse a DAG between parsing and storing it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from tradewind.domain.spec import DagSpec, TaskSpec
from tradewind.errors import AuthorError, TradewindError
from tradewind.plugins.calls import PluginFailure
from tradewind.plugins.manager import Implementation, PluginManager

S = TypeVar("S", DagSpec, TaskSpec)

DAG_FIXED = ("dag_id", "file", "schema", "line")
TASK_FIXED = ("task_id", "operator", "upstream", "group", "expand", "length_keys", "setups", "empty", "line")


def apply_policies(manager: PluginManager, spec: DagSpec) -> DagSpec:
    """Return the DAG as all policies want it; the same object when none changed anything.

    A policy that fails refuses the DAG as one that says no: a rule that does not work must not let things through.

    Raises:
        AuthorError: a policy refused the DAG, failed, or returned something impossible; the text names the plugin.
    """
    for policy in manager.implementations("dag_policy"):
        spec = _applied(manager, policy, spec, DAG_FIXED, {"spec": spec})
    task_policies = manager.implementations("task_policy")
    if not task_policies:
        return spec
    tasks = tuple(_task(manager, task_policies, task, spec) for task in spec.tasks)
    if all(new is old for new, old in zip(tasks, spec.tasks, strict=True)):
        return spec
    return msgspec.structs.replace(spec, tasks=tasks)


def _task(manager: PluginManager, policies: list[Implementation], task: TaskSpec, dag: DagSpec) -> TaskSpec:
    for policy in policies:
        task = _applied(manager, policy, task, TASK_FIXED, {"spec": task, "dag": dag})
    return task


def _applied(
    manager: PluginManager, policy: Implementation, spec: S, fixed: tuple[str, ...], offered: dict[str, Any]
) -> S:
    given = [offered[name] for name in policy.parameters]
    try:
        answer = manager.calls.strict(policy.plugin, policy.hook, policy.function, *given)
    except PluginFailure as failure:
        cause = failure.__cause__
        text = str(cause) if isinstance(cause, TradewindError | ValueError) else f"it failed: {failure}"
        raise _refusal(policy, spec, text) from cause
    if answer is None or answer is spec:
        return spec
    return _checked(policy, spec, fixed, answer)


def _checked(policy: Implementation, spec: S, fixed: tuple[str, ...], answer: object) -> S:
    kind = type(spec)
    if not isinstance(answer, kind):
        raise _refusal(
            policy, spec, f"it returned a {type(answer).__name__}; it returns a {kind.__name__} or None"
        )
    for name in fixed:
        if getattr(answer, name) != getattr(spec, name):
            raise _refusal(policy, spec, f'it changed "{name}", which a policy leaves as it is')
    if kind is DagSpec and _skeleton(answer) != _skeleton(spec):
        raise _refusal(policy, spec, "it changed the tasks; use task_policy for that")
    try:
        return msgspec.convert(msgspec.to_builtins(answer), kind)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise _refusal(policy, spec, f"it returned a value that cannot be: {error}") from None


def _skeleton(spec: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(task, name) for name in TASK_FIXED) for task in spec.tasks]


def _refusal(policy: Implementation, spec: DagSpec | TaskSpec, text: str) -> AuthorError:
    what = f'DAG "{spec.dag_id}"' if isinstance(spec, DagSpec) else f'Task "{spec.task_id}"'
    return AuthorError(
        f'{what} is refused by {policy.hook} of plugin "{policy.plugin}": {text}', line=spec.line
    )
