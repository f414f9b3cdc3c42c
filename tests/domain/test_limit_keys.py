"""Keys of keyed limits: known names filled in, unknown ones left as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tradewind.domain.limit_keys import limit_key
from tradewind.domain.records import RunRow, RunType
from tradewind.domain.states import RunState

_AT = datetime(2026, 1, 1, tzinfo=UTC)
_RUN = RunRow(
    pk=1,
    dag_id="sales",
    run_id="r1",
    version_id=1,
    run_type=RunType.MANUAL,
    state=RunState.RUNNING,
    logical_date=_AT,
    run_after=_AT,
    interval_start=_AT,
    interval_end=_AT,
    conf={"host": "db1"},
    params={"id": 7, "run_id": "not this one"},
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("customer-{{ params.id }}", "customer-7"),
        ("{{conf.host}}/{{ task_id }}", "db1/load"),
        ("{{ dag_id }}:{{ run_id }}", "sales:r1"),
        ("{{ params.absent }}", "{{ params.absent }}"),
        ("{{ os.environ }}", "{{ os.environ }}"),
        ("{{ params.id | upper }}", "{{ params.id | upper }}"),
        ("plain", "plain"),
    ],
)
def test_names_are_filled_in(template: str, expected: str) -> None:
    assert limit_key(template, _RUN, "load") == expected
