"""``tradewind info`` and ``version``."""

from __future__ import annotations

import platform
import sys

import click

from tradewind.cli import installation
from tradewind.cli.options import output_option
from tradewind.cli.output import Column, done, emit, rows_table

_DISTRIBUTIONS = (
    "tradewind",
    "tradewind-webserver",
    "click",
    "msgspec",
    "sqlalchemy",
    "cryptography",
    "jinja2",
)


@click.command(short_help="Print the version.")
@output_option
def version(output: str) -> None:
    """Print the version."""
    from importlib.metadata import version

    number = version("tradewind")
    done(output, {"version": number}, f"tradewind {number}")


@click.command(short_help="Show where things lie and which versions are used.")
@output_option
def info(output: str) -> None:
    """Show where things lie and which versions are used: what a bug report needs."""
    from importlib.metadata import PackageNotFoundError, version

    from tradewind.cli.settings_text import flat

    settings = installation.settings()
    versions = {}
    for name in _DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    url = next(row["value"] for row in flat(settings) if (row["section"], row["key"]) == ("metastore", "url"))
    shown = {
        "home": str(settings.home_path),
        "dags": str(settings.dags_path),
        "plugins": str(settings.plugins_path),
        "logs": str(settings.logs_path),
        "metastore": url or settings.metastore_url,
        "executor": settings.executor.default,
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "versions": versions,
    }
    rows = [{"name": name, "value": value} for name, value in shown.items() if name != "versions"]
    rows += [{"name": name, "value": value} for name, value in versions.items()]
    emit(output, shown, lambda: rows_table(rows, (Column("What", "name"), Column("Value", "value"))))
