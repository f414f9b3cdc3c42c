"""A DAG folder that tests fill, and a bag on it that is driven to rest by moving the clock."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tradewind.config import DagsSettings
from tradewind.dagbag.bag import DagBag
from tradewind.dagbag.sync import FileChange
from tradewind.domain.spec import DagSpec
from tradewind.domain.timetable import TimetableFactory
from tradewind.ports.metastore import Metastore
from tradewind.testing.memory import InMemoryMetastore

REST_SECONDS = 60.0  # a bag that is not at rest by then never will be
SETTINGS = DagsSettings(scan_seconds=2.0, missing_scans=3, parse_seconds_max=10.0)

DAG = """
    from tradewind import DAG, task

    with DAG("{dag_id}") as made:
        @task
        def load():
            return 1

        load()
"""


class NoRules:
    """An installation without plugins."""

    def apply_policies(self, spec: DagSpec) -> DagSpec:
        return spec

    def timetables(self) -> Mapping[str, TimetableFactory]:
        return {}


class Driver:
    """A bag, its store, and a clock that only this moves."""

    def __init__(self, store: Metastore, folder: Path, rules: NoRules) -> None:
        self.store = store
        self.lines: list[str] = []
        # Files that tests write have just changed; by then nobody doubts their stamps any more.
        self.now = datetime.now(UTC) + timedelta(seconds=60)  # noqa: TID251 - to compare with the file system's
        self.bag = DagBag(store, folder, SETTINGS, rules, log=self.lines.append)

    def look(self) -> list[FileChange]:
        """Scan once, and go on until everything is parsed and stored."""
        self.now += timedelta(seconds=SETTINGS.scan_seconds)
        changes = self.bag.scan(self.now)
        return changes + self.rest()

    def rest(self) -> list[FileChange]:
        changes = self.bag.turn(self.now)
        waited = 0
        while self.bag.busy:
            self.bag._unsaved += self.bag.parser.poll(timeout=1.0)
            changes += self.bag.turn(self.now)
            waited += 1
            assert waited < 10 * REST_SECONDS
        return changes

    def errors(self) -> dict[str, tuple[int | None, str]]:
        """Return file -> (line, message) of every stored error."""
        return {file: (line, message) for file, line, message, _, _ in self.store.import_errors()}

    def dags(self) -> dict[str, tuple[str, int]]:
        """Return dag_id -> (file, version number) of DAGs that are there."""
        return {
            row.dag_id: (row.file, row.version_number)
            for row in self.store.dags()
            if row.missing_since_at is None
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Return a function that writes a file: of a text, or by default with one DAG of that name."""

    def written(name: str, text: str | None = None) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(DAG.format(dag_id=path.stem) if text is None else text))
        return path

    return written


@pytest.fixture
def store() -> Metastore:
    return InMemoryMetastore()


@pytest.fixture
def drive(store: Metastore, folder: Path) -> Iterator[Callable[..., Driver]]:
    """Return a function that makes a bag on the folder; all are closed afterwards."""
    made: list[Driver] = []

    def make(rules: NoRules | None = None) -> Driver:
        made.append(Driver(store, folder, rules or NoRules()))
        return made[-1]

    yield make
    for driver in made:
        driver.bag.parser.close()
