"""Import strings: ``"package.module:name"``, imported when somebody needs what they name."""

from __future__ import annotations

import importlib
import re
from typing import Any

from tradewind.errors import PluginError

_SHAPE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_import_string(text: object) -> bool:
    """Say whether ``text`` has the shape ``"package.module:name"``."""
    return isinstance(text, str) and _SHAPE.fullmatch(text) is not None


def load_object(target: str, *, wanted_by: str) -> Any:
    """Return what an import string names.

    Raises:
        PluginError: the module cannot be imported, or has no such name; ``wanted_by`` (a noun phrase) starts the text.
    """
    if not is_import_string(target):
        raise PluginError(
            f'{wanted_by} names "{target}", which is no import string. Write "package.module:name".'
        )
    module, _, path = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever a plugin's module raises is that plugin's failure
        raise PluginError(
            f'{wanted_by} needs "{target}", but importing {module} failed: {type(error).__name__}: {error}.'
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise PluginError(f'{wanted_by} names "{target}", but {module} has no "{path}".') from None
    return found
