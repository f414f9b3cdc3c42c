"""23: completed, then killed and failed, as the answer to its report was lost. Here it counts once, as it ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.house import House
from tests.runtime.test_attempts import end
from tests.runtime.test_stops import start
from tradewind.ports.runtime_api import OutcomeKind

pytestmark = pytest.mark.chaos


def test_a_report_nobody_answers_is_repeated_on_the_same_connection(
    new_worker_house: Callable[..., House], tmp_path: Path
) -> None:
    house = new_worker_house(heartbeat_seconds=0.1)
    launch, pids = start(house, "done_in_time", tmp_path / "notes")
    connections = set(house.executor._channels)
    house.mute = True
    (tmp_path / "notes.go").touch()
    calls = house.calls
    house.until(lambda: house.calls > calls + 3, "the report, and the report again")
    assert house.outcomes == {}
    house.mute = False
    report = house.outcome_of(launch)
    assert (end(report), report.pid) == ((OutcomeKind.SUCCESS, ""), pids[0])
    assert set(house.executor._channels) == connections
    assert len(house.claimants[launch.instance_id, 1]) == 1
