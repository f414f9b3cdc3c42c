"""``tradewind init``: a project folder that runs at once."""

from __future__ import annotations

from pathlib import Path

import click

from tradewind.cli.options import output_option
from tradewind.cli.output import done
from tradewind.errors import ConflictError

EXAMPLE = '''\
"""A first DAG: three tasks, one of them for each of a list."""

from datetime import datetime

from tradewind import dag, task


@dag(schedule="@daily", start_date=datetime(2026, 1, 1), tags=["example"])
def hello():
    @task
    def names() -> list[str]:
        return ["Ada", "Grace", "Edsger"]

    @task
    def greet(name: str) -> str:
        print(f"Hello, {name}!")
        return f"greeted {name}"

    @task
    def count(greetings: list[str]) -> int:
        return len(list(greetings))

    count(greet.expand(name=names()))


hello()
'''


@click.command(short_help="Make a project folder: settings, an example DAG, plugins.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".", metavar="[DIR]")
@output_option
def init(folder: Path, output: str) -> None:
    """Make a project in DIR (default: here): tradewind.toml, dags/ with an example, plugins/."""
    from tradewind.cli.settings_text import commented_settings
    from tradewind.config import CONFIG_FILE

    if (folder / CONFIG_FILE).exists():
        raise ConflictError(
            f"{folder / CONFIG_FILE} exists already: this folder is a project. Choose another one."
        )
    made = []
    for place in (folder, folder / "dags", folder / "plugins"):
        place.mkdir(parents=True, exist_ok=True)
    for file, text in {
        folder / CONFIG_FILE: commented_settings(),
        folder / "dags" / "hello.py": EXAMPLE,
    }.items():
        if not file.exists():
            file.write_text(text, encoding="utf-8")
            made.append(str(file))
    where = "" if folder == Path() else f"cd {folder} && "
    sentence = (
        f"Made {', '.join(made)}.\nNext: {where}tradewind standalone, and in another terminal:\n"
        f"  {where}tradewind dags trigger hello --wait"
    )
    done(output, {"folder": str(folder), "files": made}, sentence)
