"""What can be wrong with a template, in the words of Go's text/template."""

from __future__ import annotations

from typing import Final

CHARACTERS_MAX: Final = 4_000_000  # of what is written, and of every text on the way there


class TemplateError(Exception):
    """`str(error)` is Go's text: `template: name:1:5: executing ... at <.x>: ...`.

    `is_too_large`: with less data the template may come to its end.
    """

    def __init__(self, text: str, *, is_too_large: bool = False) -> None:
        super().__init__(text)
        self.is_too_large = is_too_large


class FunctionError(Exception):
    """What a function of a template says when it cannot answer."""


class TooLarge(FunctionError):
    """A limit of ours is reached."""


def place_of(text: str, position: int) -> tuple[int, int]:
    """Line from 1 and bytes since its beginning, as Go counts columns."""
    before = text[:position]
    start = before.rfind("\n") + 1
    return before.count("\n") + 1, len(before[start:].encode("utf-8", "replace"))
