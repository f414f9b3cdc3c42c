"""Decisions, changelog and README keep the form that readers and releases rely on."""

import re

from tests.tidy.source import ROOT

DECISIONS = ROOT / "docs/decisions"


def decision_names() -> list[str]:
    return sorted(path.name for path in DECISIONS.glob("*.md") if path.name != "index.md")


def test_every_decision_is_listed_once_in_the_index() -> None:
    index = (DECISIONS / "index.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index)) == decision_names()


def test_decisions_are_numbered_from_one_without_gaps() -> None:
    numbers = [int(name[:4]) for name in decision_names()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_decision_fits_one_page_and_has_its_four_parts() -> None:
    for name in decision_names():
        text = (DECISIONS / name).read_text(encoding="utf-8")
        assert text.startswith(f"# {int(name[:4])}. "), name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], name
        assert re.search(r"^Status: (proposed|accepted|replaced by \d{4})", text, re.MULTILINE), name
        assert len(text.splitlines()) <= 60, name


def test_the_changelog_is_open_for_the_next_change() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"


def test_the_readme_shows_the_two_commands() -> None:
    commands = re.findall(r"^\./dev .*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [" ".join(command.split()[:2]) for command in commands] == ["./dev demo", "./dev test"]


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")]
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert broken == []
