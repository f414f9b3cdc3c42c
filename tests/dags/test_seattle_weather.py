"""The main example: what it makes of the real data, of wrong data, and of being run again."""

import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.dags.examples import FOLDER, run
from tradewind.dagbag import load_dag_in_process
from tradewind.testing.dag_result import DagTestResult

DATA = FOLDER / "data/seattle-weather.csv"
HOT = ["2013-07", "2013-08", "2014-07", "2014-08", "2015-06", "2015-07", "2015-08"]
UNPAIRED = {"meta", "br"}


def states(result: DagTestResult) -> dict[str, str]:
    """Return each task's state; of the mapped one that which all instances share."""
    found: dict[str, str] = {}
    for name, state in result.states().items():
        task = name.partition("[")[0]
        assert found.setdefault(task, state) == state
    return found


def rows_of(database: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as opened:
        return opened.execute("SELECT * FROM month ORDER BY month").fetchall()


def test_the_real_data_becomes_a_database_an_alert_and_a_report(tmp_path: Path) -> None:
    result = run("seattle_weather", output=str(tmp_path))
    assert result.state == "success"
    assert states(result) == {
        "wait_for_data": "success",
        "validate": "success",
        "split": "success",
        "summarize": "success",
        "load": "success",
        "judge": "success",
        "alert": "success",
        "quiet": "skipped",
        "report": "success",
    }
    assert sum(name.startswith("summarize[") for name in result.states()) == 48
    rows = rows_of(tmp_path / "weather.db")
    assert (len(rows), sum(row[1] for row in rows)) == (48, 1461)
    assert rows[0] == ("2012-01", 31, 7.05, 1.54, 12.8, -3.3, 173.3, 21, 3.9, "rain")
    assert result.xcoms["alert"] == HOT
    assert (tmp_path / "alert.txt").read_text(encoding="utf-8").strip().endswith(", ".join(HOT) + ".")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "alert.txt",
        "months",
        "report.html",
        "weather.db",
    ]


def test_running_again_changes_nothing_but_what_the_threshold_says(tmp_path: Path) -> None:
    run("seattle_weather", output=str(tmp_path))
    before = rows_of(tmp_path / "weather.db"), (tmp_path / "report.html").read_bytes()
    again = run("seattle_weather", output=str(tmp_path))
    assert (rows_of(tmp_path / "weather.db"), (tmp_path / "report.html").read_bytes()) == before
    assert again.states()["alert"] == "success"
    calm = run("seattle_weather", output=str(tmp_path), hot_celsius=30.0)
    assert (calm.states()["alert"], calm.states()["quiet"]) == ("skipped", "success")
    assert not (tmp_path / "alert.txt").exists()
    assert "0 of 48 months were hot" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_wrong_rows_are_named_and_nothing_is_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = DATA.read_text(encoding="utf-8").splitlines()
    lines[3] = "2012/01/03,0.8,11.7,17.2,2.3,rain"
    lines[9] = "2012/01/09,much,9.4,5.0,1.6,rain"
    lines[12] = "2012/01/12,0.0,6.1,-1.7,5.1,sunny"
    lines[20] = lines[19]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("\n".join(lines), encoding="utf-8")
    result = run("seattle_weather", input=str(wrong), output=str(tmp_path / "out"))
    assert result.state == "failed"
    assert (result.states()["validate"], result.states()["split"]) == ("failed", "upstream_failed")
    assert result.reasons()["validate"].endswith(
        "wrong.csv has 5 wrong rows; correct them and clear this task. line 4: temp_min 17.2 is above temp_max 11.7"
    )
    assert [line.strip() for line in caplog.text.splitlines() if line.startswith("  line ")] == [
        "line 10: could not convert string to float: 'much'",
        "line 13: weather 'sunny' is none of drizzle, fog, rain, snow, sun",
        "line 21: 2012-01-19 does not follow 2012-01-19",
        "line 22: 2012-01-21 does not follow 2012-01-19",
    ]
    assert not (tmp_path / "out").exists()


def test_a_file_that_never_comes_ends_the_wait(tmp_path: Path) -> None:
    result = run("seattle_weather", input=str(tmp_path / "none.csv"), output=str(tmp_path))
    assert (result.state, result.states()["wait_for_data"]) == ("failed", "failed")
    assert result.run.ended_at is not None
    assert result.run.started_at is not None
    waited = (result.run.ended_at - result.run.started_at).total_seconds()
    assert 7200 <= waited <= 7300


def test_each_attempt_is_noted_for_the_tests_that_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "ledger"
    monkeypatch.setenv("SEATTLE_WEATHER_LEDGER", str(ledger))
    result = run("seattle_weather", output=str(tmp_path / "out"))
    noted = [line.split() for line in ledger.read_text(encoding="utf-8").splitlines()]
    assert sorted((task, index) for task, index, _token in noted) == sorted(
        (row.task_id, str(row.map_index[0]) if row.map_index else "-")
        for row in result.rows
        if str(row.state) == "success"
    )
    assert all(int(token) > 0 for _task, _index, token in noted)


def test_results_lie_in_the_home_or_beside_the_dag_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = load_dag_in_process(FOLDER / "seattle_weather.py", "seattle_weather", folder=FOLDER)
    folder_of = dag.get_task("load").python_callable.__globals__["output_folder"]
    monkeypatch.setenv("TRADEWIND_HOME", str(tmp_path))
    assert folder_of({"output": ""}) == tmp_path / "seattle_weather"
    monkeypatch.delenv("TRADEWIND_HOME")
    assert folder_of({"output": ""}) == FOLDER.parent / "seattle_weather"
    assert folder_of({"output": "elsewhere"}) == Path("elsewhere")


class Page(HTMLParser):
    """Counts a page's elements and refuses tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = f"{tag}.{dict(attrs).get('class')}" if tag in {"circle", "rect", "tr"} else tag
        self.seen[kind] = self.seen.get(kind, 0) + 1
        if tag not in UNPAIRED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def page(tmp_path: Path) -> tuple[Page, str]:
    run("seattle_weather", output=str(tmp_path))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    parsed = Page()
    parsed.feed(text)
    return parsed, text


def test_the_report_is_whole_and_shows_every_month(page: tuple[Page, str]) -> None:
    parsed, text = page
    assert parsed.open == []
    drawn = {name: parsed.seen[name] for name in ("svg", "circle.hot", "circle.mild", "rect.rain", "tr.hot")}
    assert drawn == {"svg": 2, "circle.hot": 7, "circle.mild": 41, "rect.rain": 48, "tr.hot": 7}
    assert "7 of 48 months were hot: their days reached 26 °C on average." in text
    assert "$" not in text


def test_the_report_needs_nothing_from_elsewhere_and_knows_the_dark(page: tuple[Page, str]) -> None:
    parsed, text = page
    assert {"script", "link", "img"} & set(parsed.seen) == set()
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text
