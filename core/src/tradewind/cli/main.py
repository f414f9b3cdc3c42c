"""The command ``tradewind``: its nouns, and the one place where errors become messages."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tradewind.cli.border import guarded, reader_gone
from tradewind.cli.lazy import Later, LazyGroup

_COMMANDS = {
    "init": Later("tradewind.cli.init:init", "Make a project folder: settings, an example DAG, plugins."),
    "standalone": Later(
        "tradewind.cli.standalone.command:standalone", "Run everything on this machine, in one process tree."
    ),
    "demo": Later("tradewind.cli.demo:demo", "Run the main example of a clone.", hidden=True),
    "scheduler": Later("tradewind.cli.daemons:scheduler", "Run a scheduler: leader, or standby of another."),
    "dag-processor": Later("tradewind.cli.daemons:dag_processor", "Read the DAG folder and watch it."),
    "worker": Later("tradewind.cli.daemons:worker", "Run the tasks of this machine."),
    "dags": Later("tradewind.cli.dags:dags", "List, check, test, trigger and pause DAGs."),
    "runs": Later("tradewind.cli.runs:runs", "Look at runs, watch, cancel and repair them."),
    "tasks": Later("tradewind.cli.tasks:tasks", "Look at tasks of runs, their logs, and why they wait."),
    "connections": Later("tradewind.cli.connections:connections", "Keep credentials of other systems."),
    "variables": Later("tradewind.cli.variables:variables", "Keep values that tasks read."),
    "pools": Later("tradewind.cli.pools:pools", "Limit how many tasks use something at once."),
    "providers": Later("tradewind.cli.providers:providers", "Show installed providers."),
    "plugins": Later("tradewind.cli.plugins:plugins", "List, check and trace plugins."),
    "db": Later("tradewind.cli.db:db", "Create, migrate and clean the database."),
    "config": Later("tradewind.cli.config:config", "Show and check the settings."),
    "secrets": Later("tradewind.cli.secrets:secrets", "Change the key that encrypts stored secrets."),
    "doctor": Later("tradewind.cli.doctor:doctor", "Say what is wrong with this installation."),
    "info": Later("tradewind.cli.info:info", "Show where things lie and which versions are used."),
    "version": Later("tradewind.cli.info:version", "Print the version."),
    "completion": Later("tradewind.cli.completion:completion", "Print the completion script of a shell."),
}


class Root(LazyGroup):
    """The nouns of Tradewind, and the commands that plugins add: those are asked for when no noun has the name."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; plugins are loaded only for a name that is not ours."""
        return super().get_command(ctx, cmd_name) or _of_plugins(cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; whoever reads its output may stop reading at any time."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would call it a failure
            return reader_gone()


def _of_plugins(name: str) -> click.Command | None:
    from tradewind.cli import installation
    from tradewind.errors import TradewindError
    from tradewind.plugins.registry import load_registry

    try:
        settings = installation.settings()
        registry = load_registry(settings.plugins_path, disabled=settings.plugins.disabled)
        if name in {one.name for one in registry.cli_commands()}:
            command = registry.cli_command(name)
            return command if isinstance(command, click.Command) else None
    except TradewindError:
        pass  # the name is told as unknown; `plugins check` says what is wrong
    return None


@click.group(
    cls=Root,
    later=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(
    None, "--version", package_name="tradewind", prog_name="tradewind", message="%(prog)s %(version)s"
)
def cli() -> None:
    """Run workflows, and say why anything waits.

    TRADEWIND_HOME is the installation's folder (default: the nearest folder upwards with a tradewind.toml,
    else ~/.tradewind). TRADEWIND_DEBUG=1 shows the traceback of an error.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 ok, 1 failed, 2 wrong use."""
    return guarded(lambda: cli.main(arguments, prog_name="tradewind", standalone_mode=False))
