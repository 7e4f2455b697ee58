"""What a benchmark hands back, as a line of JSON and as a row of the table at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["more", "less"]
Details = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `peer_value` was measured in the same run unless `is_published`.

    `goal` is what was set out for; without one a figure is only told.
    """

    what: str
    value: float
    unit: str
    better: Better
    goal: float | None = None
    peer: str = ""
    peer_value: float | None = None
    is_published: bool = False
    details: Details = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer: above 1 is better."""
        if not self.peer_value or not self.value:
            return None
        of_peer = self.value / self.peer_value
        return of_peer if self.better == "more" else 1 / of_peer

    @property
    def is_met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.better == "more" else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        ratio = self.ratio
        return {
            "what": self.what,
            "value": _rounded(self.value),
            "unit": self.unit,
            "better": self.better,
            "goal": self.goal,
            "met": self.is_met,
            "peer": self.peer,
            "peer_value": None if self.peer_value is None else _rounded(self.peer_value),
            "peer_is_published": self.is_published,
            "ratio": None if ratio is None else _rounded(ratio),
            "details": self.details,
        }


def table(rows: list[tuple[str, Figure]]) -> str:
    """Columns of equal width; `!` before what misses its goal."""
    head = ("", "benchmark", "what", "measured", "goal", "peer", "ratio")
    cells = [head, *(_cells(name, figure) for name, figure in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _cells(name: str, figure: Figure) -> tuple[str, ...]:
    bound = ">=" if figure.better == "more" else "<="
    peer = ""
    if figure.peer:
        said = "published" if figure.is_published else "same run"
        peer = f"{figure.peer} {_text(figure.peer_value or 0)} ({said})"
    return (
        "!" if figure.is_met is False else "",
        name,
        figure.what,
        f"{_text(figure.value)} {figure.unit}",
        "" if figure.goal is None else f"{bound} {_text(figure.goal)}",
        peer,
        "" if figure.ratio is None else f"{figure.ratio:.2f}x",
    )


def _text(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{_rounded(number):g}"


def _rounded(number: float) -> float:
    return float(f"{number:.4g}") if abs(number) < 10_000 else round(number)
