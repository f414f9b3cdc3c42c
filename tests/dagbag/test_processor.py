"""The DAG processor as a loop: it wakes for changes, says that it lives, and ends when told."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.dagbag.conftest import NoRules
from tradewind.config import DagsSettings, Settings
from tradewind.dagbag import processor
from tradewind.dagbag.watch import FolderWatch
from tradewind.ports.metastore import Metastore
from tradewind.runtime.clock import SystemClock

Write = Callable[..., Path]
SECONDS_MAX = 20.0


class Running:
    """A processor in a thread."""

    def __init__(self, store: Metastore, settings: Settings) -> None:
        self.store = store
        self.ready = threading.Event()
        self.lines: list[str] = []
        self.reading, self.writing = os.pipe()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(settings,))
        self.thread.start()

    def _run(self, settings: Settings) -> None:
        processor.run(
            self.store.clone(),
            settings,
            NoRules(),
            stop=self.stopping.is_set,
            stop_fileno=self.reading,
            clock=SystemClock(),
            log=self.lines.append,
            ready=self.ready.set,
        )

    def stop(self) -> None:
        self.stopping.set()
        os.write(self.writing, b"x")
        self.thread.join(SECONDS_MAX)
        os.close(self.reading)
        os.close(self.writing)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the processor brings about."""
        never = threading.Event()
        for _ in range(int(SECONDS_MAX / 0.02)):
            if condition():
                return
            never.wait(0.02)
        raise AssertionError(f"it never came about: {self.lines}")

    def dags(self) -> list[str]:
        return sorted(row.dag_id for row in self.store.dags())


@contextmanager
def processing(store: Metastore, home: Path, **dags: float) -> Iterator[Running]:
    running = Running(store, Settings(home=str(home), dags=DagsSettings(**dags)))  # type: ignore[arg-type]
    try:
        assert running.ready.wait(SECONDS_MAX), running.lines
        yield running
    finally:
        running.stop()
    assert not running.thread.is_alive()


def test_it_finds_what_is_there_and_ends_when_told(store: Metastore, write: Write, tmp_path: Path) -> None:
    write("sales.py")
    with processing(store, tmp_path) as running:
        running.until(lambda: running.dags() == ["sales"])
        ((name, kind, _host, pid, _beat, data),) = store.components()
        assert (name, kind, pid, data["folder"]) == (
            processor.component_name(),
            "dag-processor",
            os.getpid(),
            str(tmp_path / "dags"),
        )
    assert store.components() == []


def test_a_change_wakes_it_long_before_its_turn(store: Metastore, write: Write, tmp_path: Path) -> None:
    write("sales.py")
    with processing(store, tmp_path, scan_seconds=3600.0) as running:
        running.until(lambda: running.dags() == ["sales"])
        write("team/stock.py")
        running.until(lambda: running.dags() == ["sales", "stock"])
        write("team/more.py")
        running.until(lambda: running.dags() == ["more", "sales", "stock"])


def test_an_idle_parse_server_is_ended_and_comes_back(
    store: Metastore, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "SERVER_IDLE_SECONDS", 0.0)
    others = set(psutil.Process().children())  # what tests before this one have left behind
    write("sales.py")
    with processing(store, tmp_path, scan_seconds=0.05) as running:
        running.until(lambda: running.dags() == ["sales"])
        running.until(lambda: not set(psutil.Process().children()) - others)
        write("stock.py")
        running.until(lambda: running.dags() == ["sales", "stock"])


def test_without_hints_it_looks_in_turns(
    store: Metastore, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderWatch, "fileno", lambda self: None)
    write("sales.py")
    with processing(store, tmp_path, scan_seconds=0.1) as running:
        write("stock.py")
        running.until(lambda: running.dags() == ["sales", "stock"])


def test_a_folder_that_appears_later_is_found(
    store: Metastore, folder: Path, tmp_path: Path, write: Write
) -> None:
    folder.rmdir()
    with processing(store, tmp_path, scan_seconds=0.1) as running:
        assert [error[0] for error in store.import_errors()] == ["."]
        write("sales.py")
        running.until(lambda: running.dags() == ["sales"] and not store.import_errors())


def test_a_watch_tells_of_births_writes_moves_and_deaths(folder: Path) -> None:
    watch = FolderWatch()
    watch.watch([str(folder)])
    heard = [watch.drain()]
    path = folder / "a.py"
    for act in (
        path.touch,
        lambda: path.write_text("x"),
        lambda: path.rename(folder / "b.py"),
        (folder / "b.py").unlink,
        lambda: None,
    ):
        act()
        heard.append(watch.drain())
    watch.close()
    assert heard == [False, True, True, True, True, False]


def test_a_folder_that_is_no_longer_watched_is_silent(folder: Path, tmp_path: Path) -> None:
    watch = FolderWatch()
    watch.watch([str(folder), str(tmp_path / "nothing")])
    watch.watch([str(tmp_path)])
    watch.drain()
    (folder / "a.py").touch()
    heard = watch.drain()
    watch.close()
    watch.close()
    assert (heard, watch.drain()) == (False, False)
