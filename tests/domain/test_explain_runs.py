"""Reasons of runs and DAGs, and of the leadership over all of them."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from tests.domain.explaining import (
    LEADER,
    NOW,
    SIX,
    dag_row,
    facts_of,
    one_task,
    row,
    run,
    snapshot,
    spec_of,
    task,
    told,
    why,
)
from tradewind.domain.explain import (
    explain_dag,
    explain_run,
)
from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import (
    DagRow,
)
from tradewind.domain.states import RunState, TaskState

# ---- runs and DAGs ---------------------------------------------------------------------------------


def test_a_queued_run_waits_for_max_active_runs() -> None:
    spec = spec_of(task("load"), max_active_runs=1)
    waiting = snapshot(run(1, RunState.QUEUED, queued_at=SIX), [row(0, "load", "none")])
    facts = facts_of(spec, waiting, snapshot(run(2), []))
    message = 'DAG "sales" has 1 of max_active_runs=1 running: r2 since 06:00:00 UTC (11 min)'
    assert told(explain_run(facts, 1, NOW)) == [("max_active_runs", message)]
    assert why(facts) == [
        ("run_queued", "its run is queued and waits for its place among the active runs"),
        ("max_active_runs", message),
    ]


def test_a_run_that_could_start_says_so() -> None:
    facts = facts_of(spec_of(task("load")), snapshot(run(1, RunState.QUEUED), []))
    assert told(explain_run(facts, 1, NOW)) == [
        ("run_queued", "nothing holds it back: the scheduler starts it at its next turn")
    ]


def test_not_due() -> None:
    due = NOW + timedelta(days=1, hours=2)
    facts = facts_of(spec_of(task("load")), snapshot(run(1, RunState.QUEUED, run_after=due), []))
    assert explain_run(facts, 1, NOW) == [
        Reason(
            kind=ReasonKind.NOT_DUE,
            message="the run is due at 2026-01-02 08:11:00 UTC (in 1 d 2 h)",
            until=due,
        )
    ]


def test_a_paused_run() -> None:
    facts = facts_of(spec_of(task("load")), one_task(of=run(1, RunState.PAUSED)))
    message = (
        "the run is paused: running tasks finish, no new ones start. "
        "Let it go on: `tradewind runs resume sales r1`"
    )
    assert why(facts) == told(explain_run(facts, 1, NOW)) == [("run_paused", message)]


def test_a_held_dag() -> None:
    facts = facts_of(spec_of(task("load")), one_task(), dag=dag_row(paused=True, held=True))
    message = (
        'DAG "sales" is paused with --hold: its schedule makes no runs, and its active runs wait. '
        "Let it go on: `tradewind dags unpause sales`"
    )
    assert why(facts) == [("dag_held", message)]
    assert told(explain_dag(facts, "sales", NOW))[0] == ("dag_held", message)


def test_a_paused_dag_lets_its_active_runs_go_on() -> None:
    facts = facts_of(spec_of(task("load")), one_task(), dag=dag_row(paused=True))
    assert [kind for kind, _ in why(facts)] == ["queued"]
    assert told(explain_dag(facts, "sales", NOW)) == [
        (
            "dag_paused",
            'DAG "sales" is paused: its schedule makes no runs. Let it go on: `tradewind dags unpause sales`',
        ),
        ("not_due", "its next run is due at 09:15:00 UTC (in 3 h 4 min)"),
    ]


@pytest.mark.parametrize(
    ("dag", "expected"),
    [
        (
            dag_row(next_run_at=None),
            (
                "not_due",
                (
                    "its schedule names no further instant, or it has none: start a run with "
                    "`tradewind dags trigger sales`"
                ),
            ),
        ),
        (
            dag_row(next_run_at=SIX),
            ("not_due", "a run is due since 06:00:00 UTC: the scheduler makes it at its next turn"),
        ),
        (dag_row(retired=True), ("ended", "it is retired: its file sales.py is gone")),
    ],
)
def test_dags(dag: DagRow, expected: tuple[str, str]) -> None:
    assert told(explain_dag(facts_of(spec_of(task("load")), dag=dag), "sales", NOW)) == [expected]


def test_a_running_run_says_how_far_it_is() -> None:
    spec = spec_of(task("a"), task("b"), task("load", "a"))
    rows = [row(0, "a", "success"), row(1, "b", "running"), row(2, "load", "none")]
    facts = facts_of(spec, snapshot(run(), rows))
    assert told(explain_run(facts, 1, NOW)) == [
        (
            "running",
            "running since 06:00:00 UTC (11 min): 1 of 3 task instances ended, 1 not started, 1 running",
        )
    ]
    ended = snapshot(run(), [msgspec.structs.replace(one, state=TaskState.SUCCESS) for one in rows])
    assert told(explain_run(facts_of(spec, ended), 1, NOW))[0][1].endswith(
        "3 of 3 task instances ended; its end is decided at the scheduler's next turn"
    )


def test_an_ended_run() -> None:
    over = run(1, RunState.FAILED, ended_at=SIX + timedelta(minutes=2), reason="leaf load failed")
    facts = facts_of(spec_of(task("load")), snapshot(over, [row(0, "load", "none")]))
    message = "ended as failed at 06:02:00 UTC after 2 min: leaf load failed"
    assert told(explain_run(facts, 1, NOW)) == [("ended", message)]
    assert why(facts) == [("ended", "its run ended as failed: it does not start any more")]


# ---- leadership ------------------------------------------------------------------------------------


def test_leadership_is_being_taken_over() -> None:
    lost = (LEADER[0], NOW - timedelta(seconds=5))
    facts = facts_of(spec_of(task("load")), one_task(), leader=lost)
    message = (
        "no scheduler leads: the lease of host-1 ended at 06:10:55 UTC (5 s ago). "
        "A standby takes over within seconds; if there is none, start one: `tradewind scheduler`"
    )
    assert why(facts) == [("leadership", message)]
    assert told(explain_run(facts, 1, NOW))[0] == ("leadership", message)
    assert told(explain_dag(facts, "sales", NOW))[0] == ("leadership", message)
    assert why(facts_of(spec_of(task("load")), one_task("running"), leader=lost))[0][0] == "running"


def test_nobody_ever_led() -> None:
    message = "no scheduler has led here yet; start one: `tradewind scheduler` or `tradewind standalone`"
    assert why(facts_of(spec_of(task("load")), one_task(), leader=None)) == [("leadership", message)]
