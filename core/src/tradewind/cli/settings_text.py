"""The settings as text: the commented file of a new project, and one setting at a time."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec

from tradewind import config
from tradewind.config import Settings


def commented_settings() -> str:
    """Return a settings file that says what can be set, with every default, all of it commented out."""
    lines = [
        "# Settings of this installation. Everything has a default; uncomment what you want to change.",
        "# The environment overrides it: TRADEWIND__DAGS__FOLDER=… is [dags] folder.",
    ]
    for section, kind in config.sections().items():
        lines += ["", f"# {(inspect.getdoc(kind) or '').splitlines()[0]}", f"[{section}]"]
        notes = _notes(kind)
        for field in msgspec.structs.fields(kind):
            note = f"  # {notes[field.name]}" if field.name in notes else ""
            value = "(not set)" if field.default is None else f"= {toml_value(field.default)}"
            lines.append(f"# {field.name} {value}{note}")
    return "\n".join(lines) + "\n"


def toml_value(value: Any) -> str:
    """Return a setting as TOML writes it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_value(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)


def flat(settings: Settings) -> list[dict[str, Any]]:
    """Return every setting with its value and its default, secrets in URLs hidden."""
    rows = []
    for section, kind in config.sections().items():
        present = getattr(settings, section)
        for field in msgspec.structs.fields(kind):
            value = getattr(present, field.name)
            default = field.default
            rows.append(
                {
                    "section": section,
                    "key": field.name,
                    "value": _harmless(section, field.name, value),
                    "default": list(default) if isinstance(default, tuple) else default,
                    "changed": value != default,
                }
            )
    return rows


def _harmless(section: str, key: str, value: Any) -> Any:
    if (section, key) == ("metastore", "url") and "@" in value:
        scheme, _, rest = value.partition("://")
        user, _, place = rest.rpartition("@")
        return f"{scheme}://{user.partition(':')[0]}:•••@{place}"
    return list(value) if isinstance(value, tuple) else value


def _notes(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return the comments beside the fields of a section, from its source."""
    found = {}
    for line in inspect.getsource(kind).splitlines():
        code, sign, note = line.partition("  # ")
        name, colon, _rest = code.strip().partition(":")
        if sign and colon and name.isidentifier():
            found[name] = note.strip()
    return found
