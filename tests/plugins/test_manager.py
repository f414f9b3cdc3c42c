"""Plugins are found, loaded whole or not at all, and one that is wrong stops no other."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tradewind.plugins import PluginManager, PluginState, Registry
from tradewind.plugins.installed import entry_point_candidates
from tradewind.plugins.local import folder_candidates

Write = Callable[[str, str], Path]
Make = Callable[..., Registry]

GOOD = """
    @hookimpl
    def tradewind_notifiers():
        return [Declared(name="mail", target="smtplib:SMTP")]
"""


def states(registry: Registry) -> dict[str, PluginState]:
    return {info.name: info.state for info in registry.plugins()}


def problems(registry: Registry, name: str) -> list[str]:
    return [problem for info in registry.plugins() if info.name == name for problem in info.problems]


def test_files_and_packages_of_the_folder_are_plugins(plugin: Write, folder: Path, registry: Make) -> None:
    plugin("mail", GOOD)
    (folder / "sms").mkdir()
    (folder / "sms" / "__init__.py").write_text(
        "from tradewind.hookspecs import hookimpl, Declared\nfrom tradewind_plugin_sms.inner import NAME\n"
        "@hookimpl\ndef tradewind_notifiers():\n    return [Declared(name=NAME, target='sms:Sender')]\n"
    )
    (folder / "sms" / "inner.py").write_text("NAME = 'sms'\n")
    (folder / "_parts.py").write_text("1 / 0\n")
    (folder / "notes.txt").write_text("not Python")
    (folder / "data").mkdir()
    found = registry()
    assert states(found) == {
        "tradewind": PluginState.LOADED,
        "mail": PluginState.LOADED,
        "sms": PluginState.LOADED,
    }
    assert [declared.name for declared in found.notifiers()] == ["mail", "sms"]


def test_no_folder_is_no_plugin(tmp_path: Path) -> None:
    assert folder_candidates(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def (:", ["importing it failed: SyntaxError", "broken.py, line 3"]),
        ("1 / 0", ["importing it failed: ZeroDivisionError: division by zero"]),
        ("raise SystemExit(3)", ["it tried to end the program while it was imported"]),
        ("def tradewind_notifiers(): return []", ["it has no function marked @hookimpl"]),
        (
            "@hookimpl\ndef tradewind_notifier(): return []",
            ["tradewind_notifier() (line 3) is marked @hookimpl", 'Did you mean "tradewind_notifiers"?'],
        ),
        ("@hookimpl\ndef zzz(): return []", ["there is no such hook. There are: tradewind_operators, "]),
        (
            "@hookimpl\ndef task_policy(spek): ...",
            [
                'task_policy() (line 3) takes "spek"',
                "the hook offers (spec, dag)",
                'Did you mean "spec"?',
            ],
        ),
        ("@hookimpl\ndef on_events(*events): ...", ["takes *events; name the parameters you need"]),
        ("@hookimpl\ndef on_events(*, events): ...", ['takes "events" by keyword only']),
        ("@hookimpl\nasync def on_events(events): ...", ["is a coroutine or a generator"]),
        ("@hookimpl(wrapper=True)\ndef on_events(events): yield", ["is a wrapper"]),
    ],
)
def test_a_wrong_plugin_is_shown_and_stops_no_other(
    text: str, said: list[str], folder: Path, plugin: Write, registry: Make
) -> None:
    plugin("mail", GOOD)
    (folder / "broken.py").write_text(f"from tradewind.hookspecs import hookimpl\n\n{text}\n")
    found = registry()
    assert states(found) == {
        "tradewind": PluginState.LOADED,
        "broken": PluginState.BROKEN,
        "mail": PluginState.LOADED,
    }
    (problem,) = problems(found, "broken")
    assert [part for part in said if part not in problem] == []
    assert found.manager.implementations("on_events") == []


def test_a_disabled_plugin_is_not_even_imported(plugin: Write, registry: Make) -> None:
    plugin("mail", "raise AssertionError('imported')")
    assert states(registry(disabled=("mail",)))["mail"] is PluginState.DISABLED


def test_nothing_is_imported_before_a_question_needs_it(plugin: Write, registry: Make) -> None:
    plugin("mail", "raise AssertionError('imported')")
    found = registry()
    assert found.find("tradewind_log_stores", "file").plugin == "tradewind"
    assert [info.name for info in found.manager.plugins()] == ["tradewind"]
    found.catalogue()
    assert [info.name for info in found.manager.plugins()] == ["tradewind", "mail"]


def test_two_plugins_of_one_name_are_told_apart_by_an_error_that_names_both(
    plugin: Write, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    text = plugin("mail", GOOD).read_text()
    (other / "mail.py").write_text(text)
    manager = PluginManager()
    manager.load([*folder_candidates(folder), *folder_candidates(other)])
    first, second = manager.plugins()
    assert (first.state, first.problems) == (PluginState.LOADED, ())
    assert second.state is PluginState.BROKEN
    assert second.problems == (
        f'the name "mail" is taken by {folder / "mail.py"}; rename one of the two ({other / "mail.py"} is not loaded)',
    )


def test_entry_points_are_candidates_that_are_imported_on_loading() -> None:
    points = [
        EntryPoint(name="json", value="json", group="tradewind"),
        EntryPoint(name="ours", value="tradewind.plugins.builtin", group="tradewind"),
        EntryPoint(name="gone", value="no_such_module_here", group="tradewind"),
        EntryPoint(name="ours", value="tradewind.plugins.builtin", group="tradewind"),
        EntryPoint(name="value", value="json:dumps", group="tradewind"),
    ]
    manager = PluginManager()
    manager.load(entry_point_candidates(points))
    assert {info.name: (info.state, info.place) for info in manager.plugins()} == {
        "gone": (PluginState.BROKEN, "no_such_module_here"),
        "json": (PluginState.BROKEN, "json"),
        "ours": (PluginState.LOADED, "tradewind.plugins.builtin"),
        "value": (PluginState.BROKEN, "json:dumps"),
    }
    assert ["is no module" in problem for info in manager.plugins() for problem in info.problems] == [
        False,
        False,
        True,
    ]
