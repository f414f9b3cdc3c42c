"""Writes the reference pages that the code itself can tell: `python docs/generate.py`; a test compares them."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

import tradewind.errors
import tradewind.operators
import tradewind.sensors
from tradewind import config
from tradewind.authoring.dag import DAG
from tradewind.authoring.operator import Operator
from tradewind.authoring.options import TaskDefaults, TaskOptions
from tradewind.cli.main import cli
from tradewind.cli.settings_text import toml_value
from tradewind.domain import reasons, states
from tradewind.domain.diagram import mermaid_runs, mermaid_tasks
from tradewind.domain.event_kinds import EVENT_KINDS
from tradewind.domain.spec import TriggerRule

FOLDER = Path(__file__).parent / "reference"
MARK = "<!-- Written by `python docs/generate.py` from the code; a test compares them. -->"

OPTIONS: Mapping[str, str] = {
    "task_id": "The task's name in its DAG; inside a group the group's prefix is put before it.",
    "dag": "The DAG, where no `with DAG(…)` or `@dag` is open.",
    "group": "The task group, where none is open.",
    "owner": "Who cares for it.",
    "retries": "How often a failed try is repeated.",
    "retry_delay": "How long to wait before the next try.",
    "retry_backoff": "What the delay is multiplied by from try to try.",
    "retry_delay_max": "The longest delay that the back-off may reach.",
    "retry_jitter": "The share of the delay, 0 to 1, by which it is spread.",
    "retry_on": "Exception classes, or functions of the exception: nothing else is tried again.",
    "no_retry_on": "Exception classes, or functions of the exception, that are not tried again.",
    "execution_timeout": "After that long the try is ended; it counts as failed.",
    "trigger_rule": "What the direct upstream tasks must have come to; see below.",
    "depends_on_past": "Wait until the task has succeeded, or was skipped, in the run before.",
    "wait_for_downstream": "Wait for the direct downstream tasks of the run before, too.",
    "pool": "The pool whose slots it takes.",
    "pool_slots": "How many slots of the pool it takes.",
    "priority_weight": "Who goes first when slots are short: the larger number.",
    "weight_rule": "What is added to the weight: `downstream`, `upstream` or `absolute` (nothing).",
    "executor": "Where it runs; None: the default executor.",
    "queue": "The queue of the executor; None: the default one.",
    "max_active_tis_per_dag": "How many instances of it may run at once, over all runs.",
    "limits": "Limits shared by all instances with the same rendered key: `limit(key=…, max=…, rate=…)`.",
    "at_most_once": "A try whose worker was lost is not repeated: it becomes `unknown`, and a person decides.",
    "map_index_template": "A template that names the indices of a mapped task.",
    "multiple_outputs": "Each key of a returned dict is an output of its own.",
    "do_xcom_push": "Keep what it returns as an XCom.",
    "inlets": "Assets it reads.",
    "outlets": "Assets it makes.",
    "on_success": "Called with the context after a success.",
    "on_failure": "Called with the context when it has failed for good.",
    "on_retry": "Called with the context when it will be tried again.",
    "on_skipped": "Called with the context when it was skipped.",
    "doc": "Its documentation, in Markdown; a decorated function's docstring by default.",
    "display_name": "What people read instead of its id.",
}
RULES: Mapping[TriggerRule, str] = {
    TriggerRule.ALL_SUCCESS: "all succeeded",
    TriggerRule.ALL_FAILED: "all failed, or could not run because of that",
    TriggerRule.ALL_DONE: "all are done, however",
    TriggerRule.ALL_DONE_MIN_ONE_SUCCESS: "all are done, and one succeeded",
    TriggerRule.ALL_DONE_SETUP_SUCCESS: "all are done, and one of its setups succeeded; the rule of every teardown",
    TriggerRule.ONE_SUCCESS: "one succeeded; it does not wait for the others",
    TriggerRule.ONE_FAILED: "one failed; it does not wait for the others",
    TriggerRule.ONE_DONE: "one succeeded or failed; it does not wait for the others",
    TriggerRule.NONE_FAILED: "all are done and none failed: success or skipped",
    TriggerRule.NONE_SKIPPED: "all are done and none was skipped",
    TriggerRule.ALWAYS: "at once, whatever they do",
    TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS: "none failed and one succeeded: the rule of a join after a branch",
    TriggerRule.ALL_SKIPPED: "all were skipped",
}
# What the code says nothing of beside the name, as the name says it there.
MEANINGS: Mapping[str, str] = {
    "TaskState.SUCCESS": "done",
    "TaskState.FAILED": "failed for good: no tries are left, or it said so",
    "TaskState.SKIPPED": "did not run, and need not: a branch, a rule, or the task itself said so",
    "RunState.RUNNING": "its tasks are run",
    "RunState.SUCCESS": "all that had to succeed has",
    "RunState.FAILED": "a task at the end of the graph failed, or could not run",
    "RunState.CANCELLED": "a person ended it",
    "TaskEvent.SUCCEED": "it returned",
    "TaskEvent.SKIP": "a rule, a branch, or the task itself",
    "TaskEvent.UPSTREAM_FAIL": "what it needs failed",
    "TaskEvent.RESCHEDULE": "it comes back at an instant, without a slot until then",
    "TaskEvent.DEFER": "it waits for a trigger",
    "TaskEvent.AWAIT_INPUT": "it waits for a person",
    "TaskEvent.LOSE_AT_MOST_ONCE": "worker gone, and the task must not run twice",
    "TaskEvent.CANCEL": "a person, or the end of its run",
    "TaskEvent.REMOVE": "its index or task no longer exists",
    "TaskEvent.RESTORE": "and exists again",
    "TaskEvent.CLEAR": "a person lets it start afresh",
    "TaskEvent.MARK_SUCCESS": "a person says so",
    "TaskEvent.MARK_FAILED": "a person says so",
    "RunEvent.START": "it has its place among `max_active_runs`",
    "RunEvent.SUCCEED": "its last task has ended",
    "RunEvent.FAIL": "its last task has ended, or its time limit has come",
    "RunEvent.CANCEL": "a person, or `overlap`",
    "RunEvent.PAUSE": "a person",
    "RunEvent.RESUME": "a person",
    "RunEvent.MARK_SUCCESS": "a person says so",
    "RunEvent.MARK_FAILED": "a person says so",
    "ReasonKind.DEPENDS_ON_PAST": "the run before has not come far enough",
    "ReasonKind.POOL_FULL": "the pool has too few free slots; it says who holds them",
    "ReasonKind.POOL_MISSING": "there is no pool of that name",
    "ReasonKind.LIMIT_RUNS": "the DAG has as many active runs as it may",
    "ReasonKind.LIMIT_DAG_TASKS": "the DAG has as many active tasks as it may, over all runs",
    "ReasonKind.LIMIT_RUN_TASKS": "the run has as many active tasks as it may",
    "ReasonKind.LIMIT_TASK": "the task has as many active instances as it may, over all runs",
    "ReasonKind.LIMIT_KEYED": "a `limit(key=…)` is reached",
    "ReasonKind.EXECUTOR_FULL": "the executor has no place left",
    "ReasonKind.NO_WORKER": "no worker of the executor is alive",
    "ReasonKind.DAG_PAUSED": "the DAG is paused: its schedule makes no runs",
    "ReasonKind.DAG_HELD": "the DAG was paused with `--hold`",
    "ReasonKind.RUN_PAUSED": "the run is paused",
    "ReasonKind.TASK_HELD": "the task is held",
    "ReasonKind.RUN_QUEUED": "the run has not started",
    "ReasonKind.RETRY_AT": "the next try has its time",
    "ReasonKind.RESCHEDULE_AT": "the next look has its time",
    "ReasonKind.RUNNING": "it runs",
    "ReasonKind.DEFERRED": "it waits for a trigger",
    "ReasonKind.AWAITING_INPUT": "it waits for a person",
    "ReasonKind.ENDED": "it has ended; it says how",
    "ReasonKind.PLUGIN": "a plugin says why",
    "DagsSettings.paused_on_creation": "whether new DAGs are paused",
    "DagsSettings.parse_memory_mb_max": "a file that needs more is an import error",
    "DagsSettings.parse_processes": "files read at once",
    "ExecutorSettings.default": "the executor of tasks that name none",
    "SchedulerSettings.shard": "which part of the DAGs it decides about",
    "RuntimeApiSettings.host": "where it listens",
    "RuntimeApiSettings.port": "and on which port",
    "LogsSettings.folder": "the folder of task logs",
    "PluginsSettings.folder": "the folder of drop-in plugins",
    "PluginsSettings.disabled": "names of plugins that are not loaded",
    "SecretsSettings.key_file": "the file of keys, made on the first start, readable by its owner only",
    "WebserverSettings.host": "where it listens",
    "WebserverSettings.port": "and on which port",
}
SETTINGS = """\
They stand in `tradewind.toml` in the home folder: `TRADEWIND_HOME`, else the nearest folder upwards that has that file,
else `~/.tradewind`. An environment variable `TRADEWIND__SECTION__KEY` overrides one. Folders are seen from the home
folder. Unknown names are refused. `tradewind config list` shows what is in force.
"""
ERRORS = """\
Import them from `tradewind.errors`. Every message says what is wrong, where, and what to do. The classes below
`TaskSignal` are no errors: a task raises them to end or to wait.
"""
COMMANDS = """\
Exit codes: 0 done, 1 failed, 2 wrong use. Colours and progress appear on a terminal only. Commands that change
something ask first; `--yes` answers. `tradewind completion bash` prints the shell's completion. With
`TRADEWIND_DEBUG=1` errors come with their traceback.
"""

EXAMPLES = """\
Each file shows one idea, and is run by the tests. `tradewind dags test NAME` runs one in this process; `./dev demo`
starts all of them and runs `seattle_weather`. `setup_teardown` fails on purpose.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table; what would end a cell is escaped."""
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return (
        "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        + "\n"
    )


def notes(kind: type) -> dict[str, str]:
    """Return the comments beside the names of a class body, and for names without one what is written here."""
    prefix = f"{kind.__name__}."
    found = {name.removeprefix(prefix): text for name, text in MEANINGS.items() if name.startswith(prefix)}
    for line in inspect.getsource(kind).splitlines():
        match = re.match(r"    (\w+)\b.*?  # (.+)$", line)
        if match:
            said = match[2].strip().replace("<", "&lt;")
            found.setdefault(match[1], said)
    return found


def text_of(thing: Any) -> str:
    """Return a docstring as Markdown: double backquotes become single ones, roles become code."""
    text = inspect.getdoc(thing) or ""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return re.sub(r"``(.+?)``", r"`\1`", text).replace("::\n", ":\n")


# ---- the pages -----------------------------------------------------------------------------------------


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [
        "# Settings\n",
        MARK + "\n",
        SETTINGS,
    ]
    for section, kind in config.sections().items():
        said = notes(kind)
        rows = [
            [
                f"`{field.name}`",
                "" if field.default is None else f"`{toml_value(field.default)}`",
                said.get(field.name, ""),
                f"`{config.ENVIRONMENT_PREFIX}{section.upper()}__{field.name.upper()}`",
            ]
            for field in msgspec.structs.fields(kind)
        ]
        parts += [
            f"## `[{section}]`\n",
            text_of(kind) + "\n",
            table(["key", "default", "", "variable"], rows),
        ]
    return "\n".join(parts)


def states_page() -> str:
    """Return the page of states, what leads from one to another, and the reasons for waiting."""
    parts = ["# States and reasons\n", MARK + "\n"]
    for title, kind, terminal in (
        ("Task instances", states.TaskState, states.TERMINAL_TASK_STATES),
        ("Runs", states.RunState, states.TERMINAL_RUN_STATES),
    ):
        parts += [
            f"## {title}\n",
            members(kind, terminal),
        ]
        drawn = mermaid_tasks() if kind is states.TaskState else mermaid_runs()
        parts += [f"```mermaid\n{drawn}```\n"]
    parts += [
        "## What happens to a task instance\n",
        "Nothing else leads from state to state: an event that is not listed for a state is refused.\n",
        events(states.TASK_TABLE, frozenset(states.TaskState)),
        "## What happens to a run\n",
        events(states.RUN_TABLE, frozenset(states.RunState)),
        "## Reasons for waiting\n",
        "What `tradewind tasks why` and `tradewind runs why` say: a `kind` from this list, and a sentence.\n",
        members(reasons.ReasonKind),
    ]
    return "\n".join(parts)


def events_page() -> str:
    """Return the page of event kinds."""
    intro = (
        "Every change is one row of the event table, written in the transaction of the change itself: the audit, what"
        " observers of plugins hear, and what wakes the scheduler. An event has an id that grows in the order of"
        " commits, an instant, the actor (`scheduler`, `cli:anna`, `task:dag/run/task` …), and names of DAG, run and"
        " task where they apply.\n"
    )
    rows = ([f"`{kind}`", meaning] for kind, meaning in EVENT_KINDS.items())
    return "\n".join(["# Events\n", MARK + "\n", intro, table(["Kind", "What happened"], rows)])


def members(kind: type[enum.StrEnum], final: frozenset[Any] | None = None) -> str:
    """Return a table of an enum's members with their comments, and whether they are final."""
    said = notes(kind)
    rows = [[f"`{one.value}`", said.get(one.name, "")] for one in kind]
    if final is None:
        return table(["name", "meaning"], rows)
    marked = [[*row, "yes" if one in final else ""] for row, one in zip(rows, kind, strict=True)]
    return table(["name", "meaning", "final"], marked)


def examples_page() -> str:
    """Return the page of the example DAGs, in the words of their docstrings."""
    rows = []
    for path in sorted((FOLDER.parents[1] / "dags").glob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        rows.append([f"`dags/{path.name}`", said.partition("\n\n")[0]])
    return "\n".join(["# Example DAGs\n", MARK + "\n", EXAMPLES, table(["file", "its idea"], rows)])


def concept_page() -> str:
    """Return the concepts page about states, its drawing made anew."""
    text = (FOLDER.parent / "concepts/states.md").read_text(encoding="utf-8")
    head, _, rest = text.partition("```mermaid\n")
    return f"{head}```mermaid\n{mermaid_tasks()}```{rest.partition('```')[2]}"


def events(listed: Mapping[Any, tuple[frozenset[Any], Any]], every: frozenset[Any]) -> str:
    """Return a table of events: from which states they lead to which."""
    rows = []
    for event, (sources, target) in listed.items():
        left_out = [f"`{one}`" for one in type(target) if one in every - sources]
        named = [f"`{one}`" for one in type(target) if one in sources]
        shown = (
            named if len(named) <= len(left_out) + 2 else ["any"] if not left_out else ["any but", *left_out]
        )
        said = notes(type(event)).get(event.name, "")
        joined = ", ".join(shown).replace("any but, ", "any but ")
        rows.append([f"`{event}`", joined, f"`{target}`", said])
    return table(["event", "from", "to", ""], rows)


def errors_page() -> str:
    """Return the page of the error tree."""
    tree = inspect.getdoc(tradewind.errors) or ""
    drawn = inspect.cleandoc(tree.partition("::\n")[2].rpartition("\n\nEvery")[0])
    rows = [
        [f"`{name}`", f"`{kind.__bases__[0].__name__}`", " ".join(text_of(kind).split())]
        for name in tradewind.errors.__all__
        for kind in [getattr(tradewind.errors, name)]
    ]
    return "\n".join(
        [
            "# Errors\n",
            MARK + "\n",
            ERRORS,
            f"```text\n{drawn}\n```\n",
            table(["name", "is a", "meaning"], rows),
        ]
    )


def operators_page() -> str:
    """Return the page of operators, sensors, and what every task and DAG takes."""
    parts = [
        "# Operators, sensors, tasks and DAGs\n",
        MARK + "\n",
        "Every operator and sensor also takes the [arguments of every task](#arguments-of-every-task).\n",
    ]
    for title, package in (("Operators", tradewind.operators), ("Sensors", tradewind.sensors)):
        parts += [f"## {title}\n", f"`from {package.__name__} import …`\n"]
        parts += [operator_part(name, getattr(package, name)) for name in package.__all__]
    parts += ["## Arguments of every task\n"]
    rows = [
        [f"`{name}`", shown_default(getattr(TaskDefaults, name, None)), OPTIONS[name]]
        for name in TaskOptions.__annotations__
    ]
    parts += [table(["name", "default", "meaning"], rows), "## Trigger rules\n", "A task may run when …\n"]
    parts += [
        table(["rule", "of its direct upstream tasks"], [[f"`{rule}`", RULES[rule]] for rule in TriggerRule])
    ]
    parts += ["## DAG\n", "`from tradewind import DAG, dag`\n", text_of(DAG) + "\n"]
    parts += [arguments_table(inspect.signature(DAG.__init__).parameters.values())]
    return "\n".join(parts)


def operator_part(name: str, kind: type) -> str:
    """Return the part of one class."""
    lines = [f"### `{name}`\n", text_of(kind) + "\n"]
    if isinstance(kind, type(Operator)) and "__init__" in vars(kind) and kind is not Operator:
        lines.append(arguments_table(inspect.signature(kind.__init__).parameters.values()))
    fields = getattr(kind, "template_fields", ())
    if fields:
        lines.append(f"Templates: {', '.join(f'`{field}`' for field in fields)}.\n")
    return "\n".join(lines)


def arguments_table(parameters: Iterable[inspect.Parameter]) -> str:
    """Return a table of a signature's own parameters; nothing when there are none."""
    named = [one for one in parameters if one.name != "self" and one.kind is not one.VAR_KEYWORD]
    rows = [
        [
            f"`{one.name}`",
            f"`{one.annotation}`",
            "required" if one.default is one.empty else shown_default(one.default),
        ]
        for one in named
    ]
    return table(["argument", "type", "default"], rows) if rows else ""


def shown_default(value: Any) -> str:
    """Return a default as it is written."""
    if isinstance(value, timedelta):
        return f"`timedelta(seconds={value.total_seconds():g})`"
    if isinstance(value, enum.Enum):
        return f'`"{value.value}"`'
    if value is None or value == ():
        return ""
    return f"`{value!r}`".replace("'", '"')


def cli_page() -> str:
    """Return the page of every command."""
    parts = [
        "# Command line\n",
        MARK + "\n",
        COMMANDS,
    ]
    parts += [command_part(command, context) for command, context in commands()]
    return "\n".join(parts)


def commands() -> list[tuple[click.Command, click.Context]]:
    """Return every command that is no group and not hidden, with its context."""
    found: list[tuple[click.Command, click.Context]] = []
    waiting: list[tuple[click.Command, click.Context]] = [(cli, click.Context(cli, info_name="tradewind"))]
    while waiting:
        command, context = waiting.pop(0)
        if not isinstance(command, click.Group):
            found.append((command, context))
            continue
        for name in reversed(command.list_commands(context)):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                waiting.insert(0, (child, click.Context(child, info_name=name, parent=context)))
    return found


def command_part(command: click.Command, context: click.Context) -> str:
    """Return the part of one command."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    lines = [
        f"## `{context.command_path}`\n",
        f"```text\n{usage}\n```\n",
        inspect.cleandoc(command.help or "") + "\n",
    ]
    rows = [[option_names(one, context), option_help(one)] for one in options]
    return "\n".join([*lines, *([table(["option", ""], rows)] if rows else [])])


def option_names(option: click.Option, context: click.Context) -> str:
    """Return an option as it is written, with its value."""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names if option.is_flag else f"{names} `{option.make_metavar(context)}`"


def option_help(option: click.Option) -> str:
    """Return an option's help, and its default where that says something."""
    said = option.help or ""
    default = option.default
    if option.required:
        return f"{said} Required."
    if option.is_flag or callable(default) or not isinstance(default, str | int | float) or default == "":
        return said
    return f"{said} Default: `{default}`."


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "states.md": states_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "operators.md": operators_page,
    "cli.md": cli_page,
    "examples.md": examples_page,
    "../concepts/states.md": concept_page,
}


def main() -> None:
    """Write every page that differs."""
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
