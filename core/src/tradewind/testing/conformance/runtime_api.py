"""What every adapter of the runtime API must do; subclass :class:`RuntimeApiConformance` and give it a house."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import msgspec
import pytest

from tradewind.domain.actions import WHOLE_RUN, cancel_run, clear
from tradewind.domain.codec import spec_hash
from tradewind.domain.graph import Graph
from tradewind.domain.outcome import OutcomeKind
from tradewind.domain.records import InstanceRow, RunRow
from tradewind.domain.spec import DagSpec, RetrySpec, TaskSpec
from tradewind.domain.states import RunState, TaskState
from tradewind.ports.clock import Clock
from tradewind.ports.metastore import Metastore
from tradewind.ports.runtime_api import (
    Beat,
    BeatReply,
    ClaimReply,
    ClaimRequest,
    DataReply,
    DataRequest,
    OutcomeReport,
    ReportReply,
    RuntimeApi,
)

SPEC = DagSpec(
    dag_id="sales",
    file="sales.py",
    tasks=(
        TaskSpec(task_id="extract", operator="PythonOperator", retry=RetrySpec(retries=1, delay_seconds=60)),
        TaskSpec(task_id="load", operator="PythonOperator", upstream=("extract",)),
    ),
)
SOURCE = b"# sales"


@dataclass(frozen=True, slots=True)
class House:
    """One installation: the adapter, the metastore behind it, and a leader that can be told to turn."""

    api: RuntimeApi
    store: Metastore
    clock: Clock
    turn: Callable[[], None]  # the leader takes what was committed, decides and commits
    trigger: Callable[[], RunRow]  # queue a run of SPEC

    def start(self) -> InstanceRow:
        """Trigger a run and return its first task, queued."""
        run = self.trigger()
        self.turn()
        return self.row(run, "extract")

    def row(self, run: RunRow, task_id: str) -> InstanceRow:
        """Return a task instance as the metastore has it."""
        snapshot = self.store.run(run.pk)
        assert snapshot is not None
        return next(row for row in snapshot.instances if row.task_id == task_id)

    def again(self, row: InstanceRow) -> InstanceRow:
        """Return the row as it is now."""
        return self.store.instances([row.id])[0]

    def claim(self, row: InstanceRow, *, token: int | None = None, claimant: str = "a") -> ClaimReply:
        """Claim an attempt."""
        request = ClaimRequest(
            instance_id=row.id, token=row.token if token is None else token, worker="w1", claimant=claimant
        )
        return self.api.claim([request])[0]

    def report(self, row: InstanceRow, kind: OutcomeKind = OutcomeKind.SUCCESS, **fields: object) -> str:
        """Report an outcome; return the verdict."""
        report = OutcomeReport(instance_id=row.id, token=row.token, kind=kind)
        return self.api.report([msgspec.structs.replace(report, **fields)])[0].verdict

    def ask(self, row: InstanceRow, verb: str, **arguments: object) -> DataReply:
        """Ask a question of a task."""
        return self.api.data(
            DataRequest(instance_id=row.id, token=row.token, verb=verb, arguments=dict(arguments))
        )


def save_sales(store: Metastore, clock: Clock) -> None:
    """Store the DAG that the suite runs."""
    store.save_file("sales.py", SOURCE, [(SPEC, spec_hash(SPEC))], now=clock.now())


class RuntimeApiConformance:
    """The suite. A subclass defines the fixture ``house``."""

    @pytest.fixture
    def house(self) -> House:
        """Give an empty installation with SPEC stored."""
        raise NotImplementedError

    # ---- claims -------------------------------------------------------------------------------------------------

    def test_claim_grants_with_the_context(self, house: House) -> None:
        row = house.start()
        reply = house.claim(row)
        assert reply.refused is None
        context = reply.context
        assert context is not None
        run = house.store.run_row(row.run_pk)
        assert run is not None
        told = (context.dag_id, context.run_id, context.task_id, context.token, context.try_number)
        assert told == ("sales", run.run_id, "extract", row.token, 1)
        assert (context.logical_date, context.file) == (run.logical_date, "sales.py")
        assert house.again(row).state is TaskState.RUNNING

    def test_the_same_launch_may_ask_again(self, house: House) -> None:
        row = house.start()
        first = house.claim(row)
        second = house.claim(row)
        assert second.refused is None
        assert second.context == first.context

    def test_another_launch_is_refused_even_on_the_same_worker(self, house: House) -> None:
        row = house.start()
        house.claim(row, claimant="a")
        reply = house.claim(row, claimant="b")
        assert reply.context is None
        assert reply.refused

    @pytest.mark.parametrize("step", [-1, 1])
    def test_a_wrong_token_is_refused_and_changes_nothing(self, house: House, step: int) -> None:
        row = house.start()
        assert house.claim(row, token=row.token + step).refused
        assert house.again(row).state is TaskState.QUEUED

    def test_an_unknown_instance_is_refused(self, house: House) -> None:
        row = house.start()
        assert house.claim(msgspec.structs.replace(row, id=row.id + 500)).refused

    # ---- reports ------------------------------------------------------------------------------------------------

    def test_success_is_recorded_once_and_successors_follow(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        assert house.report(row, xcoms={"return_value": "[1,2]"}) == "accepted"
        assert house.again(row).state is TaskState.SUCCESS
        assert house.store.xcoms(row.run_pk, "extract") == [((), "return_value", "[1,2]", None)]
        house.turn()
        run = house.store.run_row(row.run_pk)
        assert run is not None
        assert house.row(run, "load").state is TaskState.QUEUED

    def test_the_same_report_again_is_accepted_and_changes_nothing(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        house.report(row)
        before = house.store.attempts(row.id)
        assert house.report(row) == "accepted"
        assert house.store.attempts(row.id) == before

    def test_a_report_without_a_claim_is_fenced(self, house: House) -> None:
        row = house.start()
        assert house.report(row) == "fenced"
        assert house.again(row).state is TaskState.QUEUED

    def test_an_error_waits_for_its_retry_then_fails(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        assert house.report(row, OutcomeKind.ERROR, reason="ValueError: no") == "accepted"
        now = house.again(row)
        assert (now.state, now.reason) == (TaskState.UP_FOR_RETRY, "ValueError: no")
        assert now.wake_at is not None
        assert now.wake_at - house.clock.now() <= timedelta(seconds=60)

    def test_a_report_after_the_run_ended_is_answered_as_before(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        assert house.report(row, OutcomeKind.FAILED, reason="no") == "accepted"
        house.turn()
        run = house.store.run_row(row.run_pk)
        assert run is not None
        assert run.state is RunState.FAILED
        assert house.report(row, OutcomeKind.FAILED, reason="no") == "accepted"

    # ---- fencing ------------------------------------------------------------------------------------------------

    def test_a_cleared_attempt_is_fenced_everywhere(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        snapshot = house.store.run(row.run_pk)
        assert snapshot is not None
        plan = clear(snapshot, Graph(SPEC), WHOLE_RUN, now=house.clock.now(), actor="test")
        house.store.commit(plan.batch)
        assert house.report(row) == "fenced"
        assert house.api.heartbeat("w1", [Beat(instance_id=row.id, token=row.token)]) == [
            BeatReply(instance_id=row.id, token=row.token, stop="fenced")
        ]
        assert house.ask(row, "xcom_put", key="k", value="1").error
        assert house.store.xcoms(row.run_pk, "extract") == []

    def test_a_cancelled_attempt_is_told_so(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        snapshot = house.store.run(row.run_pk)
        assert snapshot is not None
        house.store.commit(cancel_run(snapshot, now=house.clock.now(), actor="test").batch)
        assert house.api.heartbeat("w1", [Beat(instance_id=row.id, token=row.token)]) == [
            BeatReply(instance_id=row.id, token=row.token, stop="cancelled")
        ]

    def test_a_live_attempt_may_go_on(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        assert house.api.heartbeat("w1", [Beat(instance_id=row.id, token=row.token)]) == [
            BeatReply(instance_id=row.id, token=row.token)
        ]

    # ---- questions ----------------------------------------------------------------------------------------------

    def test_questions_are_answered_while_the_attempt_is_valid(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        assert house.ask(row, "xcom_put", key="mark", value='"here"') == DataReply()
        assert house.ask(row, "xcom_get", task_id="extract", key="mark").value == [[[], '"here"']]
        assert house.ask(row, "state_set", values={"at": "7"}) == DataReply()
        assert house.ask(row, "state_get").value == {"at": "7"}
        assert house.ask(row, "variable_get", key="nothing").value is None

    def test_an_unknown_verb_names_the_known_ones(self, house: House) -> None:
        row = house.start()
        house.claim(row)
        answer = house.ask(row, "fly")
        assert answer.error is not None
        assert '"fly"' in answer.error
        assert "xcom_get" in answer.error

    def test_batches_are_answered_in_order(self, house: House) -> None:
        rows = [house.start() for _number in range(3)]
        requests = [
            ClaimRequest(instance_id=r.id, token=r.token + (n == 1), worker="w1", claimant="a")
            for n, r in enumerate(rows)
        ]
        replies = house.api.claim(requests)
        assert [(r.instance_id, r.refused is None) for r in replies] == [
            (rows[0].id, True),
            (rows[1].id, False),
            (rows[2].id, True),
        ]
        reports = [OutcomeReport(instance_id=r.id, token=r.token, kind=OutcomeKind.SUCCESS) for r in rows]
        assert house.api.report(reports) == [
            ReportReply(instance_id=rows[0].id, token=rows[0].token, verdict="accepted"),
            ReportReply(instance_id=rows[1].id, token=rows[1].token, verdict="fenced"),
            ReportReply(instance_id=rows[2].id, token=rows[2].token, verdict="accepted"),
        ]
