"""Four years of Seattle's weather become a database and a report, every morning.

It waits for its input, refuses rows that are wrong, splits the days by month, computes each month's statistics in a
task of its own, loads them into a SQLite database, takes one of two branches by a threshold, and draws a page with
two plots. Every step can be repeated: files appear whole or not at all, and the database is replaced in one
transaction. Results lie in `seattle_weather/` in TRADEWIND_HOME, or beside the DAG folder where that is not set.
"""

import csv
import functools
import os
import sqlite3
import statistics
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from tradewind import Param, dag, get_current_context, task
from tradewind.errors import Fail

HERE = Path(__file__).parent
COLUMNS = ("date", "precipitation", "temp_max", "temp_min", "wind", "weather")
WEATHERS = frozenset({"drizzle", "fog", "rain", "snow", "sun"})
WET_DAY_MM = 1.0  # less than that is called a trace
WRONG_ROWS_SHOWN_MAX = 20

Row = Mapping[str, str]
Month = Mapping[str, Any]


# ---- where things lie ------------------------------------------------------------------------------------------------


def input_path(params: Mapping[str, Any]) -> Path:
    return HERE / params["input"]  # an absolute path stays what it is


def output_folder(params: Mapping[str, Any]) -> Path:
    home = os.environ.get("TRADEWIND_HOME")
    return Path(params["output"] or (Path(home) if home else HERE.parent) / "seattle_weather")


def write_whole(path: Path, text: str) -> Path:
    """Write a file that nobody can ever see half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)


def noted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Note each attempt in the file that SEATTLE_WEATHER_LEDGER names; the tests that kill processes read it."""

    @functools.wraps(function)
    def attempt(*args: Any, **kwargs: Any) -> Any:
        ledger = os.environ.get("SEATTLE_WEATHER_LEDGER")
        if ledger:
            facts = get_current_context().facts
            index = ".".join(map(str, facts.map_index)) or "-"
            with Path(ledger).open("a", encoding="utf-8") as file:
                file.write(f"{facts.task_id} {index} {facts.token}\n")
        return function(*args, **kwargs)

    return attempt


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def day_of(row: Row) -> date:
    return datetime.strptime(row["date"], "%Y/%m/%d").replace(tzinfo=UTC).date()


def what_is_wrong(rows: Iterable[Row]) -> Iterator[str]:
    """Yield one sentence for each wrong row, with its line in the file."""
    before: date | None = None
    for line, row in enumerate(rows, start=2):
        day = None
        try:
            day = day_of(row)
            numbers = {name: float(row[name]) for name in COLUMNS[1:5]}
        except (TypeError, ValueError) as error:
            yield f"line {line}: {error}"
            before = day
            continue
        if before is not None and day != before + timedelta(days=1):
            yield f"line {line}: {day} does not follow {before}"
        if numbers["temp_min"] > numbers["temp_max"]:
            yield f"line {line}: temp_min {numbers['temp_min']} is above temp_max {numbers['temp_max']}"
        yield from (
            f"line {line}: {name} is negative" for name in ("precipitation", "wind") if numbers[name] < 0
        )
        if row["weather"] not in WEATHERS:
            yield f"line {line}: weather {row['weather']!r} is none of {', '.join(sorted(WEATHERS))}"
        before = day


# ---- the tasks -------------------------------------------------------------------------------------------------------


@task.sensor(poke_interval=30, timeout=timedelta(hours=2), mode="reschedule")
@noted
def wait_for_data(params: Mapping[str, Any]) -> bool:
    """Wait until the input is there; between two looks the task needs no process."""
    return input_path(params).is_file()


@task
@noted
def validate(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check every row; wrong data stays wrong, so that no retry is made."""
    path = input_path(params)
    rows = read_rows(path)
    if not rows or tuple(rows[0]) != COLUMNS:
        raise Fail(f"{path} needs rows with the columns {', '.join(COLUMNS)}.")
    wrong = list(what_is_wrong(rows))
    if wrong:
        others = "\n  ".join(["", *wrong[1:WRONG_ROWS_SHOWN_MAX]])
        raise Fail(
            f"{path.name} has {len(wrong)} wrong rows; correct them and clear this task. {wrong[0]}{others}"
        )
    return {"rows": len(rows), "first": day_of(rows[0]), "last": day_of(rows[-1])}


@task
@noted
def split(params: Mapping[str, Any]) -> list[str]:
    """Write one file per month and return their paths: large values travel as files, small ones as XComs."""
    folder = output_folder(params) / "months"
    paths = []
    for month, rows in groupby(read_rows(input_path(params)), key=lambda row: row["date"][:7]):
        lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in rows)]
        paths.append(write_whole(folder / f"{month.replace('/', '-')}.csv", "\n".join(lines) + "\n"))
    for stale in set(folder.glob("*.csv")) - set(paths):
        stale.unlink()
    return [str(path) for path in paths]


@task(retries=2, retry_delay=timedelta(seconds=10), map_index_template="{{ task.op_kwargs.path[-11:-4] }}")
@noted
def summarize(path: str, params: Mapping[str, Any], ctx: Any) -> Month:
    """Compute one month's statistics; there is an instance of this task for each month."""
    ctx.wait(params["pace_seconds"])
    rows = read_rows(Path(path))
    highs, lows = ([float(row[name]) for row in rows] for name in ("temp_max", "temp_min"))
    rain = [float(row["precipitation"]) for row in rows]
    return {
        "month": Path(path).stem,
        "days": len(rows),
        "mean_max": round(statistics.fmean(highs), 2),
        "mean_min": round(statistics.fmean(lows), 2),
        "hottest": max(highs),
        "coldest": min(lows),
        "rain_mm": round(sum(rain), 1),
        "wet_days": sum(amount >= WET_DAY_MM for amount in rain),
        "mean_wind": round(statistics.fmean(float(row["wind"]) for row in rows), 2),
        "usual": Counter(row["weather"] for row in rows).most_common(1)[0][0],
    }


@task(retries=2, retry_delay=timedelta(seconds=10))
@noted
def load(months: Sequence[Month], params: Mapping[str, Any]) -> str:
    """Replace the database's content in one transaction: loading twice is loading once."""
    path = output_folder(params) / "weather.db"
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS month (month TEXT PRIMARY KEY, days INTEGER, mean_max REAL, mean_min REAL,"
            " hottest REAL, coldest REAL, rain_mm REAL, wet_days INTEGER, mean_wind REAL, usual TEXT)"
        )
        database.execute("DELETE FROM month")
        database.executemany(
            "INSERT INTO month VALUES (:month, :days, :mean_max, :mean_min,"
            " :hottest, :coldest, :rain_mm, :wet_days, :mean_wind, :usual)",
            list(months),
        )
    return str(path)


def loaded_months(database_path: str) -> list[Month]:
    with closing(sqlite3.connect(database_path, timeout=30)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM month ORDER BY month")]


def hot_months(database_path: str, params: Mapping[str, Any]) -> list[str]:
    months = loaded_months(database_path)
    return [month["month"] for month in months if month["mean_max"] >= params["hot_celsius"]]


@task.branch
@noted
def judge(database_path: str, params: Mapping[str, Any]) -> str:
    """Choose what follows: a branch returns the id of the task to go on with."""
    return "alert" if hot_months(database_path, params) else "quiet"


@task
@noted
def alert(database_path: str, params: Mapping[str, Any]) -> list[str]:
    """Write down which months were hot."""
    hot = hot_months(database_path, params)
    text = f"Months whose days reached {params['hot_celsius']} °C on average: {', '.join(hot)}.\n"
    write_whole(output_folder(params) / "alert.txt", text)
    return hot


@task
@noted
def quiet(params: Mapping[str, Any]) -> None:
    """Take back an alert of an earlier run."""
    (output_folder(params) / "alert.txt").unlink(missing_ok=True)


@task(trigger_rule="none_failed_min_one_success")
@noted
def report(database_path: str, params: Mapping[str, Any]) -> str:
    """Draw the page; it runs after whichever branch was taken."""
    months = loaded_months(database_path)
    page = string.Template((HERE / "data/seattle-weather.html").read_text(encoding="utf-8"))
    text = page.substitute(page_values(months, params["hot_celsius"]))
    return str(write_whole(output_folder(params) / "report.html", text))


# ---- drawing ---------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 960, 300, 44, 28, 12


def page_values(months: Sequence[Month], hot_celsius: float) -> dict[str, str]:
    hot = [month for month in months if month["mean_max"] >= hot_celsius]
    hottest = max(months, key=lambda month: month["hottest"])
    coldest = min(months, key=lambda month: month["coldest"])
    wettest = max(months, key=lambda month: month["rain_mm"])
    return {
        "years": f"{months[0]['month'][:4]}–{months[-1]['month'][:4]}",
        "answer": f"{len(hot)} of {len(months)} months were hot: their days reached {hot_celsius:g} °C on average.",
        "days": f"{sum(month['days'] for month in months):,}",
        "hottest": f"{hottest['hottest']:.1f} °C",
        "hottest_when": spoken(hottest),
        "coldest": f"{coldest['coldest']:.1f} °C".replace("-", "−"),
        "coldest_when": spoken(coldest),
        "wettest": f"{wettest['rain_mm']:.0f} mm",
        "wettest_when": spoken(wettest),
        "temperatures": temperature_plot(months, hot_celsius),
        "rain": rain_plot(months),
        "rows": "\n".join(table_row(month, hot=month in hot) for month in months),
    }


def spoken(month: Month) -> str:
    return f"{datetime.strptime(month['month'], '%Y-%m').replace(tzinfo=UTC):%B %Y}"


def plot_frame(
    months: Sequence[Month], low: float, high: float, step: int, unit: str
) -> tuple[str, Any, Any]:
    """Return grid and axes, and the functions that place a month number and a value."""
    slot = (WIDTH - LEFT) / len(months)

    def x(number: float) -> float:
        return round(LEFT + number * slot, 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(tick)}" y2="{y(tick)}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(tick) + 4}" text-anchor="end">{tick}{unit}</text>'
        for tick in range(int(low), int(high) + 1, step)
    ]
    lines += [
        f'<line class="year" x1="{x(number)}" x2="{x(number)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text class="tick" x="{x(number) + 6}" y="{HEIGHT - 8}">{month["month"][:4]}</text>'
        for number, month in enumerate(months)
        if number == 0 or month["month"].endswith("-01")
    ]
    return "\n".join(lines), x, y


def temperature_plot(months: Sequence[Month], hot_celsius: float) -> str:
    """Draw the band between mean daily low and high, its threshold, and a mark for each month."""
    low = min(0, *(month["mean_min"] for month in months)) // 5 * 5
    high = max(hot_celsius, *(month["mean_max"] for month in months)) // 5 * 5 + 5
    frame, x, y = plot_frame(months, low, high, 5, "°")
    highs = [(x(number + 0.5), y(month["mean_max"])) for number, month in enumerate(months)]
    lows = [(x(number + 0.5), y(month["mean_min"])) for number, month in enumerate(months)]
    marks = [
        f'<circle class="{"hot" if month["mean_max"] >= hot_celsius else "mild"}"'
        f' cx="{place[0]}" cy="{place[1]}" r="4">'
        f"<title>{spoken(month)}: {month['mean_min']:.1f} to {month['mean_max']:.1f} °C</title></circle>"
        for month, place in zip(months, highs, strict=True)
    ]
    threshold = (
        f'<line class="threshold" x1="{LEFT}" x2="{WIDTH}" y1="{y(hot_celsius)}" y2="{y(hot_celsius)}"/>'
        f'<text class="threshold-text" x="{LEFT + 6}" y="{y(hot_celsius) - 6}">'
        f"hot from {hot_celsius:g} °C</text>"
    )
    shapes = (
        f'<polygon class="band" points="{points([*highs, *reversed(lows)])}"/>'
        f'<polyline class="high" points="{points(highs)}"/><polyline class="low" points="{points(lows)}"/>'
    )
    return "\n".join([frame, shapes, threshold, *marks])


def points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{across},{down}" for across, down in places)


def rain_plot(months: Sequence[Month]) -> str:
    """Draw a bar for each month's precipitation."""
    high = max(month["rain_mm"] for month in months) // 50 * 50 + 50
    frame, x, y = plot_frame(months, 0, high, 50, "")
    bars = [
        f'<rect class="rain" x="{x(number + 0.15)}" y="{y(month["rain_mm"])}" rx="2" width="{x(0.7) - LEFT:.1f}"'
        f' height="{y(0) - y(month["rain_mm"]):.1f}">'
        f"<title>{spoken(month)}: {month['rain_mm']:.0f} mm on {month['wet_days']} wet days</title></rect>"
        for number, month in enumerate(months)
    ]
    return "\n".join([frame, *bars])


def table_row(month: Month, *, hot: bool) -> str:
    cells = (
        f"{month['mean_max']:.1f}",
        f"{month['mean_min']:.1f}",
        f"{month['hottest']:.1f}",
        f"{month['coldest']:.1f}",
        f"{month['rain_mm']:.1f}",
        f"{month['wet_days']}",
        f"{month['mean_wind']:.1f}",
    )
    numbers = "".join(f"<td>{cell}</td>" for cell in cells)
    name = f"{spoken(month)}{' · hot' if hot else ''}"
    return (
        f'<tr{" class=hot" if hot else ""}><th scope="row">{name}</th>{numbers}<td>{month["usual"]}</td></tr>'
    )


# ---- the DAG ---------------------------------------------------------------------------------------------------------


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # the runs share one output folder
    tags=["example", "weather"],
    doc=__doc__,
    params={
        "input": Param(
            "data/seattle-weather.csv", type="string", description="CSV, seen from the DAG folder"
        ),
        "output": Param(
            "", type="string", description="Folder for the results; empty: seattle_weather/ in the home"
        ),
        "hot_celsius": Param(26.0, type="number", description="A month is hot from this mean daily high on"),
        "pace_seconds": Param(
            0, type="number", minimum=0, maximum=60, description="Let each month take that long"
        ),
    },
)
def seattle_weather() -> None:
    months_of_days = split()
    wait_for_data() >> validate() >> months_of_days
    database = load(summarize.expand(path=months_of_days))
    judge(database) >> [alert(database), quiet()] >> report(database)


seattle_weather()
