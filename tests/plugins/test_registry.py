"""What plugins declare is collected once, names are unique, and mistakes stay with the plugin that made them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tradewind.domain.timetable import CustomSpec, from_spec
from tradewind.errors import PluginError, ScheduleError
from tradewind.plugins import Registry

Write = Callable[[str, str], Path]
Make = Callable[..., Registry]


def problems(registry: Registry) -> dict[str, tuple[str, ...]]:
    return {info.name: info.problems for info in registry.plugins() if info.problems}


def test_a_name_that_two_plugins_declare_is_nobodys(plugin: Write, registry: Make) -> None:
    for name in ("one", "two"):
        plugin(
            name,
            """
            @hookimpl
            def tradewind_executors():
                return [Declared(name="cloud", target="cloud:Executor"), Declared(name=__name__, target="a:b")]
            """,
        )
    found = registry()
    with pytest.raises(PluginError, match='The executor "cloud" is declared by two plugins: one and two'):
        found.executor_factory("cloud")
    assert found.declarations("tradewind_executors").names() == [
        "local",
        "tradewind_plugin_one",
        "tradewind_plugin_two",
    ]
    assert problems(found) == {
        "one": ('the executor "cloud" is declared by one and two',),
        "two": ('the executor "cloud" is declared by one and two',),
    }


def test_a_built_in_name_stays_ours(plugin: Write, registry: Make) -> None:
    plugin(
        "greedy",
        "@hookimpl\ndef tradewind_log_stores(): return [Declared(name='file', target='greedy:Store')]",
    )
    found = registry()
    assert found.declarations("tradewind_log_stores").get("file").plugin == "tradewind"
    assert problems(found) == {
        "greedy": ('its log store "file" is left out: the built-in one has that name',)
    }


def test_an_unknown_name_is_an_error_that_names_what_there_is(registry: Make) -> None:
    with pytest.raises(PluginError, match=r'No plugin offers the executor "cloud". There are: local\.'):
        registry().executor_factory("cloud")


def test_a_target_that_is_not_there_is_an_error_of_the_plugin(plugin: Write, registry: Make) -> None:
    plugin(
        "late",
        """
        @hookimpl
        def tradewind_timetables():
            return [
                Declared(name="gone", target="no_such_module_here:make"),
                Declared(name="none", target="json:nothing"),
            ]
        """,
    )
    found = registry()
    with pytest.raises(
        PluginError, match='The timetable "gone" of plugin "late" needs "no_such_module_here:make"'
    ):
        found.timetable("gone")
    with pytest.raises(PluginError, match='names "json:nothing", but json has no "nothing"'):
        found.timetable("none")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("None", None),
        ("()", None),
        ("'mail'", "tradewind_notifiers() returned a str; it returns a list of Declared"),
        ("['mail']", "tradewind_notifiers(): an item is a str; each is a Declared"),
        ("[Declared(name=' ', target='a:b')]", "tradewind_notifiers(): an item has no name"),
        (
            "[Declared(name='mail', target='smtplib.SMTP')]",
            (
                "tradewind_notifiers(): \"mail\" has the target 'smtplib.SMTP'; write an import string"
                ' "package.module:name"'
            ),
        ),
        ("1 / 0", "tradewind_notifiers: ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_declared_is_checked(returned: str, said: str | None, plugin: Write, registry: Make) -> None:
    plugin("mail", f"@hookimpl\ndef tradewind_notifiers(): return {returned}")
    found = registry()
    assert found.notifiers() == []
    assert problems(found) == ({"mail": (said,)} if said else {})


def test_a_view_without_a_permission_is_refused(plugin: Write, registry: Make) -> None:
    plugin(
        "page",
        """
        @hookimpl
        def tradewind_ui_views():
            return [UiView(name="costs", target="costs:blueprint", title="Costs", path="/costs", permission="")]
        """,
    )
    found = registry()
    assert found.ui_views() == []
    (problem,) = problems(found)["page"]
    assert 'the view "costs" names no permission' in problem


def test_the_catalogue_has_the_cores_operators(registry: Make) -> None:
    kinds = {declared.name: declared.kind for declared in registry().catalogue()}
    assert {name: kinds[name] for name in ("BashOperator", "PythonOperator", "PythonSensor")} == {
        "BashOperator": "action",
        "PythonOperator": "action",
        "PythonSensor": "sensor",
    }


def test_timetables_of_plugins_are_a_mapping_for_the_domain(plugin: Write, registry: Make) -> None:
    plugin(
        "calendar",
        """
        from datetime import timedelta
        from tradewind.domain.timetable import Delta

        def every(hours):
            return Delta(timedelta(hours=hours))

        @hookimpl
        def tradewind_timetables():
            return [Declared(name="every", target=f"{__name__}:every")]
        """,
    )
    timetables = registry().timetables()
    assert (list(timetables), len(timetables), "every" in timetables) == (["every"], 1, True)
    made = from_spec(CustomSpec("every", {"hours": 3}), timetables)
    assert made is not None
    assert made.describe() == "every 3 hours"
    with pytest.raises(ScheduleError, match=r'No plugin offers the timetable "never"\. Known: every\.'):
        from_spec(CustomSpec("never"), timetables)
