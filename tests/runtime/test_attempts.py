"""What becomes of an attempt, however it ends: with real processes."""

from tests.runtime.house import House
from tradewind.ports.runtime_api import OutcomeKind


def test_a_task_runs_and_its_value_comes_back(house: House) -> None:
    sha = house.file("def add(context, data):\n    return 1 + context.params['more']\n")
    report = house.run("add", sha, params={"more": 2})
    assert (report.kind, report.xcoms) == (OutcomeKind.SUCCESS, {"return_value": "3"})
