"""The installation a command works on: settings, parts, and who is acting."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tradewind.errors import ConfigError

if TYPE_CHECKING:
    from tradewind.bootstrap import Parts
    from tradewind.config import Settings


def settings() -> Settings:
    """Return this installation's settings; ``ConfigError`` when one is wrong."""
    from tradewind.config import load_settings

    return load_settings()


@contextmanager
def parts(*, listen: bool = False) -> Iterator[Parts]:
    """Give the installation's parts, and close them; with ``listen`` its wake-up channel also hears.

    ``ConfigError`` when the home folder is not there: a command that looks never makes one.
    """
    from tradewind.bootstrap import Parts

    found = settings()
    require_home(found)
    made = Parts(found, listen=listen)
    try:
        yield made
    finally:
        made.close()


def require_home(found: Settings) -> None:
    """Refuse to work on an installation that was never started."""
    if not found.home_path.is_dir():
        raise ConfigError(
            f"There is no installation in {found.home_path}. Start one: `tradewind standalone`, or set"
            " TRADEWIND_HOME to the folder of another."
        )


def actor() -> str:
    """Return who acts: the user of the operating system."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return f"cli:{name}"
