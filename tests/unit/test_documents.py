"""Documents that can be checked are."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_decision_records_have_numbers_of_their_own():
    """Two records under one number cannot be told apart in a reference."""
    numbers = Counter(path.name[:4] for path in (ROOT / "docs/adr").glob("*.md"))
    assert numbers
    assert set(numbers.values()) == {1}


def test_links_inside_the_repository_lead_somewhere():
    """A reader who follows a link finds a file."""
    broken = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]
    assert not broken


def test_files_named_in_the_life_of_a_decision_exist():
    """The tour names files by their path below backend/."""
    text = (ROOT / "docs/life-of-a-decision.md").read_text(encoding="utf-8")
    named = {name.removeprefix("backend/") for name in re.findall(r"`([a-z_/]+\.py)`", text)}
    assert named
    missing = [name for name in sorted(named) if not (ROOT / "backend" / name).exists()]
    assert not missing
