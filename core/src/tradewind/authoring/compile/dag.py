"""A whole DAG: its header, groups, tasks and edges put together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path, PurePath

import msgspec

from tradewind.authoring.compile.expansion import expand_spec
from tradewind.authoring.compile.findings import CompileErrors, Findings
from tradewind.authoring.compile.header import HeaderCompiler
from tradewind.authoring.compile.options import RETRIES_MAX, name_or_none, shown, text_or_none, whole
from tradewind.authoring.compile.order import cycles, in_order
from tradewind.authoring.compile.tasks import TaskCompiler
from tradewind.authoring.dag import DAG
from tradewind.authoring.edges import Resolution, resolve
from tradewind.authoring.graph import connect
from tradewind.authoring.group import TaskGroup
from tradewind.authoring.xcom import find_tasks
from tradewind.domain.codec import encode, spec_hash
from tradewind.domain.run_ids import check_task_id
from tradewind.domain.spec import TASKS_PER_DAG_MAX, DagSpec, GroupSpec, TaskSpec
from tradewind.errors import ArgumentError, CycleError

SPEC_BYTES_MAX = (
    64 * 1024 * 1024
)  # of a stored DAG; it is read by scheduler, web server and every task's host
_CYCLE_SHOWN_MAX = 12  # tasks of a cycle in its message

__all__ = ["SPEC_BYTES_MAX", "compile_dag"]


def compile_dag(dag: DAG, *, folder: str | Path | None = None) -> tuple[DagSpec, str]:
    """Return the DAG's compiled form and its hash; ``dag.warnings`` then has what compiles but will surprise.

    ``folder`` is the DAG folder, to which the stored file name is relative; without it only the name is stored.
    Raises CompileErrors, which has all errors of the DAG.
    """
    findings = Findings()
    findings.errors += dag.build_errors
    if len(dag.task_nodes) > TASKS_PER_DAG_MAX:
        findings.error(
            ArgumentError,
            f'DAG "{dag.dag_id}" has {len(dag.task_nodes):,} tasks; at most {TASKS_PER_DAG_MAX:,} are allowed. Make '
            "many alike tasks one mapped task: some_task.expand(argument=[…]).",
            dag.place,
        )
        raise CompileErrors(str(dag.dag_id), findings.errors)
    _connect_late_references(dag)
    header = HeaderCompiler(dag, findings).compile()
    resolution = resolve(dag)
    findings.errors += resolution.problems
    upstream = _upstream(resolution)
    tasks = TaskCompiler(dag, findings, upstream)
    groups = tuple(made for group in dag.groups.values() if (made := _group(group, dag, tasks)) is not None)
    compiled = {one.task_id: tasks.compile(one) for one in dag.tasks}
    ordered = _ordered(dag, upstream, resolution, findings)
    dag.warnings = findings.warnings
    if findings.errors:
        _raise(dag, findings)
    spec = DagSpec(
        dag_id=dag.dag_id,
        file=_relative(dag.file, folder),
        line=dag.line,
        tasks=tuple(_with_length_keys(task, tasks) for one in ordered if (task := compiled[one]) is not None),
        groups=groups,
        labels=tuple(
            sorted((up, down, text) for (up, down), text in resolution.edges.items() if text is not None)
        ),
        **header,
    )
    return spec, _hash(dag, spec, findings)


def _raise(dag: DAG, findings: Findings) -> None:
    order = {id(error): number for number, error in enumerate(findings.errors)}
    findings.errors.sort(key=lambda error: (error.line or 0, order[id(error)]))
    raise CompileErrors(str(dag.dag_id), findings.errors)


def _hash(dag: DAG, spec: DagSpec, findings: Findings) -> str:
    size = len(encode(spec))
    if size > SPEC_BYTES_MAX:
        findings.error(
            ArgumentError,
            f'DAG "{dag.dag_id}" takes {size / 2**20:.0f} MiB to store; at most {SPEC_BYTES_MAX // 2**20} MiB are '
            "allowed. Put large arguments into files and pass their paths.",
            dag.place,
        )
        _raise(dag, findings)
    return spec_hash(spec)


def _connect_late_references(dag: DAG) -> None:
    """Connect what attributes refer to that were set after an operator was made."""
    for task in dag.tasks:
        for field in task.operator_type.template_fields:
            value = task.__dict__.get(field)
            if value is not None and value is not task.given.get(field):
                for upstream in find_tasks(value):
                    if upstream is not task and (upstream, task) not in dag.edges:
                        connect(upstream, task)


def _upstream(resolution: Resolution) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for above, below in resolution.edges:
        found.setdefault(below, []).append(above)
    return {task: tuple(ids) for task, ids in found.items()}


def _ordered(
    dag: DAG, upstream: dict[str, tuple[str, ...]], resolution: Resolution, findings: Findings
) -> list[str]:
    ordered, stuck = in_order(list(dag.task_nodes), upstream)
    for cycle in cycles(stuck, upstream) if stuck else ():
        closed = [*cycle, cycle[0]]
        path = (
            closed
            if len(closed) <= _CYCLE_SHOWN_MAX
            else [*closed[: _CYCLE_SHOWN_MAX - 2], "…", *closed[-2:]]
        )
        steps = [step for step in pairwise(closed) if step in resolution.through]
        through = list(dict.fromkeys(resolution.through[step] for step in steps))
        by_groups = f" The edges {', '.join(through)} are part of it." if through else ""
        places = [dag.task_nodes[task].place for task in cycle]
        lines = ", ".join(
            f"{task} line {place.line}" for task, place in zip(cycle, places, strict=True) if place.line
        )
        shown_lines = f" ({lines})" if len(cycle) <= _CYCLE_SHOWN_MAX else ""
        findings.error(
            CycleError,
            f'The tasks of DAG "{dag.dag_id}" wait for each other: {" >> ".join(path)}{shown_lines}.{by_groups} Take '
            "one of the edges away.",
            places[0],
        )
    return ordered


def _group(group: TaskGroup, dag: DAG, tasks: TaskCompiler) -> GroupSpec | None:
    findings, what = tasks.findings, f'Group "{group.group_id}"'
    before = len(findings.errors)
    try:
        check_task_id(str(group.group_id))
    except ValueError as error:
        text = str(error).replace("task_id", "group_id")
        findings.error(ArgumentError, f'DAG "{dag.dag_id}": {text}.', group.place)
    checks = {"retries": whole(0, RETRIES_MAX), "doc": text_or_none, "display_name": name_or_none}
    for argument, check in checks.items():
        wanted = check(getattr(group, argument))
        if wanted is not None:
            text = f"{what} has {argument}={shown(getattr(group, argument))}; it must be {wanted}."
            findings.error(ArgumentError, text, group.place)
    expand = None
    if group.mapped:
        expand = expand_spec(
            what,
            group.expand_kwargs,
            group.expand_kwargs_input,
            home=dag.home,
            length_max=dag.max_map_length,
            place=group.place,
            findings=findings,
        )
        tasks.note_lengths(expand)
    if len(findings.errors) > before:
        return None
    return GroupSpec(
        group_id=group.group_id,
        parent=None if group.group is None else group.group.group_id,
        expand=expand,
        retries=group.retries,
        doc=group.doc,
        display_name=group.display_name,
    )


def _with_length_keys(spec: TaskSpec, tasks: TaskCompiler) -> TaskSpec:
    keys = tasks.length_keys.get(spec.task_id)
    return spec if not keys else msgspec.structs.replace(spec, length_keys=tuple(sorted(keys)))


def _relative(file: str | None, folder: str | Path | None) -> str:
    if file is None:
        return ""
    if folder is not None:
        try:
            return Path(file).resolve().relative_to(Path(folder).resolve()).as_posix()
        except ValueError:
            pass  # a DAG of another folder keeps its bare name
    return PurePath(file).name
