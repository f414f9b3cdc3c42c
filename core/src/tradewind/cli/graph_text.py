"""A DAG's tasks and what they wait for, drawn as text, mermaid or Graphviz."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tradewind.domain.spec import DagSpec, TaskSpec


def draw(spec: DagSpec, form: str, *, left_to_right: bool = False) -> str:
    """Return the drawing; ``form`` is text, mermaid or dot."""
    if form == "mermaid":
        return "\n".join(_mermaid(spec, "LR" if left_to_right else "TD")) + "\n"
    if form == "dot":
        return "\n".join(_dot(spec, "LR" if left_to_right else "TB")) + "\n"
    return "\n".join(_text(spec)) + "\n"


def _text(spec: DagSpec) -> Iterator[str]:
    depth: dict[str, int] = {}
    for task in spec.tasks:
        depth[task.task_id] = max((depth[name] + 1 for name in task.upstream), default=0)
        waits = f"  ← {', '.join(task.upstream)}" if task.upstream else ""
        yield f"{'  ' * depth[task.task_id]}{task.task_id}{_signs(task)}{waits}"


def _signs(task: TaskSpec) -> str:
    signs = []
    if task.expand is not None:
        signs.append("mapped")
    if task.trigger_rule.value != "all_success":
        signs.append(task.trigger_rule.value)
    signs += ["setup"] * task.is_setup + ["teardown"] * task.is_teardown
    return f" [{', '.join(signs)}]" if signs else ""


def _mermaid(spec: DagSpec, direction: str) -> Iterator[str]:
    yield f"flowchart {direction}"
    number = {task.task_id: f"t{place}" for place, task in enumerate(spec.tasks)}
    labels = {(one, other): text for one, other, text in spec.labels}
    for task in spec.tasks:
        text = f"{task.task_id}{_signs(task)}".replace('"', "#quot;")
        yield f'    {number[task.task_id]}["{text}"]'
    for task in spec.tasks:
        for name in task.upstream:
            label = labels.get((name, task.task_id))
            arrow = f"-- {label} -->" if label else "-->"
            yield f"    {number[name]} {arrow} {number[task.task_id]}"


def _dot(spec: DagSpec, direction: str) -> Iterator[str]:
    yield f"digraph {json.dumps(spec.dag_id)} {{"
    yield f"    rankdir={direction}; node [shape=box, style=rounded];"
    labels = {(one, other): text for one, other, text in spec.labels}
    for task in spec.tasks:
        yield f"    {json.dumps(task.task_id)} [label={json.dumps(task.task_id + _signs(task))}];"
    for task in spec.tasks:
        for name in task.upstream:
            label = labels.get((name, task.task_id))
            more = f" [label={json.dumps(label)}]" if label else ""
            yield f"    {json.dumps(name)} -> {json.dumps(task.task_id)}{more};"
    yield "}"
