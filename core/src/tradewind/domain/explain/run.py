"""Why a run does not start, go on or end; and what stands over all its tasks."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from tradewind.domain.explain.facts import Facts
from tradewind.domain.explain.words import at_and_in, clock, plural, since, some, span, total
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import DagRow, RunRow
from tradewind.domain.states import TERMINAL_RUN_STATES, TERMINAL_TASK_STATES, RunState


def explain_run(facts: Facts, run_pk: int, now: datetime) -> list[Reason]:
    """Return why a run stands where it stands; never empty.

    ``now`` is database time. ``NotFoundError`` when the run is not among the facts.
    """
    run = facts.snapshot(run_pk).run
    if run.state in TERMINAL_RUN_STATES:
        return [_ended(run, now)]
    reasons = [*leadership(facts, now), *run_holds(facts, run, now)]
    if run.state is RunState.RUNNING:
        reasons.append(_running(facts, run, now))
    if not reasons:
        reasons.append(
            Reason(
                kind=ReasonKind.RUN_QUEUED,
                message="nothing holds it back: the scheduler starts it at its next turn",
                since=run.queued_at,
            )
        )
    return reasons


def explain_dag(facts: Facts, dag_id: str, now: datetime) -> list[Reason]:
    """Return why a DAG makes no new run now; never empty. ``KeyError`` for an unknown DAG."""
    dag = facts.dags[dag_id]
    if dag.retired:
        return [Reason(kind=ReasonKind.ENDED, message=f"it is retired: its file {dag.file} is gone")]
    reasons = [*leadership(facts, now), *dag_holds(dag, "its schedule makes no runs")]
    if dag.next_run_at is None:
        reasons.append(
            Reason(
                kind=ReasonKind.NOT_DUE,
                message="its schedule names no further instant, or it has none: start a run with "
                f"`tradewind dags trigger {dag_id}`",
            )
        )
    elif dag.next_run_at > now:
        reasons.append(
            Reason(
                kind=ReasonKind.NOT_DUE,
                message=f"its next run is due at {at_and_in(dag.next_run_at, now)}",
                until=dag.next_run_at,
            )
        )
    elif not reasons:
        reasons.append(
            Reason(
                kind=ReasonKind.NOT_DUE,
                message=f"a run is due since {clock(dag.next_run_at, now)}: the scheduler makes it at its next turn",
                since=dag.next_run_at,
            )
        )
    return reasons


def leadership(facts: Facts, now: datetime) -> list[Reason]:
    """Return that nobody decides at present; empty while a scheduler leads."""
    if facts.leader is None:
        message = "no scheduler has led here yet; start one: `tradewind scheduler` or `tradewind standalone`"
        return [Reason(kind=ReasonKind.LEADERSHIP, message=message)]
    term, ends_at = facts.leader
    if ends_at > now:
        return []
    message = (
        f"no scheduler leads: the lease of {term.holder} ended at {clock(ends_at, now)} ({span(now - ends_at)} ago). "
        "A standby takes over within seconds; if there is none, start one: `tradewind scheduler`"
    )
    data = {"holder": term.holder, "term": term.number, "lease_ended_at": ends_at}
    return [Reason(kind=ReasonKind.LEADERSHIP, message=message, since=ends_at, data=data)]


def dag_holds(dag: DagRow, effect: str) -> list[Reason]:
    """Return that a DAG is paused, and what that does; empty while it is not."""
    undo = f"`tradewind dags unpause {dag.dag_id}`"
    if dag.held:
        message = f'DAG "{dag.dag_id}" is paused with --hold: {effect}, and its active runs wait. Let it go on: {undo}'
        return [Reason(kind=ReasonKind.DAG_HELD, message=message)]
    if dag.paused:
        message = f'DAG "{dag.dag_id}" is paused: {effect}. Let it go on: {undo}'
        return [Reason(kind=ReasonKind.DAG_PAUSED, message=message)]
    return []


def run_holds(facts: Facts, run: RunRow, now: datetime) -> list[Reason]:
    """Return what keeps a whole active run from starting tasks; empty when nothing does."""
    reasons: list[Reason] = []
    dag = facts.dags.get(run.dag_id)
    if dag is not None and dag.held:
        reasons += dag_holds(dag, "its schedule makes no runs")
    if run.state is RunState.PAUSED:
        undo = f"`tradewind runs resume {run.dag_id} {run.run_id}`"
        message = f"the run is paused: running tasks finish, no new ones start. Let it go on: {undo}"
        reasons.append(Reason(kind=ReasonKind.RUN_PAUSED, message=message))
    if run.state is RunState.QUEUED:
        reasons += _queued(facts, run, now)
    return reasons


def _queued(facts: Facts, run: RunRow, now: datetime) -> list[Reason]:
    if run.run_after > now:
        message = f"the run is due at {at_and_in(run.run_after, now)}"
        return [Reason(kind=ReasonKind.NOT_DUE, message=message, until=run.run_after)]
    limit = facts.graph_of(run).spec.max_active_runs
    running = [
        one.run
        for one in facts.runs.values()
        if one.run.dag_id == run.dag_id and one.run.state is RunState.RUNNING
    ]
    if len(running) < limit:
        return []
    running.sort(key=lambda one: (one.started_at is None, one.started_at, one.pk))
    names = some([f"{one.run_id}{since(one.started_at, now)}" for one in running])
    return [
        Reason(
            kind=ReasonKind.LIMIT_RUNS,
            message=f'DAG "{run.dag_id}" has {len(running)} of max_active_runs={limit} running: {names}',
            since=run.queued_at,
            data={"limit": limit, "used": len(running), "runs": [one.run_id for one in running[:100]]},
        )
    ]


def _running(facts: Facts, run: RunRow, now: datetime) -> Reason:
    rows = facts.snapshot(run.pk).instances
    ended = sum(row.state in TERMINAL_TASK_STATES for row in rows)
    states = Counter(row.state.value for row in rows if row.state not in TERMINAL_TASK_STATES)
    rest = total((count, state.replace("none", "not started")) for state, count in sorted(states.items()))
    return Reason(
        kind=ReasonKind.RUNNING,
        message=f"running{since(run.started_at, now)}: {ended:,} of {plural(len(rows), 'task instance')} ended"
        + (f", {rest}" if rest else "; its end is decided at the scheduler's next turn"),
        since=run.started_at,
        data={"ended": ended, "total": len(rows), "states": dict(states)},
    )


def _ended(run: RunRow, now: datetime) -> Reason:
    when = "" if run.ended_at is None else f" at {clock(run.ended_at, now)}"
    took = (
        ""
        if run.ended_at is None or run.started_at is None
        else f" after {span(run.ended_at - run.started_at)}"
    )
    why = f": {run.reason}" if run.reason else ""
    return Reason(
        kind=ReasonKind.ENDED, message=f"ended as {run.state.value}{when}{took}{why}", since=run.ended_at
    )
