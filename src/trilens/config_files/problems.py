"""What is wrong with a configuration file: every fault with its place, all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from trilens.errors import TrilensError

PROBLEMS_MAX: Final = 100  # of one file


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """In a file, both from 1."""

    line: int
    column: int


START: Final = Place(1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """`str(problem)` is `file:line:column: what is wrong`."""

    file: str
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.place.line}:{self.place.column}: {self.message}"


class FileRefused(TrilensError):
    """Files that are not taken, with all that is wrong with them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one file."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, place: Place, message: str) -> None:
        if len(self.found) < PROBLEMS_MAX:
            self.found.append(Problem(self.file, place, message))

    def raise_any(self) -> None:
        """Raises FileRefused if there are problems, in the order of their places."""
        if self.found:
            raise FileRefused(sorted(set(self.found)))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; do you mean "x"?`, or nothing where no known name is near."""
    found = get_close_matches(name, sorted(known), 1)
    return f'; do you mean "{found[0]}"?' if found else ""
