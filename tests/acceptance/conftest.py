"""Installations for the tests, one per test, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import House

NewHouse = Callable[..., House]


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database; the one in the home has none."""
    if request.param == "sqlite":
        return ""
    fixture = {"postgres": "new_postgres_url", "mariadb": "new_mysql_url"}[request.param]
    made: str = request.getfixturevalue(fixture)()
    return made


@pytest.fixture
def new_house(tmp_path: Path) -> Iterator[NewHouse]:
    """Return a function that makes an installation; all its processes are killed at the end."""
    made: list[House] = []

    def make(url: str = "", settings: str = "", home: str = "home") -> House:
        house = House(tmp_path / home, url, settings)
        made.append(house)
        return house

    yield make
    for house in made:
        house.close()


@pytest.fixture
def house(new_house: NewHouse, url: str) -> House:
    """Return an installation on each database."""
    return new_house(url)


@pytest.fixture
def home(new_house: NewHouse) -> House:
    """Return an installation on SQLite."""
    return new_house()
