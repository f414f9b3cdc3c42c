"""Observers are called after the fact, each by itself; one that keeps failing or dawdling is muted."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tradewind.domain.reasons import Reason, ReasonKind
from tradewind.domain.records import EventRow, InstanceRow, RunRow, RunType
from tradewind.domain.spec import DagSpec
from tradewind.domain.states import RunState
from tradewind.hookspecs import Waiting
from tradewind.plugins import PluginState, Registry
from tradewind.plugins.calls import CALL_SECONDS_MAX, FAILURES_MAX, Call, Calls

Write = Callable[[str, str], Path]
Make = Callable[..., Registry]

NOW = datetime(2026, 11, 2, 6, tzinfo=UTC)
EVENTS = [EventRow(kind="task.success", id=7), EventRow(kind="run.success", id=8)]
COUNTING = """
    seen = []

    @hookimpl
    def on_events(events):
        seen.append([event.id for event in events])
"""


def seen_by(registry: Registry) -> list[list[object]]:
    (counting,) = [
        impl for impl in registry.manager.implementations("on_events") if impl.plugin == "counting"
    ]
    seen: list[list[object]] = counting.function.__globals__["seen"]
    return seen


def test_every_observer_hears_of_every_batch(plugin: Write, registry: Make) -> None:
    plugin("counting", COUNTING)
    plugin("blind", "@hookimpl\ndef on_events(): pass")
    found = registry()
    assert found.observes()
    found.observe(EVENTS)
    found.observe(EVENTS[:1])
    assert seen_by(found) == [[7, 8], [7]]


def test_events_without_a_time_get_that_of_the_commit(plugin: Write, registry: Make) -> None:
    plugin("counting", COUNTING.replace("event.id for", "event.at for"))
    found = registry()
    found.observe([EVENTS[0], EventRow(kind="x", at=NOW)], at=NOW.replace(hour=7))
    assert seen_by(found) == [[NOW.replace(hour=7), NOW]]


def test_without_observers_events_need_not_be_read(registry: Make) -> None:
    assert registry().observes() is False


def test_an_observer_that_keeps_failing_is_muted_and_the_others_go_on(
    plugin: Write, registry: Make, caplog: pytest.LogCaptureFixture
) -> None:
    plugin("bad", "@hookimpl\ndef on_events(events): raise OSError('no space')")
    plugin("counting", COUNTING)
    found = registry()
    for _ in range(FAILURES_MAX + 3):
        found.observe(EVENTS)
    bad, counting = (
        next(info for info in found.plugins() if info.name == name) for name in ("bad", "counting")
    )
    assert (bad.state, bad.failures, bad.problems) == (
        PluginState.MUTED,
        FAILURES_MAX,
        ("on_events: OSError: no space",),
    )
    assert counting.state is PluginState.LOADED
    assert len(seen_by(found)) == FAILURES_MAX + 3
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        (
            "Plugin bad is muted: it failed 5 times in a row. Mend it and restart; `tradewind plugins check bad`"
            " shows what is wrong."
        )
    ]


def test_a_success_between_failures_starts_the_count_again(plugin: Write, registry: Make) -> None:
    plugin(
        "moody",
        """
        @hookimpl
        def on_events(events):
            if events[0].id % 3:
                raise ValueError(events[0].id)
        """,
    )
    found = registry()
    for number in range(3 * FAILURES_MAX):
        found.observe([EventRow(kind="x", id=number)])
    (moody,) = (info for info in found.plugins() if info.name == "moody")
    assert (moody.state, moody.failures) == (PluginState.LOADED, 2 * FAILURES_MAX)


def test_an_observer_that_takes_too_long_again_and_again_is_muted(plugin: Write, registry: Make) -> None:
    moments = iter(range(0, 1_000_000, int(CALL_SECONDS_MAX) + 1))
    heard: list[Call] = []
    plugin("slow", "@hookimpl\ndef on_events(events): pass")
    found = registry(calls=Calls(monotonic=lambda: next(moments), listener=heard.append))
    for _ in range(FAILURES_MAX + 1):
        found.observe(EVENTS)
    (slow,) = (info for info in found.plugins() if info.name == "slow")
    assert (slow.state, slow.seconds_max) == (PluginState.MUTED, 2)
    assert slow.problems == ("on_events: took 2.0 s, more than the 1 s a hook may take",)
    assert [call for call in heard if call.hook == "on_events"] == [
        Call(plugin="slow", hook="on_events", seconds=2)
    ] * FAILURES_MAX


@pytest.fixture
def waiting() -> Waiting:
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
    dag = DagSpec(dag_id="sales", file="sales.py", tasks=())
    return Waiting(dag=dag, run=run, instance=InstanceRow(id=1, run_pk=1, task_id="load"), now=NOW)


def test_plugins_add_reasons_and_a_bad_one_adds_none(plugin: Write, registry: Make, waiting: Waiting) -> None:
    plugin("bad", "@hookimpl\ndef why_reasons(waiting): return 1 / 0")
    plugin("odd", "@hookimpl\ndef why_reasons(waiting): return ['because']")
    plugin(
        "good",
        """
        from tradewind.domain.reasons import Reason, ReasonKind

        @hookimpl
        def why_reasons(waiting):
            return [Reason(kind=ReasonKind.PLUGIN, message=f"{waiting.instance.task_id} waits for the moon")]
        """,
    )
    found = registry()
    assert found.reasons(waiting) == [Reason(kind=ReasonKind.PLUGIN, message="load waits for the moon")]
    (odd,) = (info for info in found.plugins() if info.name == "odd")
    assert odd.problems == ("why_reasons() returned something else than a list of Reason",)
