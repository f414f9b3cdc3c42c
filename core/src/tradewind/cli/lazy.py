"""Click groups that know the names of their commands, and import a command only when it is called."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class Later(NamedTuple):
    """A command that is not imported yet."""

    target: str  # "module:attribute"
    summary: str  # its line in lists; the same as the command's own
    hidden: bool = False


class NearGroup(click.Group):
    """A group that offers the nearest names when one is not known."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names."""
        name = args[0] if args else ""
        if args and not name.startswith("-") and self.get_command(ctx, name) is None:
            known = [one for one in self.list_commands(ctx) if not self._is_hidden(ctx, one)]
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
            ctx.fail(f'There is no command "{ctx.command_path} {name}". {hint}')
        return super().resolve_command(ctx, args)

    def _is_hidden(self, ctx: click.Context, name: str) -> bool:
        command = self.get_command(ctx, name)
        return command is None or command.hidden


class LazyGroup(NearGroup):
    """A group of which each command is a :class:`Later`."""

    def __init__(self, *args: Any, later: Mapping[str, Later] | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.later = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order in which they are best read."""
        return [*self.later, *sorted(set(self.commands) - set(self.later))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        later = self.later.get(cmd_name)
        if later is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = later.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), f"{later.target} is no command"
        return command

    def _is_hidden(self, ctx: click.Context, name: str) -> bool:
        later = self.later.get(name)
        return later.hidden if later is not None else super()._is_hidden(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, one.summary) for name, one in self.later.items() if not one.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
