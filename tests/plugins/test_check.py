"""`plugins check` tries a plugin as the program would; `plugins trace` shows every call."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tradewind.errors import NotFoundError
from tradewind.plugins import Registry
from tradewind.plugins.check import check, trace
from tradewind.plugins.local import folder_candidates

Write = Callable[[str, str], Path]
Make = Callable[..., Registry]

MAIL = """
    class Mail:
        pass

    NUMBER = 3

    @hookimpl
    def tradewind_notifiers():
        return [Declared(name="mail", target=f"{__name__}:Mail")]
"""


def test_a_good_plugin_passes_with_what_it_offers(plugin: Write) -> None:
    file = plugin("mail", MAIL)
    report = check(str(file))
    assert (report.ok, report.plugin, report.place) == (True, "mail", str(file))
    assert (report.hooks, report.declared) == (("tradewind_notifiers",), ("notifier mail",))
    assert [(call.hook, call.error) for call in report.calls] == [
        ("import", None),
        ("tradewind_notifiers", None),
    ]


def test_a_plugin_is_found_by_its_name_too(plugin: Write, folder: Path) -> None:
    plugin("mail", MAIL)
    assert check("mail", folder_candidates(folder)).declared == ("notifier mail",)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "Nothing",
            'the notifier "mail" names "tradewind_plugin_mail:Nothing", but tradewind_plugin_mail has no',
        ),
        (
            "NUMBER",
            'the notifier "mail" names tradewind_plugin_mail:NUMBER, which is a int and cannot be called',
        ),
    ],
)
def test_a_target_that_is_wrong_is_found(target: str, said: str, plugin: Write) -> None:
    report = check(str(plugin("mail", MAIL.replace(":Mail", f":{target}"))))
    assert report.ok is False
    assert [problem[: len(said)] for problem in report.problems] == [said]


def test_a_plugin_that_cannot_be_loaded_says_why(plugin: Write) -> None:
    report = check(str(plugin("mail", "1 / 0")))
    assert (report.hooks, report.problems) == (
        (),
        ("importing it failed: ZeroDivisionError: division by zero",),
    )


@pytest.mark.parametrize("target", ["nothing.py", "some/where", "no_such_plugin_here"])
def test_what_is_not_there_is_not_found(target: str) -> None:
    with pytest.raises(NotFoundError, match=f'There is no plugin (at {target}|"{target}")'):
        check(target)


def test_a_trace_has_every_call(plugin: Write, registry: Make) -> None:
    plugin("mail", MAIL)
    calls = [(call.plugin, call.hook) for call in trace(registry())]
    assert [call for call in calls if call[0] == "mail"] == [
        ("mail", "import"),
        ("mail", "tradewind_notifiers"),
    ]
    assert ("tradewind", "tradewind_operators") in calls
