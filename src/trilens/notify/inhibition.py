"""Inhibition: while a source alert fires, target alerts that equal it in some labels are quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trilens.config_files.section import Section
from trilens.notify.alerts import Alert
from trilens.notify.labels import is_label_name
from trilens.notify.matchers import Matcher, matches_all
from trilens.notify.routes import read_matchers


@dataclass(frozen=True, slots=True)
class InhibitRule:
    name: str
    sources: tuple[Matcher, ...]
    targets: tuple[Matcher, ...]
    equal: tuple[str, ...]


def read_inhibit_rule(section: Section) -> InhibitRule:
    sources = _side(section, "source")
    targets = _side(section, "target")
    equal = tuple(section.texts("equal"))
    for name in equal:
        if not is_label_name(name):
            section.problem("equal", f'invalid label name "{name}" in equal')
    rule = InhibitRule(section.text("name"), sources, targets, equal)
    section.end()
    return rule


def _side(section: Section, side: str) -> tuple[Matcher, ...]:
    return read_matchers(section, f"{side}_match", f"{side}_match_re", f"{side}_matchers")


class Inhibitor:
    """Knows of each rule which alerts are its sources, by the labels that must be equal.

    Not safe for several threads at once: the caller holds a lock.
    """

    def __init__(self, rules: tuple[InhibitRule, ...]) -> None:
        self._rules = rules
        self._sources: list[dict[tuple[str, ...], dict[str, Alert]]] = [{} for _ in rules]

    def put(self, alert: Alert) -> None:
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if matches_all(rule.sources, alert.labels):
                key = _key(rule, alert.labels)
                sources.setdefault(key, {})[alert.fingerprint] = alert

    def forget(self, alert: Alert) -> None:
        for rule, sources in zip(self._rules, self._sources, strict=True):
            key = _key(rule, alert.labels)
            sources.get(key, {}).pop(alert.fingerprint, None)
            if not sources.get(key, True):
                del sources[key]

    def inhibitors(self, labels: Mapping[str, str], now_ns: int) -> tuple[str, ...]:
        """Fingerprints of alerts that keep an alert with `labels` quiet; one for the first rule."""
        found = self.source_of(labels, now_ns)
        return () if found is None else (found[1].fingerprint,)

    def source_of(self, labels: Mapping[str, str], now_ns: int) -> tuple[InhibitRule, Alert] | None:
        """The first rule that keeps an alert with `labels` quiet, and by which alert."""
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if not matches_all(rule.targets, labels):
                continue
            is_source_too = matches_all(rule.sources, labels)
            for source in sources.get(_key(rule, labels), {}).values():
                if source.is_resolved(now_ns):
                    continue
                # What is source and target at the same time does not inhibit its like, or itself.
                if is_source_too and matches_all(rule.targets, source.labels):
                    continue
                return rule, source
        return None


def _key(rule: InhibitRule, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in rule.equal)
