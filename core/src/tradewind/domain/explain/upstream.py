"""Why a task instance may not start yet for what comes before it: rule, setups, mapping, past."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tradewind.domain.explain.facts import Facts
from tradewind.domain.explain.words import name, plural, some, stands, total
from tradewind.domain.graph import GraphTask
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.domain.rules import NEEDS, Counts, Verdict, setup_verdict, teardown_verdict, verdict
from tradewind.domain.spec import TriggerRule
from tradewind.domain.states import ACTIVE_RUN_STATES, TERMINAL_TASK_STATES, TaskState

_TEARDOWN_RULES = frozenset({TriggerRule.ALL_DONE_SETUP_SUCCESS, TriggerRule.ALL_SUCCESS})
_DONE_BEFORE = frozenset({TaskState.SUCCESS, TaskState.SKIPPED, TaskState.REMOVED})


def upstream_reasons(
    facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask, now: datetime
) -> list[Reason]:
    """Return what an instance in state none waits for; empty when it could start as far as these go."""
    key = (run.pk, task.ordinal, row.map_index[: task.group_depth], len(row.map_index), now)
    known = facts.upstream_known.get(key)
    if known is None:
        known = facts.upstream_known[key] = [
            *_setups(facts, run, row, task, now),
            *_rule(facts, run, row, task, now),
            *_mapping(facts, run, row, task, now),
            *_past(facts, run, task),
        ]
    return known


def rule_reason(facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask) -> Reason | None:
    """Return what the trigger rule needs and what there is; None for a task without upstream."""
    above = list(facts.looked_at(run, row.map_index, task.up))
    if not above:
        return None
    counts = _counted(above)
    missing = [
        one for one in above if one.state in TERMINAL_TASK_STATES and one.state is not TaskState.SUCCESS
    ]
    which = f": {some([f'{name(one)} {one.state.value}' for one in missing])}" if missing else ""
    return Reason(
        kind=ReasonKind.TRIGGER_RULE,
        message=f"its rule {task.rule} needs {NEEDS[task.rule]}; of {counts.total:,} upstream {_told(counts)}{which}",
        data={
            "rule": task.rule.value,
            "total": counts.total,
            "success": counts.success,
            "failed": counts.failed,
            "upstream_failed": counts.upstream_failed,
            "skipped": counts.skipped,
            "removed": counts.removed,
        },
    )


def _rule(facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask, now: datetime) -> list[Reason]:
    above = list(facts.looked_at(run, row.map_index, task.up))
    counts = _counted(above)
    setups = _counted(list(facts.looked_at(run, row.map_index, task.setups)))
    says = teardown_verdict(counts, setups) if _tears_down(task) else verdict(task.rule, counts)
    if says is not Verdict.WAIT:
        return []
    open_ones = [one for one in above if one.state not in TERMINAL_TASK_STATES]
    if not open_ones:
        return []
    message = f"waiting for {len(open_ones):,} of {plural(counts.total, 'upstream task')}: "
    reasons = [
        Reason(
            kind=ReasonKind.UPSTREAM,
            message=message + some([stands(one, now) for one in _busiest_first(open_ones)]),
            data={"unfinished": len(open_ones), "total": counts.total, "tasks": _names(open_ones)},
        )
    ]
    if task.rule is not TriggerRule.ALL_SUCCESS:
        reason = rule_reason(facts, run, row, task)
        reasons += [reason] if reason else []
    return reasons


def _setups(facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask, now: datetime) -> list[Reason]:
    if _tears_down(task):
        return []  # it waits for them as for everything else before it
    setups = list(facts.looked_at(run, row.map_index, task.setups))
    if setup_verdict(_counted(setups)) is not Verdict.WAIT:
        return []
    open_ones = [one for one in setups if one.state not in TERMINAL_TASK_STATES]
    return [
        Reason(
            kind=ReasonKind.SETUP,
            message=f"waiting for its setup: {some([stands(one, now) for one in _busiest_first(open_ones)])}",
            data={"tasks": _names(open_ones)},
        )
    ]


def _mapping(facts: Facts, run: RunRow, row: InstanceRow, task: GraphTask, now: datetime) -> list[Reason]:
    """Say that a mapping is not expanded yet, or has to be expanded anew because what it is over was cleared."""
    prefix = facts.placeholder_around(row, task)
    if prefix is None:
        return []
    scope = task.scopes[len(prefix)]
    graph = facts.graph_of(run)
    open_ones = [
        one
        for source in scope.sources
        for one in facts.rows_at(run.pk, graph.tasks[source.task].task_id, prefix[: source.shared])
        if one.state not in TERMINAL_TASK_STATES
    ]
    if not open_ones:
        return []
    what = "its group" if scope.name != task.task_id else "it"
    return [
        Reason(
            kind=ReasonKind.MAPPING,
            message=f"how often {what} is mapped is not known yet: it is mapped over "
            + some([stands(one, now) for one in _busiest_first(open_ones)]),
            data={"tasks": _names(open_ones)},
        )
    ]


def _past(facts: Facts, run: RunRow, task: GraphTask) -> list[Reason]:
    if not (task.spec.depends_on_past or task.spec.wait_for_downstream):
        return []
    before = facts.previous(run)
    if before is None:
        return []
    wanted = {task.task_id}
    if task.spec.wait_for_downstream:
        graph = facts.graph_of(run)
        wanted |= {graph.tasks[ordinal].task_id for ordinal in graph.downstream(task.ordinal)}
    option = "wait_for_downstream" if task.spec.wait_for_downstream else "depends_on_past"
    bad = [row for row in before.instances if row.task_id in wanted and row.state not in _DONE_BEFORE]
    if bad:
        there = some([f"{name(one)} is {one.state.value}" for one in bad])
    elif before.run.state in ACTIVE_RUN_STATES and not before.instances:
        there = "nothing has started"
    else:
        return []
    return [
        Reason(
            kind=ReasonKind.DEPENDS_ON_PAST,
            message=f"{option}: in the run before, {before.run.run_id}, {there}",
            data={"run_id": before.run.run_id, "tasks": _names(bad)},
        )
    ]


def _tears_down(task: GraphTask) -> bool:
    """Whether it is judged as a teardown: one that asked for another rule has that one."""
    return task.spec.is_teardown and task.rule in _TEARDOWN_RULES


def _counted(rows: Sequence[InstanceRow]) -> Counts:
    counts = Counts(total=len(rows))
    for row in rows:
        counts.add(row.state)
    return counts


def _told(counts: Counts) -> str:
    words = (
        (counts.success, "succeeded"),
        (counts.failed, "failed"),
        (counts.upstream_failed, "could not run"),
        (counts.skipped, "skipped"),
        (counts.removed, "removed"),
        (counts.total - counts.done, "not finished"),
    )
    return total(words)


_ORDER = (TaskState.RUNNING, TaskState.QUEUED, TaskState.SCHEDULED)


def _busiest_first(rows: Sequence[InstanceRow]) -> list[InstanceRow]:
    return sorted(rows, key=lambda row: _ORDER.index(row.state) if row.state in _ORDER else len(_ORDER))


def _names(rows: Sequence[InstanceRow]) -> list[str]:
    return [name(row) for row in rows[:100]]  # data is for programs, yet no dump of a whole run
