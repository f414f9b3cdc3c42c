"""Every hook is documented with its exact signature, and pluggy sees the same hooks as we do."""

import inspect

import pluggy

from tests.plugins.hooks_reference import PAGE, page, shown
from tradewind import hookspecs
from tradewind.plugins.declarations import KINDS
from tradewind.plugins.signatures import hooks


def test_the_reference_is_what_the_specifications_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.plugins.hooks_reference"


def test_every_hook_has_its_heading_with_signature() -> None:
    headings = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("### `")]
    assert headings == [f"### `{shown(name, signature)}`" for name, signature in hooks().items()]


def test_pluggy_knows_the_same_hooks() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    assert sorted(name for name in vars(manager.hook) if not name.startswith("_")) == sorted(hooks())


def test_each_declaring_hook_is_collected_as_the_kind_it_returns() -> None:
    returned = {
        name: str(signature.return_annotation)
        for name, signature in hooks().items()
        if name.startswith("tradewind_")
    }
    assert returned == {name: f"Sequence[{kind.__name__}]" for name, kind in KINDS.items()}


def test_every_hook_says_what_it_is_for() -> None:
    assert [name for name in hooks() if not (inspect.getdoc(getattr(hookspecs, name)) or "").strip()] == []
