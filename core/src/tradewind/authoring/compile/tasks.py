"""One task as the scheduler knows it, and all that can be wrong with one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tradewind.authoring.arguments import nearest
from tradewind.authoring.compile.expansion import expand_spec, references
from tradewind.authoring.compile.findings import Findings
from tradewind.authoring.compile.options import TASK_CHECKS, shown
from tradewind.authoring.dag import DAG
from tradewind.authoring.graph import NodeFunction
from tradewind.authoring.group import TaskGroup
from tradewind.authoring.mapped import MappedOperator
from tradewind.authoring.options import CALLBACK_NAMES
from tradewind.authoring.plain import NotPlainError, plain
from tradewind.authoring.task import Task
from tradewind.authoring.xcom import Ref, find_refs, leaves
from tradewind.domain.run_ids import check_task_id
from tradewind.domain.spec import RetrySpec, TaskSpec, TriggerRule
from tradewind.errors import ArgumentError, AuthorError, UnknownReferenceError

# A pull by hand in a template, with the id written out and no other DAG or run asked for.
_PULL = re.compile(r"xcom_pull\(\s*(?:task_ids\s*=\s*)?(['\"])([^'\"]+)\1([^)]*)\)")
# Options that TaskSpec has no field for; they are kept with the arguments.
_ARGUMENT_OPTIONS = ("retry_on", "no_retry_on", "do_xcom_push", *CALLBACK_NAMES)
_NAMES_SHOWN_MAX = 20


@dataclass(slots=True)
class TaskCompiler:
    """Compiles the tasks of one DAG; what it finds goes to ``findings``."""

    dag: DAG
    findings: Findings
    upstream: Mapping[str, tuple[str, ...]]
    length_keys: dict[str, set[str]] = field(default_factory=dict)  # filled by expansions, read at the end
    views: dict[int, tuple[Any, Any]] = field(default_factory=dict)  # id -> (function, its view), made once

    def compile(self, task: Task) -> TaskSpec | None:
        """Return the task's spec; None, with errors noted, when a value makes it impossible."""
        errors_before = len(self.findings.errors)
        self._check_id(task)
        self._check_options(task)
        self._check_rule(task)
        self._check_pulls(task)
        expand = self._expand(task)
        arguments = self._arguments(task)
        setups = self._setups(task)
        if len(self.findings.errors) > errors_before:
            return None
        return self._spec(task, expand, arguments, setups)

    def _check_id(self, task: Task) -> None:
        try:
            if not isinstance(task.task_id, str):
                raise ValueError(f"a task_id is a text, not {task.task_id!r:.60}")  # noqa: TRY004 - one kind for all ids
            check_task_id(task.task_id)
        except ValueError as error:
            self._error(ArgumentError, f'DAG "{self.dag.dag_id}": {error}.', task)

    def _check_options(self, task: Task) -> None:
        for name in task.options_given:
            check = TASK_CHECKS.get(name)
            value = getattr(task, name)
            wanted = None if check is None else check(value)
            if wanted is not None:
                value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
                text = f'Task "{task.task_id}" has {name}={shown(value)}; it must be {wanted}.'
                self._error(ArgumentError, text, task)

    def _check_rule(self, task: Task) -> None:
        rule = task.trigger_rule
        if rule is TriggerRule.ALL_DONE_SETUP_SUCCESS and not task.is_teardown:
            self._error(
                ArgumentError,
                f'Task "{task.task_id}" has the trigger rule {rule}, which is for teardowns only. Make it one with '
                "@teardown or .as_teardown(setups=…), or use all_done.",
                task,
            )
        elif self.dag.fail_fast and rule is not TriggerRule.ALL_SUCCESS and not task.is_teardown:
            self._error(
                ArgumentError,
                f'Task "{task.task_id}" has the trigger rule {rule}, but DAG "{self.dag.dag_id}" has fail_fast=True, '
                "which ends the run at the first failure: only all_success can be used there.",
                task,
            )
        elif rule is TriggerRule.ALWAYS:
            for group in task.enclosing_groups():
                if isinstance(group, TaskGroup) and group.mapped and any(True for _ in _refs(group)):
                    self._error(
                        ArgumentError,
                        f'Task "{task.task_id}" has the trigger rule always inside the group "{group.group_id}", which '
                        "is mapped over a task's output: it cannot run before that output is there. Use all_done.",
                        task,
                    )
                    break

    def _check_pulls(self, task: Task) -> None:
        for text in _templates(task):
            for _quote, task_id, rest in _PULL.findall(text):
                if task_id in self.dag.task_nodes or "dag_id" in rest or "run_id" in rest:
                    continue
                close = nearest(task_id, self.dag.task_nodes)
                advice = f"Did you mean {close}?" if close else f"Tasks: {_some(self.dag.task_nodes)}."
                self._error(
                    UnknownReferenceError,
                    f'Task "{task.task_id}" pulls the output of "{task_id}" in a template, but DAG '
                    f'"{self.dag.dag_id}" has no such task. {advice}',
                    task,
                )

    def _expand(self, task: Task) -> Any:
        if not isinstance(task, MappedOperator):
            return None
        expand = expand_spec(
            f'Task "{task.task_id}"',
            task.expand_kwargs,
            task.expand_kwargs_input,
            home=self.dag.home,
            length_max=self.dag.max_map_length,
            place=task.place,
            findings=self.findings,
        )
        self.note_lengths(expand)
        return expand

    def note_lengths(self, expand: Any) -> None:
        """Remember which outputs' lengths an expansion needs."""
        for _name, value in expand.inputs if expand is not None else ():
            for ref in references(value):
                self.length_keys.setdefault(ref.task_id, set()).add(ref.key)

    def _arguments(self, task: Task) -> dict[str, Any]:
        given = {name: value for name, value in task.given.items() if not _is_expansion(task, name)}
        given |= {name: getattr(task, name) for name in _ARGUMENT_OPTIONS if name in task.options_given}
        guards = getattr(task, "guards", ())
        if guards:
            given["run_if" if guards[0][0] else "skip_if"] = [list(guard) for guard in guards]
        view: dict[str, Any] = {}
        notes: list[str] = []
        for name, value in given.items():
            try:
                view[name] = self._view(value, name, notes)
            except NotPlainError as error:
                self._error(ArgumentError, f'Task "{task.task_id}": {error}', task)
        for note in notes:
            self.findings.warn(
                f'Task "{task.task_id}": {note}. A value that is new each time the file is read makes a new version of '
                "the DAG each time. Make it inside the task.",
                task.place,
            )
        own = task.operator_type
        if not (own.__module__ == "tradewind" or own.__module__.startswith(("tradewind.", "tradewind_"))):
            view["class"] = self._view(own, "class", notes)
        return view

    def _view(self, value: Any, name: str, notes: list[str]) -> Any:
        if not callable(value) or isinstance(value, Ref | NodeFunction):
            return plain(value, path=name, home=self.dag.home, notes=notes)
        known = self.views.get(id(value))
        if known is None:
            # the function is kept beside its view, so that its id stays its own
            known = self.views[id(value)] = (value, plain(value, path=name, home=self.dag.home, notes=notes))
        return known[1]

    def _setups(self, task: Task) -> tuple[str, ...]:
        if not task.is_teardown:
            return ()
        direct = [self.dag.task_nodes[above] for above in self.upstream.get(task.task_id, ())]
        setups = {node.task_id for node in (*task.setups, *direct) if node.is_setup}
        if not setups:
            self._error(
                ArgumentError,
                f'Teardown "{task.task_id}" has no setups, so nothing says when it is needed. Give them: '
                f"{task.label}.as_teardown(setups=make), or put a setup directly upstream of it.",
                task,
            )
        return tuple(sorted(setups))

    def _spec(self, task: Task, expand: Any, arguments: dict[str, Any], setups: tuple[str, ...]) -> TaskSpec:
        kind = task.operator_type
        callbacks = tuple(name for name in CALLBACK_NAMES if getattr(task, name))
        return TaskSpec(
            task_id=task.task_id,
            operator=kind.__name__,
            operator_kind=kind.operator_kind,
            upstream=tuple(sorted(self.upstream.get(task.task_id, ()))),
            group=None if task.group is None else task.group.group_id,
            trigger_rule=task.trigger_rule,
            expand=expand,
            retry=_retry(task),
            timeout_seconds=seconds(task.execution_timeout),
            pool=task.pool,
            pool_slots=task.pool_slots,
            priority_weight=task.priority_weight,
            weight_rule=task.weight_rule,
            executor=task.executor,
            queue=task.queue,
            depends_on_past=task.depends_on_past or task.wait_for_downstream,
            wait_for_downstream=task.wait_for_downstream,
            max_active_tis_per_dag=task.max_active_tis_per_dag,
            limits=task.limits,
            is_setup=task.is_setup,
            is_teardown=task.is_teardown,
            setups=setups,
            on_failure_fail_dagrun=task.on_failure_fail_dagrun,
            empty=kind.does_nothing
            and not callbacks
            and not task.outlets
            and not getattr(task, "guards", ()),
            at_most_once=task.at_most_once,
            decides_branch=kind.decides_branch,
            start_deferred=task.start_deferred,
            map_index_template=task.map_index_template,
            multiple_outputs=task.multiple_outputs,
            template_fields=tuple(kind.template_fields),
            arguments=arguments,
            outlets=tuple(asset.name for asset in task.outlets),
            inlets=tuple(asset.name for asset in task.inlets),
            callbacks=callbacks,
            owner=task.owner,
            doc=task.doc,
            display_name=task.display_name,
            line=task.place.line if task.place.file == self.dag.file else None,
        )

    def _error(self, kind: type[AuthorError], text: str, task: Task) -> None:
        self.findings.error(kind, text, task.place)


def seconds(value: timedelta | None) -> float | None:
    """Return a duration in seconds."""
    return None if value is None else value.total_seconds()


def _retry(task: Task) -> RetrySpec:
    return RetrySpec(
        retries=task.retries,
        delay_seconds=task.retry_delay.total_seconds(),
        backoff=float(task.retry_backoff),
        delay_max_seconds=seconds(task.retry_delay_max),
        jitter=float(task.retry_jitter),
    )


def _is_expansion(task: Task, name: str) -> bool:
    return name == "expand" and isinstance(task, MappedOperator)


def _refs(group: TaskGroup) -> Iterator[Ref]:
    return find_refs(group.expand_input)


def _templates(task: Task) -> Iterator[str]:
    """Yield the strings among a task's templated arguments that pull an output."""
    fields = frozenset(task.operator_type.template_fields)
    for name, value in task.given.items():
        if name in fields:
            yield from (text for text in leaves(value) if isinstance(text, str) and "xcom_pull(" in text)


def _some(names: Mapping[str, Any]) -> str:
    listed = list(names)[:_NAMES_SHOWN_MAX]
    return ", ".join(listed) + (" …" if len(names) > len(listed) else "")
