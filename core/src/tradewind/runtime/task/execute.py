"""Run one attempt: a row of small steps that carry one struct, and end in one report."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from tradewind.authoring.context import use_context
from tradewind.authoring.mapped import MappedOperator
from tradewind.domain.spec import TaskSpec
from tradewind.errors import LimitError, TradewindError, UnknownReferenceError
from tradewind.ports.clock import Clock
from tradewind.ports.runtime_api import XCOMS_PER_ATTEMPT_MAX, OutcomeReport, TaskContext
from tradewind.runtime.task.attempt import Attempt, Termination
from tradewind.runtime.task.connections import is_sensitive
from tradewind.runtime.task.context import AttemptContext
from tradewind.runtime.task.data import DataClient
from tradewind.runtime.task.instance import TaskInstance, check_key
from tradewind.runtime.task.lengths import is_referred_to, lengths_of, mapped_keys
from tradewind.runtime.task.mapping import MappedArguments, Resolved
from tradewind.runtime.task.mask import Masker
from tradewind.runtime.task.render import Renderer, is_template
from tradewind.runtime.task.report import failed, succeeded
from tradewind.runtime.task.resolve import Resolver
from tradewind.runtime.task.scopes import Scopes
from tradewind.runtime.task.state import State
from tradewind.runtime.task.values import Types, encode
from tradewind.runtime.task.xcoms import XComs

RENDERED_CHARS_MAX = 4096  # of one field, after masking; a longer one is for the log
LABEL_CHARS_MAX = 250

__all__ = ["Termination", "run_attempt"]


def run_attempt(
    dag: Any,
    context: TaskContext,
    data: DataClient,
    *,
    clock: Clock,
    spec: TaskSpec | None = None,
    masker: Masker | None = None,
    termination: Termination | None = None,
    wait: Callable[[float], None] | None = None,
    passes: tuple[type[BaseException], ...] = (),
) -> OutcomeReport:
    """Run the task that ``context`` names and return how it ended; no exception of user code comes out.

    ``spec`` is the task's compiled form where it is at hand (else the DAG is asked). ``masker`` learns the secrets
    the task is given. ``termination`` is the caller's SIGTERM handler, told of the operator while it
    runs. ``wait`` lets seconds pass (default: really). Exceptions of the kinds ``passes`` come out as they are.
    """
    started_at = clock.now()
    attempt = Attempt(
        dag=dag,
        facts=context,
        data=data,
        clock=clock,
        spec=spec,
        masker=masker if masker is not None else Masker(),  # an empty one is false
        termination=termination or Termination(),
        wait=wait or _wait,
    )
    try:
        for step in STEPS:
            step(attempt)
    except passes:
        raise
    except BaseException as error:  # noqa: BLE001 - the border between user code and the report
        report = failed(attempt, error)
    else:
        report = succeeded(attempt)
    return msgspec.structs.replace(report, started_at=started_at, ended_at=clock.now(), pid=os.getpid())


def _wait(seconds: float) -> None:
    """Let time pass; a signal's handler runs meanwhile."""
    threading.Event().wait(seconds)


# ---- the steps ----------------------------------------------------------------------------------------


def _find(attempt: Attempt) -> None:
    try:
        attempt.task = attempt.dag.get_task(attempt.facts.task_id)
    except UnknownReferenceError as error:
        raise TradewindError(f"{error} Its file makes another DAG each time it is read") from None


def _see(attempt: Attempt) -> None:
    """Make the views of the run: context, readers, renderer."""
    dag, facts, data = attempt.dag, attempt.facts, attempt.data
    folder = own_folder(dag.file)
    types = Types(folder=dag_folder(dag.file, facts.file))
    attempt.scopes = Scopes(attempt.task, facts.map_index)
    attempt.xcoms_of_run = XComs(data, types)
    attempt.mapped = MappedArguments(attempt.task, attempt.scopes, attempt.xcoms_of_run, facts.lengths)
    ti = TaskInstance(facts, attempt.scopes, data, attempt.xcoms_of_run)
    attempt.context = AttemptContext(
        facts,
        dag=dag,
        task=attempt.task,
        ti=ti,
        data=data,
        state=lambda: State(data, types),
        hide=attempt.masker.add,
        now=attempt.clock.now,
        wait=attempt.wait,
    )
    folders = [Path(path) if folder is None else folder / path for path in dag.template_searchpath]
    attempt.renderer = Renderer(
        attempt.context,
        folders=folders if folder is None else [folder, *folders],
        filters=dag.user_defined_filters,
        macros=dag.user_defined_macros,
        native=dag.render_template_as_native_obj,
        task_id=facts.task_id,
    )


@lru_cache(maxsize=64)
def own_folder(file: str | None) -> Path | None:
    """Return the folder of a DAG file; kept, so that the forks of a warm server need not work it out."""
    return Path(file).parent if file else None


@lru_cache(maxsize=64)
def dag_folder(file: str | None, relative: str) -> Path | None:
    """Return the DAG folder: the file's path without its part below the folder; else the file's own folder."""
    if not file:
        return None
    path = Path(file)
    parts = Path(relative).parts
    if parts and path.parts[-len(parts) :] == parts:
        return path.parents[len(parts) - 1]
    return path.parent


def _unmap(attempt: Attempt) -> None:
    """Make the operator of this index."""
    task = attempt.task
    if isinstance(task, MappedOperator):
        assert attempt.mapped is not None
        task = task.unmap(attempt.mapped.own())
    attempt.operator = task


def _resolve(attempt: Attempt) -> None:
    """Replace references and templates; tell the rendered fields."""
    assert attempt.context is not None
    assert attempt.renderer is not None
    assert attempt.scopes is not None
    assert attempt.xcoms_of_run is not None
    assert attempt.mapped is not None
    resolver = Resolver(
        attempt.context, attempt.renderer, attempt.scopes, attempt.xcoms_of_run, attempt.mapped
    )
    attempt.operator = resolver.operator(attempt.operator)
    attempt.context.task = attempt.operator
    if resolver.rendered:
        fields = {name: _shown(value, name, attempt.masker) for name, value in resolver.rendered.items()}
        attempt.data.ask("rendered_put", fields=fields)


def _shown(value: Any, name: str, masker: Masker) -> str:
    """Return a rendered field as text, masked before it is cut."""
    text = value if isinstance(value, str) else repr(_without_secrets(value, name))
    text = masker.mask_text(text)
    return text if len(text) <= RENDERED_CHARS_MAX else text[:RENDERED_CHARS_MAX] + "…"


def _without_secrets(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, Resolved):
        return value.value
    return "***" if isinstance(value, str) and value and is_sensitive(name) else value


def _execute(attempt: Attempt) -> None:
    """Call the author's code."""
    assert attempt.context is not None
    operator, context, resume = attempt.operator, attempt.context, attempt.facts.resume
    attempt.termination.operator = operator
    try:
        with use_context(context):
            operator.pre_execute(context)
            if resume is None:
                attempt.result = operator.execute(context)
            else:
                attempt.result = getattr(operator, resume["method"])(context, resume.get("event"))
    finally:
        attempt.termination.operator = None


def _collect(attempt: Attempt) -> None:
    """Turn the result into XComs, and say how long those are that others are mapped over."""
    assert attempt.context is not None
    task, operator = attempt.task, attempt.operator
    keys = _mapped_keys(attempt)
    values: dict[str, Any] = {}
    if operator.do_xcom_push:
        if operator.multiple_outputs and attempt.result is not None:
            values |= _outputs(attempt.result, task.task_id)
        if attempt.result is not None or keys or (attempt.facts.map_index and is_referred_to(task)):
            values["return_value"] = attempt.result
    attempt.lengths = lengths_of(values, attempt.context.ti.lengths, keys)
    if len(values) > XCOMS_PER_ATTEMPT_MAX:
        raise LimitError(
            f"task {task.task_id!r} returned {len(values) - 1} outputs; at most {XCOMS_PER_ATTEMPT_MAX} are "
            "possible. Return one dict without multiple_outputs"
        )
    attempt.xcoms = {
        key: encode(value, where=key if key == "return_value" else f"the output {key!r}", task=task.task_id)
        for key, value in values.items()
    }


def _mapped_keys(attempt: Attempt) -> Mapping[str, str]:
    if attempt.spec is None:
        return mapped_keys(attempt.task)
    return dict.fromkeys(attempt.spec.length_keys, "another task")


def _outputs(result: Any, task_id: str) -> dict[str, Any]:
    if not isinstance(result, Mapping):
        raise TradewindError(
            f"task {task_id!r} has multiple_outputs and must return a dict with names as keys, not "
            f"{type(result).__name__} ({result!r:.40})"
        )
    for key in result:
        check_key(key)
    return dict(result)


def _name(attempt: Attempt) -> None:
    """Render what people see instead of the map index."""
    template = attempt.task.map_index_template
    if template and attempt.facts.map_index and attempt.renderer is not None:
        text = (
            str(attempt.renderer.text(template, field="map_index_template"))
            if is_template(template)
            else template
        )
        attempt.label = attempt.masker.mask_text(text)[:LABEL_CHARS_MAX]


STEPS: tuple[Callable[[Attempt], None], ...] = (_find, _see, _unmap, _resolve, _execute, _collect, _name)
