"""Fixtures of the runtime's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.house import House


@pytest.fixture
def new_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Return a function that makes a home with an executor and a worker; all end with the test."""
    houses: list[House] = []

    def make(**options: Any) -> House:
        houses.append(House(tmp_path / f"home{len(houses)}", **options))
        return houses[-1]

    yield make
    for each in houses:
        each.close()


@pytest.fixture
def house(new_house: Callable[..., House]) -> House:
    """Return a home with an executor and a worker."""
    return new_house()
