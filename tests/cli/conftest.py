"""Fixtures of the command line's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.dags_for_tests import CHAIN, SALES
from tests.cli.house import House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> House:
    """An installation that was never started; commands called in this process mean it."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("TRADEWIND_HOME", str(home))
    monkeypatch.setenv("NO_COLOR", "1")
    return House(home, capsys)


@pytest.fixture
def stored(house: House) -> House:
    """An installation with two DAGs and no process."""
    house.create(sales=SALES, chain=CHAIN)
    return house
