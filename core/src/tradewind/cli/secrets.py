"""``tradewind secrets``: the key that encrypts stored connections and variables."""

from __future__ import annotations

import click
import msgspec

from tradewind.cli import installation
from tradewind.cli.lazy import NearGroup
from tradewind.cli.options import approve, output_option, yes_option
from tradewind.cli.output import done


@click.group(cls=NearGroup, short_help="Change the key that encrypts stored secrets.")
def secrets() -> None:
    """Change the key that encrypts stored connections and variables."""


@secrets.command()
@output_option
@yes_option
def rotate(output: str, *, yes: bool) -> None:
    """Make a new key and encrypt everything with it. Nothing needs to be restarted; run it again if interrupted."""
    with installation.parts() as parts:
        approve(f"Make a new key in {parts.settings.key_path}?", yes=yes, destructive=True)
        rotated = parts.secrets.rotate(actor=installation.actor())
    sentence = (
        f"Encrypted {rotated.connections} connections and {rotated.variables} variables with a new key."
    )
    done(output, msgspec.to_builtins(rotated), sentence)
