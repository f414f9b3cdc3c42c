"""The example plugins of the repository are good plugins and do what they say."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from tests.tidy.source import ROOT
from tradewind.domain.records import EventRow, InstanceRow, RunRow, RunType
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import RunState, TaskState
from tradewind.domain.timetable import CustomSpec, from_spec
from tradewind.errors import ScheduleError
from tradewind.hookspecs import Waiting
from tradewind.plugins import PluginManager, Registry
from tradewind.plugins.check import check
from tradewind.plugins.imports import load_object
from tradewind.plugins.local import MODULE_PREFIX, folder_candidates

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("TRADEWIND_HOME", str(tmp_path))
    yield Registry(PluginManager(), [lambda: folder_candidates(ROOT / "plugins")])
    for name in [name for name in sys.modules if name.startswith(MODULE_PREFIX)]:
        del sys.modules[name]


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "plugins").glob("*.py"))])
def test_each_example_passes_the_check(name: str) -> None:
    report = check(str(ROOT / "plugins" / f"{name}.py"))
    assert (report.problems, report.declared != ()) == ((), True)


def test_working_days_leave_out_weekends_and_holidays(registry: Registry) -> None:
    spec = CustomSpec(
        "working_days", {"at": "06:30", "timezone": "Europe/Berlin", "holidays": ["2026-12-25"]}
    )
    timetable = from_spec(spec, registry.timetables())
    assert timetable is not None
    ticks: list[datetime | None] = []
    instant: datetime | None = datetime(2026, 12, 23, tzinfo=UTC)
    while instant is not None and len(ticks) < 4:
        instant = timetable.next_after(instant)
        ticks.append(instant)
    assert ticks == [datetime(2026, 12, day, 5, 30, tzinfo=UTC) for day in (23, 24, 28, 29)]
    assert timetable.previous_at_or_before(datetime(2026, 12, 27, tzinfo=UTC)) == ticks[1]
    assert timetable.describe() == "working days: at 06:30 on weekdays (Europe/Berlin), 1 holidays left out"


def test_wrong_arguments_of_working_days_are_a_schedule_error(registry: Registry) -> None:
    with pytest.raises(ScheduleError, match='The timetable "working_days" refused its arguments'):
        from_spec(CustomSpec("working_days", {"holidays": ["Christmas"]}), registry.timetables())


def test_the_next_working_day_as_a_macro(registry: Registry) -> None:
    (declared,) = registry.template_names()
    macro = load_object(declared.target, wanted_by="a test")
    assert [macro(day) for day in ("2026-11-05", "2026-11-06", "2026-11-07")] == [
        "2026-11-06",
        "2026-11-09",
        "2026-11-09",
    ]


def durations(*seconds: float) -> list[EventRow]:
    events = []
    for number, duration in enumerate(seconds):
        started = NOW + timedelta(hours=number)
        event = EventRow(kind="task.running", at=started, dag_id="sales", task_id="load", instance_id=number)
        ended = started + timedelta(seconds=duration)
        events += [event, msgspec.structs.replace(event, kind="task.success", at=ended)]
    return events


def running_for(seconds: float) -> Waiting:
    run = RunRow(
        pk=1,
        dag_id="sales",
        run_id="manual__x",
        version_id=1,
        run_type=RunType.MANUAL,
        state=RunState.RUNNING,
        logical_date=NOW,
        run_after=NOW,
        interval_start=NOW,
        interval_end=NOW,
    )
    started = NOW - timedelta(seconds=seconds)
    instance = InstanceRow(id=1, run_pk=1, task_id="load", state=TaskState.RUNNING, started_at=started)
    return Waiting(
        dag=DagSpec(dag_id="sales", file="sales.py", tasks=()), run=run, instance=instance, now=NOW
    )


def test_a_slow_task_is_a_reason_once_its_duration_is_known(registry: Registry) -> None:
    registry.observe(durations(10, 20))
    assert registry.reasons(running_for(600)) == []
    registry.observe(durations(30))
    assert registry.reasons(running_for(40)) == []
    assert [reason.message for reason in registry.reasons(running_for(600))] == [
        "runs for 600 s; it usually takes 20 s (at most 30 s)"
    ]


def test_failed_tasks_teach_nothing(registry: Registry) -> None:
    running, _ = durations(10)
    registry.observe([running, EventRow(kind="task.failed", at=NOW, instance_id=0)])
    assert CliRunner().invoke(registry.cli_command("slow-tasks")).output == ""


def test_the_slowest_tasks_are_listed(registry: Registry) -> None:
    registry.observe(durations(10, 20))
    result = CliRunner().invoke(registry.cli_command("slow-tasks"), ["--limit", "5"])
    assert (result.exit_code, result.output.split()) == (
        0,
        ["15.0", "s", "20.0", "s", "2", "runs", "sales/load"],
    )


def test_no_observer_of_the_examples_fails(registry: Registry) -> None:
    registry.observe([EventRow(kind="dag.added", dag_id="sales"), *durations(1)])
    assert [(info.name, info.problems) for info in registry.plugins() if info.problems] == []
