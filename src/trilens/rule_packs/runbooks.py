"""Pages for those who are paged: one an alert, in Markdown, named as the alert is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

_DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Runbook:
    """`title` is the page's first sentence; `text` the page, Markdown."""

    name: str
    pack: str
    title: str
    text: str


@cache
def runbooks() -> dict[str, Runbook]:
    """All pages by name, in the order of names. Raises OSError where they cannot be read."""
    paths = sorted(_DIRECTORY.glob("*/runbooks/*.md"), key=lambda path: path.stem)
    return {path.stem: _page(path) for path in paths}


def _page(path: Path) -> Runbook:
    text = path.read_text(encoding="utf-8")
    # The heading is the alert's name; what it means follows it.
    paragraph = text.split("\n\n", 2)[1]
    sentence = " ".join(paragraph.split()).partition(". ")[0].rstrip(".") + "."
    return Runbook(path.stem, path.parent.parent.name, sentence, text)
