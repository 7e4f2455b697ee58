r"""Relabelling, as Prometheus does it (docs/configuration, relabel_config; model/relabel of 3.x).

    labels    a dict of name to value; a label with an empty value is one that is not there
    rules     tried in order; keep, drop, keepequal and dropequal end it where they drop
    regex     RE2, anchored at both ends, `.` matches line breaks too

All actions: replace keep drop keepequal dropequal hashmod labelmap labeldrop labelkeep lowercase
uppercase. Errors of a rule are Prometheus's sentences, as ValueError.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from trilens.query.promql.literals import quote
from trilens.query.promql.regex import Regex, compile_regex
from trilens.scrape.names import is_label_name, is_label_template

Labels = dict[str, str]

DEFAULT_REGEX: Final = "(.*)"
DEFAULT_REPLACEMENT: Final = "$1"
DEFAULT_SEPARATOR: Final = ";"
_EQUAL: Final = ("keepequal", "dropequal")
_CASES: Final = ("lowercase", "uppercase")
_BY_NAME: Final = ("labeldrop", "labelkeep")
ACTIONS: Final = (
    "replace", "keep", "drop", *_EQUAL, "hashmod", "labelmap", *_BY_NAME, *_CASES,
)  # fmt: skip
_WITH_TARGET: Final = ("replace", "hashmod", *_EQUAL, *_CASES)


@dataclass(frozen=True, slots=True)
class Rule:
    """One relabel_config. `source_labels` is None where the file does not name any."""

    action: str = "replace"
    source_labels: tuple[str, ...] | None = None
    separator: str = DEFAULT_SEPARATOR
    regex: str = DEFAULT_REGEX
    modulus: int = 0
    target_label: str = ""
    replacement: str = DEFAULT_REPLACEMENT
    legacy_names: bool = False
    compiled: Regex = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", compile_regex(self.regex))
        self._check_target()
        self._check_rest()

    def _check_target(self) -> None:
        if self.action == "hashmod" and self.modulus == 0:
            raise ValueError("relabel configuration for hashmod requires non-zero modulus")
        if self.action not in _WITH_TARGET:
            return
        if not self.target_label:
            raise ValueError(
                f"relabel configuration for {self.action} action requires 'target_label' value"
            )
        is_template = self.action == "replace" and "$" in self.target_label
        is_valid = is_label_template if is_template else is_label_name
        if not is_valid(self.target_label, legacy=self.legacy_names):
            raise ValueError(
                f"{quote(self.target_label)} is invalid 'target_label' for {self.action} action"
            )

    def _check_rest(self) -> None:
        has_replacement = self.replacement != DEFAULT_REPLACEMENT
        if self.action in _CASES and has_replacement:
            raise ValueError(f"'replacement' can not be set for {self.action} action")
        if self.action == "labelmap" and not is_label_template(
            self.replacement, legacy=self.legacy_names
        ):
            raise ValueError(
                f"{quote(self.replacement)} is invalid 'replacement' for {self.action} action"
            )
        is_changed = self.modulus != 0 or self.separator != DEFAULT_SEPARATOR or has_replacement
        if self.action in _EQUAL and (is_changed or self.regex != DEFAULT_REGEX):
            raise ValueError(
                f"{self.action} action requires only 'source_labels' and `target_label`, "
                "and no other fields"
            )
        if self.action in _BY_NAME and (
            is_changed or self.source_labels is not None or self.target_label
        ):
            raise ValueError(f"{self.action} action requires only 'regex', and no other fields")

    def apply(self, labels: _Changing) -> bool:
        """Change `labels`; whether they are kept."""
        return _APPLY[self.action](self, labels, self._value(labels))

    def _value(self, labels: Mapping[str, str]) -> str:
        return self.separator.join([labels.get(name, "") for name in self.source_labels or ()])


class _Changing(dict[str, str]):
    """Labels in the order in which labelmap sees them, where the last of several that become one
    holds: by name those that no rule has set, then the others as they were set first.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        super().__init__(sorted(pair for pair in labels.items() if pair[1]))
        self._untouched = set(self)

    def set(self, name: str, value: str) -> None:
        if name in self._untouched:
            self._untouched.discard(name)
            self.pop(name, None)
        if value:
            self[name] = value
        else:
            self.pop(name, None)


def relabel(rules: Iterable[Rule], labels: Mapping[str, str]) -> Labels | None:
    """None where a rule drops them."""
    changed = _Changing(labels)
    return changed if all(rule.apply(changed) for rule in rules) else None


@dataclass(frozen=True, slots=True)
class Step:
    """What one rule has made of the labels; None where it, or one before it, dropped them."""

    rule: Rule
    labels: Labels | None


def steps(rules: Iterable[Rule], labels: Mapping[str, str]) -> list[Step]:
    """As relabel(), with everything in between: one for each rule."""
    changed = _Changing(labels)
    found: list[Step] = []
    is_kept = True
    for rule in rules:
        is_kept = is_kept and rule.apply(changed)
        found.append(Step(rule, dict(changed) if is_kept else None))
    return found


def _replace(rule: Rule, labels: _Changing, value: str) -> bool:
    groups = rule.compiled.match(value)
    if groups is None:
        return True
    target = rule.target_label
    if "$" in target:
        target = rule.compiled.expand(target, groups)
        if not is_label_name(target, legacy=rule.legacy_names):
            return True
    labels.set(target, rule.compiled.expand(rule.replacement, groups))
    return True


def _keep(rule: Rule, _labels: _Changing, value: str) -> bool:
    return rule.compiled.match(value) is not None


def _drop(rule: Rule, _labels: _Changing, value: str) -> bool:
    return rule.compiled.match(value) is None


def _keepequal(rule: Rule, labels: _Changing, value: str) -> bool:
    return labels.get(rule.target_label, "") == value


def _dropequal(rule: Rule, labels: _Changing, value: str) -> bool:
    return labels.get(rule.target_label, "") != value


def _hashmod(rule: Rule, labels: _Changing, value: str) -> bool:
    digest = hashlib.md5(value.encode(), usedforsecurity=False).digest()
    labels.set(rule.target_label, str(int.from_bytes(digest[8:], "big") % rule.modulus))
    return True


def _lowercase(rule: Rule, labels: _Changing, value: str) -> bool:
    labels.set(rule.target_label, "".join(character.lower()[0] for character in value))
    return True


def _uppercase(rule: Rule, labels: _Changing, value: str) -> bool:
    labels.set(rule.target_label, "".join(map(_upper, value)))
    return True


def _upper(character: str) -> str:
    """Of one character one: what becomes two stays."""
    upper = character.upper()
    return upper if len(upper) == 1 else character


def _labelmap(rule: Rule, labels: _Changing, _value: str) -> bool:
    for name, value in list(labels.items()):
        groups = rule.compiled.match(name)
        if groups is not None:
            labels.set(rule.compiled.expand(rule.replacement, groups), value)
    return True


def _labeldrop(rule: Rule, labels: _Changing, _value: str) -> bool:
    for name in [name for name in labels if rule.compiled.match(name) is not None]:
        del labels[name]
    return True


def _labelkeep(rule: Rule, labels: _Changing, _value: str) -> bool:
    for name in [name for name in labels if rule.compiled.match(name) is None]:
        del labels[name]
    return True


_APPLY: Final[Mapping[str, Callable[[Rule, _Changing, str], bool]]] = {
    "replace": _replace,
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keepequal,
    "dropequal": _dropequal,
    "hashmod": _hashmod,
    "lowercase": _lowercase,
    "uppercase": _uppercase,
    "labelmap": _labelmap,
    "labeldrop": _labeldrop,
    "labelkeep": _labelkeep,
}
