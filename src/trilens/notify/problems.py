"""What is wrong with a configuration file: every fault with its line, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """`line` counts from 1. `text` is lower case and says what would be right."""

    line: int
    text: str


class ConfigRefused(Exception):
    """A file that is not taken over. Its text has one `file:line: fault` a line."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = sorted(set(problems), key=lambda one: (one.line, one.text))
        super().__init__("\n".join(f"{file}:{one.line}: {one.text}" for one in self.problems))


def nearest(name: str, known: list[str]) -> str:
    """`; do you mean "x"?`, or nothing where no known name is near."""
    found = get_close_matches(name, known, 1)
    return f'; do you mean "{found[0]}"?' if found else ""
