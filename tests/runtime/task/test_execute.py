"""How attempts end: what comes back of results and of every kind of exception."""

import dataclasses
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.runtime.task.conftest import NOON, Attempts
from tradewind import DAG, task
from tradewind.authoring.operator import ActionOperator
from tradewind.errors import AwaitInput, Defer, Fail, Reschedule, Skip
from tradewind.ports.runtime_api import OutcomeKind, OutcomeReport


def bare(report: OutcomeReport) -> dict[str, Any]:
    """Return the fields of a report that are not at their default, but for ids, times and process."""
    plain = {name: getattr(report, name) for name in report.__struct_fields__}
    left_out = {"instance_id", "token", "started_at", "ended_at", "pid", "error"}
    defaults = {
        name: getattr(OutcomeReport(instance_id=0, token=0, kind=report.kind), name) for name in plain
    }
    return {
        name: value
        for name, value in plain.items()
        if name not in left_out and (name == "kind" or value != defaults[name])
    }


def one_task(function: Callable[..., Any], **options: Any) -> DAG:
    with DAG("d") as dag:
        task(function, task_id="t", **options)()
    return dag


def test_a_result_is_reported_once_with_ids_and_times() -> None:
    report = Attempts(one_task(lambda: {"b": 1, "a": [True]})).run("t")
    assert report == OutcomeReport(
        instance_id=7,
        token=3,
        kind=OutcomeKind.SUCCESS,
        xcoms={"return_value": '{"a":[true],"b":1}'},
        started_at=NOON + timedelta(seconds=1),
        ended_at=NOON + timedelta(seconds=2),
        pid=os.getpid(),
    )


def test_nothing_returned_pushes_nothing() -> None:
    assert bare(Attempts(one_task(lambda: None)).run("t")) == {"kind": OutcomeKind.SUCCESS}


def raises(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Skip("nothing today"), {"kind": OutcomeKind.SKIPPED, "reason": "nothing today"}),
        (Fail("bad file"), {"kind": OutcomeKind.FAILED, "reason": "bad file"}),
        (Fail(), {"kind": OutcomeKind.FAILED, "reason": "the task raised Fail"}),
        (ValueError("no\nmore"), {"kind": OutcomeKind.ERROR, "reason": "ValueError: no"}),
        (ValueError(), {"kind": OutcomeKind.ERROR, "reason": "ValueError"}),
        (
            SystemExit(3),
            {"kind": OutcomeKind.ERROR, "reason": "exit code 3: the task called sys.exit", "exit_code": 3},
        ),
        (SystemExit("bye"), {"kind": OutcomeKind.ERROR, "reason": "exit code 1: bye", "exit_code": 1}),
        (
            SystemExit(),
            {"kind": OutcomeKind.ERROR, "reason": "exit code 0: the task called sys.exit", "exit_code": 0},
        ),
        (KeyboardInterrupt(), {"kind": OutcomeKind.ERROR, "reason": "interrupted by SIGINT"}),
        (GeneratorExit(), {"kind": OutcomeKind.ERROR, "reason": "GeneratorExit"}),
        (
            Reschedule("later", delay=timedelta(minutes=5)),
            {
                "kind": OutcomeKind.RESCHEDULE,
                "reason": "later",
                "wake_at": NOON + timedelta(minutes=5, seconds=2),
            },
        ),
        (
            Reschedule(at=datetime(2027, 1, 1, tzinfo=UTC)),
            {"kind": OutcomeKind.RESCHEDULE, "wake_at": datetime(2027, 1, 1, tzinfo=UTC)},
        ),
        (
            Defer(trigger="m:T", arguments={"a": 1}, timeout=timedelta(hours=1)),
            {
                "kind": OutcomeKind.DEFER,
                "reason": "waiting for m:T",
                "defer": {"trigger": "m:T", "arguments": {"a": 1}, "method": "resume"},
                "wake_at": NOON + timedelta(hours=1, seconds=2),
            },
        ),
        (
            AwaitInput("May I?"),
            {
                "kind": OutcomeKind.AWAIT_INPUT,
                "reason": "May I?",
                "defer": {"subject": "May I?", "schema": {"type": "object"}},
            },
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_exception_is_an_outcome(error: BaseException, expected: dict[str, Any]) -> None:
    assert bare(Attempts(one_task(raises(error))).run("t")) == expected


def test_a_reschedule_without_zone_is_the_authors_error() -> None:
    report = Attempts(one_task(raises(Reschedule(at=datetime(2027, 1, 1))))).run("t")  # noqa: DTZ001
    assert (report.kind, "needs a time zone" in report.reason) == (OutcomeKind.ERROR, True)


def test_the_error_shows_the_authors_frames() -> None:
    def inner() -> None:
        json.loads("{")

    def outer() -> None:
        inner()

    error = Attempts(one_task(outer)).run("t").error
    assert error is not None
    assert error["type"] == "json.decoder.JSONDecodeError"
    assert error["message"].startswith("Expecting property name")
    assert [(frame["function"], frame["own"]) for frame in error["frames"]][:3] == [
        ("outer", True),
        ("inner", True),
        ("loads", False),
    ]
    assert error["frames"][1]["code"] == 'json.loads("{")'
    assert error["text"].startswith("Traceback (most recent call last):")
    assert "src/tradewind" not in error["text"]


def test_an_error_of_tradewinds_own_making_has_no_frames() -> None:
    report = Attempts(one_task(lambda: [object()])).run("t")
    assert report.error == {
        "type": "tradewind.runtime.task.values.ValueProblem",
        "message": report.reason,
        "frames": [],
        "text": f"tradewind.runtime.task.values.ValueProblem: {report.reason}\n",
    }


def test_an_error_is_masked_before_it_is_cut(attempts: type[Attempts]) -> None:
    def leak(conn: Any) -> None:
        raise ValueError("x" * 8100 + conn.db.password)

    runner = attempts(one_task(leak))
    runner.store.connection = lambda _: {"type": "postgres", "password": "hunter2-hunter2"}
    report = runner.run("t")
    assert report.error is not None
    assert "hunter" not in json.dumps(report.error)
    assert report.error["message"].endswith("***")


@pytest.mark.parametrize(
    ("options", "error", "retry"),
    [
        ({}, ValueError(), None),
        ({"retry_on": OSError}, ValueError(), False),
        ({"retry_on": OSError}, ConnectionError(), True),
        ({"no_retry_on": [KeyError]}, KeyError(), False),
        ({"no_retry_on": [KeyError]}, ValueError(), None),
        ({"retry_on": lambda error: "busy" in str(error)}, ValueError("busy"), True),
        ({"retry_on": lambda error: error.missing}, ValueError("busy"), False),
        ({"retry_on": Exception, "no_retry_on": KeyError}, KeyError(), False),
    ],
)
def test_which_exceptions_are_tried_again(
    options: dict[str, Any], error: BaseException, retry: bool | None
) -> None:
    assert Attempts(one_task(raises(error), **options)).run("t").retry is retry


def test_a_value_that_cannot_travel_fails_the_attempt() -> None:
    report = Attempts(one_task(lambda: [object()])).run("t")
    assert report.kind is OutcomeKind.ERROR
    assert report.reason.startswith("return_value[0] is a object, which cannot be passed between tasks")
    assert report.xcoms == {}


def test_multiple_outputs() -> None:
    report = Attempts(one_task(lambda: {"a": 1, "b": 2}, multiple_outputs=True)).run("t")
    assert report.xcoms == {"return_value": '{"a":1,"b":2}', "a": "1", "b": "2"}
    wrong = Attempts(one_task(lambda: [1], multiple_outputs=True)).run("t")
    assert wrong.reason == (
        "task 't' has multiple_outputs and must return a dict with names as keys, not list ([1])"
    )


def test_a_result_can_be_kept_back() -> None:
    assert Attempts(one_task(lambda: 1, do_xcom_push=False)).run("t").xcoms == {}


def test_an_unknown_task_says_so() -> None:
    report = Attempts(one_task(lambda: 1)).run("tt")
    assert report.kind is OutcomeKind.ERROR
    assert 'DAG "d" has no task "tt". Did you mean t?' in report.reason


def test_guards_skip() -> None:
    with DAG("d") as dag:

        @task.run_if(lambda context: context.params["full"], "only when full")
        @task
        def t() -> int:
            return 1

        t()
    assert bare(Attempts(dag).run("t", params={"full": False})) == {
        "kind": OutcomeKind.SKIPPED,
        "reason": "only when full",
    }
    assert Attempts(dag).run("t", params={"full": True}).kind is OutcomeKind.SUCCESS


def test_context_by_name_state_and_steps_survive_a_retry() -> None:
    done: list[str] = []

    def once() -> dict[str, Any]:
        done.append("first")
        return {"at": NOON}

    def work(ctx: Any, ti: Any, ds: str, params: dict[str, Any]) -> list[Any]:
        ctx.state["tries"] = ctx.state.get("tries", 0) + 1
        first = ctx.step("first", once)
        if ti.try_number == 1:
            raise ValueError("once more")
        return [ctx.state["tries"], first["at"] == NOON, ds, params, sorted(ctx.state), ctx.run.run_id]

    runner = Attempts(one_task(work))
    assert runner.run("t", try_number=1).kind is OutcomeKind.ERROR
    report = runner.run("t", try_number=2, params={"x": 1})
    assert json.loads(report.xcoms["return_value"]) == [
        2,
        True,
        "2026-01-02",
        {"x": 1},
        ["tries"],
        "manual__1",
    ]
    assert done == ["first"]


def test_pushing_and_pulling_by_hand() -> None:
    with DAG("d") as dag:

        @task
        def a(ti: Any) -> None:
            ti.xcom_push("rows", [1, 2])

        @task
        def b(ti: Any) -> list[Any]:
            return [
                ti.xcom_pull("a", "rows"),
                ti.xcom_pull("a"),
                ti.xcom_pull("a", "no", default=5),
                ti.xcom_pull(["a", "b"], "rows"),
            ]

        a() >> b()
    runner = Attempts(dag)
    assert runner.run("a").xcoms == {}
    assert json.loads(runner.run("b").xcoms["return_value"]) == [[1, 2], None, 5, [[1, 2], None]]


def test_callbacks_see_the_end_and_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    def note(context: Any) -> None:
        seen.append((context.ti.task_id, repr(context.get("exception"))))
        raise RuntimeError("the callback fails")

    options = {"on_success": note, "on_failure": note, "on_retry": note, "on_skipped": note}
    cases: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (lambda: 1, {}),
        (raises(ValueError("x")), {"try_number": 1, "tries_max": 2}),
        (raises(ValueError("x")), {"try_number": 2, "tries_max": 2}),
        (raises(Skip("s")), {}),
    ]
    for function, facts in cases:
        Attempts(one_task(function, **options)).run("t", **facts)
    assert seen == [("t", "None"), ("t", "ValueError('x')"), ("t", "ValueError('x')"), ("t", "Skip('s')")]
    assert [
        record.getMessage().split(" ")[0] for record in caplog.records if "outcome stays" in record.message
    ] == [
        "on_success",
        "on_retry",
        "on_failure",
        "on_skipped",
    ]


class Waiter(ActionOperator):
    """Defers, then goes on."""

    def execute(self, context: Any) -> Any:
        raise Defer(trigger="m:T", method="after")

    def after(self, context: Any, event: Any) -> Any:
        return ["after", event]


def test_a_resumed_task_goes_on_with_its_method() -> None:
    with DAG("d") as dag:
        Waiter(task_id="w")
    runner = Attempts(dag)
    assert runner.run("w").kind is OutcomeKind.DEFER
    report = runner.run("w", resume={"method": "after", "event": {"x": 1}})
    assert report.xcoms == {"return_value": '["after",{"x":1}]'}


@dataclasses.dataclass
class Row:
    x: int


def test_the_authors_classes_travel_between_tasks() -> None:
    with DAG("d") as dag:

        @task
        def make() -> list[Row]:
            return [Row(1)]

        @task
        def use(rows: list[Row]) -> int:
            return rows[0].x + 1

        use(make())
    runner = Attempts(dag)
    runner.run("make")
    assert runner.run("use").xcoms == {"return_value": "2"}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("tradewind")
    level = logger.level
    yield
    logger.setLevel(level)
