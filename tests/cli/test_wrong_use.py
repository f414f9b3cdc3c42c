"""Wrong arguments always say what is right, and leave with status 2; unknown names offer the nearest."""

from __future__ import annotations

import pytest

from tests.cli.house import House


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["dag", "list"], 2, 'There is no command "tradewind dag". Did you mean dags'),
        (["runs", "lst"], 2, 'There is no command "tradewind runs lst". Did you mean list'),
        (["runs", "frobnicate"], 2, "There are: cancel, clear, list, mark, pause"),
        (
            ["runs", "list", "--state", "done"],
            2,
            "'queued', 'running', 'paused', 'success', 'failed', 'cancelled'",
        ),
        (["tasks", "list", "chain", "latest", "--state", "x"], 2, "'up_for_retry'"),
        (["dags", "list", "-o", "xml"], 2, "'table', 'json', 'yaml', 'plain'"),
        (["dags", "trigger"], 2, "Missing argument 'DAG'"),
        (["dags", "trigger", "chain", "--conf", "{"], 2, "this is no JSON"),
        (["dags", "trigger", "chain", "--conf", "[1]"], 2, "this is a JSON list, but it must be an object"),
        (["dags", "trigger", "chain", "--conf", "@/nowhere.json"], 2, "cannot read /nowhere.json"),
        (
            ["dags", "trigger", "chain", "--logical-date", "today"],
            2,
            "'today' is no instant. Write it as 2026-01-31",
        ),
        (["dags", "trigger", "chain", "--timeout", "5"], 2, "it needs --wait"),
        (["dags", "trigger", "chain", "--wait", "--timeout", "soon"], 2, "'soon' is no duration"),
        (["dags", "trigger", "chain", "--run-id", "../up"], 2, "has '/' at position 3"),
        (["dags", "trigger", "sales", "--conf", '{"region": "mars"}'], 2, "it must be one of 'eu', 'us'"),
        (["dags", "trigger", "chian"], 1, 'There is no DAG "chian". Did you mean chain?'),
        (["dags", "pause", "nothing"], 1, "`tradewind dags list` shows those there are."),
        (
            ["runs", "show", "chain", "latest"],
            1,
            'DAG "chain" has no runs yet. Start one: `tradewind dags trigger chain`',
        ),
        (["tasks", "logs", "chain", "latest", "first", "--map-index", "x"], 2, "'x' is no map index"),
        (["dags", "source", "chain", "--version", "7"], 1, 'DAG "chain" has no version 7. It has: 1'),
        (["dags", "check", "nowhere.py"], 1, "There is no file or folder nowhere.py"),
        (["pools", "get", "defualt"], 1, 'There is no pool "defualt". Did you mean default?'),
        (["pools", "set", "gpu", "many"], 2, "'many' is not a valid integer"),
        (["pools", "delete", "default"], 2, "say --yes if it is meant"),
        (
            ["variables", "get", "x"],
            1,
            'There is no variable "x". `tradewind variables list` shows what there is.',
        ),
        (["connections", "set", "db"], 2, "Give either URL, JSON or - (stdin), or --type"),
        (["connections", "set", "db", "nonsense"], 2, "Write type://login:password@host"),
        (["config", "get", "executor.paralelism"], 1, "executor.parallelism"),
        (["providers", "show", "amazn"], 1, "There are: tradewind"),
        (["db", "downgrade", "0001"], 2, "say --yes if it is meant"),
        (["db", "clean"], 2, "Missing option '--older-than'"),
        (["dags", "delete", "chain"], 2, "say --yes if it is meant"),
        (["completion", "tcsh"], 2, "'bash', 'zsh', 'fish'"),
    ],
)
def test_wrong_arguments_are_answered_with_what_is_right(
    stored: House, arguments: list[str], code: int, told: str
) -> None:
    answer = stored.run(*arguments)
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.err
    assert "Traceback" not in answer.err


def test_a_beginning_of_a_run_id_is_enough_when_it_is_unique(stored: House) -> None:
    for name in ("alpha-1", "alpha-2", "beta"):
        assert stored.run("dags", "trigger", "chain", "--run-id", name).code == 0
    assert stored.run("runs", "show", "chain", "bet", "-o", "json").json()["run_id"] == "beta"
    several = stored.run("runs", "show", "chain", "alpha")
    assert (several.code, several.err) == (
        1,
        'Error: DAG "chain" has no run "alpha". Several begin so: alpha-2, alpha-1\n',
    )
    assert stored.run("runs", "show", "chain", "latest", "-o", "json").json()["run_id"] == "beta"
    assert (
        'has no task "frist". It has no tasks yet' in stored.run("tasks", "why", "chain", "beta", "frist").err
    )


def test_every_group_and_command_has_help(house: House) -> None:
    from tradewind.cli.lazy import Later, LazyGroup
    from tradewind.cli.main import cli

    assert isinstance(cli, LazyGroup)
    context = cli.make_context("tradewind", ["--help"], resilient_parsing=True)
    for name, later in cli.later.items():
        assert isinstance(later, Later)
        command = cli.get_command(context, name)
        assert command is not None
        assert (command.short_help, command.hidden) == (later.summary, later.hidden), name
        assert house.run(name, "--help").code == 0


def test_a_command_that_changes_something_takes_yes() -> None:
    """Scripts may always say --yes; reading commands refuse it."""
    import click

    from tradewind.cli.main import cli

    changing = set()
    context = click.Context(cli)
    for noun in cli.list_commands(context):
        group = cli.get_command(context, noun)
        if isinstance(group, click.Group):
            changing |= {
                f"{noun} {name}"
                for name, command in group.commands.items()
                if any(parameter.name == "yes" for parameter in command.params)
            }
    assert changing == {
        "connections delete",
        "connections export",
        "connections import",
        "connections set",
        "dags delete",
        "dags pause",
        "dags trigger",
        "dags unpause",
        "db clean",
        "db downgrade",
        "db migrate",
        "pools delete",
        "pools import",
        "pools set",
        "runs cancel",
        "runs clear",
        "runs mark",
        "runs pause",
        "runs resume",
        "secrets rotate",
        "tasks clear",
        "tasks hold",
        "tasks mark",
        "tasks release",
        "tasks run",
        "variables delete",
        "variables export",
        "variables import",
        "variables set",
    }
