"""Writes docs/reference/hooks.md from the hook specifications: `python -m tests.plugins.hooks_reference`."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.tidy.source import ROOT
from tradewind import hookspecs
from tradewind.plugins.signatures import hooks

PAGE = ROOT / "docs/reference/hooks.md"

HEAD = """# Hooks

<!-- Written by `python -m tests.plugins.hooks_reference` from tradewind/hookspecs.py; a test compares them. -->

A plugin is a module with functions marked `@hookimpl`. Put it into the `plugins/` folder as one file or a package, or
name it in a distribution's entry points:

```toml
[project.entry-points.tradewind]
ssh = "tradewind_ssh.plugin"
```

A hook's parameters may be left out, but not renamed. `tradewind plugins check plugins/mine.py` says what is wrong with
a plugin, `tradewind plugins list` which are loaded, `tradewind plugins trace` what is called and how long it takes.
Two tested examples lie in `plugins/`: `working_day_timetable.py` and `slow_task_observer.py`.

Functions named `tradewind_…` declare, once, by import strings (`"package.module:name"`): what they name is imported
when somebody uses it. The others are called again and again, each guarded and timed: a plugin that fails five times in
a row, or takes longer than a second each time, is muted and shown as such.
"""

PARTS: dict[str, Callable[[str], bool]] = {
    "Declarations": lambda name: name.startswith("tradewind_"),
    "Policies": lambda name: name.endswith("_policy"),
    "Observers and explanations": lambda name: (
        not name.startswith("tradewind_") and not name.endswith("_policy")
    ),
}


def page() -> str:
    """Return the text of the reference page."""
    parts = [HEAD]
    for title, belongs in PARTS.items():
        parts.append(f"## {title}\n")
        parts += [hook(name, signature) for name, signature in hooks().items() if belongs(name)]
    parts.append("## Values\n")
    parts += [value(kind) for kind in values()]
    return "\n".join(parts)


def hook(name: str, signature: inspect.Signature) -> str:
    """Return the section of one hook."""
    return f"### `{shown(name, signature)}`\n\n{prose(getattr(hookspecs, name))}\n"


def shown(name: str, signature: inspect.Signature) -> str:
    """Return a hook's signature as it is written."""
    return f"{name}{signature}".replace("'", "")


def values() -> list[type[msgspec.Struct]]:
    """Return the structs that hooks give and take, in the order they are written."""
    return [
        kind
        for kind in vars(hookspecs).values()
        if isinstance(kind, type)
        and issubclass(kind, msgspec.Struct)
        and kind.__module__ == hookspecs.__name__
    ]


def value(kind: type[msgspec.Struct]) -> str:
    """Return the section of one struct: its sentence, then its fields."""
    annotations: dict[str, str] = {}
    for parent in reversed(kind.__mro__):
        annotations |= inspect.get_annotations(parent)
    rows = [
        f"| `{field.name}` | `{annotations[field.name]}` | {default(field)} |".replace(" | None", " \\| None")
        for field in msgspec.structs.fields(kind)
    ]
    table = "\n".join(["| field | type | default |", "|---|---|---|", *rows])
    return f"### {kind.__name__}\n\n{prose(kind)}\n\n{table}\n"


def default(field: msgspec.structs.FieldInfo) -> str:
    """Return a field's default as people read it."""
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{field.default_factory()}`"
    return "required" if field.default is msgspec.NODEFAULT else f"`{field.default!r}`"


def prose(thing: object) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.getdoc(thing) or "")


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    Path(PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
