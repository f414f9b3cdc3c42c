"""The budgets of an installation are checked by a script that can say no."""

from tests.packaging import installed


def test_an_installation_within_its_budgets_has_no_failures() -> None:
    assert installed.failures(["tradewind"] * 30, 60.0) == []


def test_each_budget_that_is_exceeded_is_named() -> None:
    names = [f"package-{number:02}" for number in range(31)]
    assert installed.failures(names, 60.04) == [
        f"31 distributions, over the limit of 30: {', '.join(names)}",
        "60.0 MB, over the limit of 60",
    ]


def test_the_distributions_around_this_interpreter_are_found_without_the_installer() -> None:
    names = installed.distributions()
    assert {"tradewind", "SQLAlchemy", "pytest"} <= set(names)
    assert "pip" not in names


def test_bytecode_is_counted_apart() -> None:
    unpacked, with_bytecode = installed.megabytes()
    assert 10 < unpacked <= with_bytecode
