"""The tree of routes: who hears of an alert, in which groups, how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trilens.config_files.problems import Place
from trilens.config_files.section import Section
from trilens.notify.durations import HOUR_NS, MINUTE_NS, SECOND_NS
from trilens.notify.labels import is_label_name
from trilens.notify.matchers import Matcher, MatcherFault, matches_all, parse_matchers
from trilens.query.promql.literals import is_plain_label

GROUP_WAIT_NS: Final = 30 * SECOND_NS
GROUP_INTERVAL_NS: Final = 5 * MINUTE_NS
REPEAT_INTERVAL_NS: Final = 4 * HOUR_NS
DEPTH_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class Route:
    """`key` is as Alertmanager's, `index` its place in the tree; None in group_by is `...`."""

    key: str
    index: str
    receiver: str
    matchers: tuple[Matcher, ...]
    group_by: tuple[str, ...] | None
    group_wait_ns: int
    group_interval_ns: int
    repeat_interval_ns: int
    does_continue: bool
    mute_times: tuple[str, ...]
    active_times: tuple[str, ...]
    labels: dict[str, str]
    routes: tuple[Route, ...] = field(default=(), repr=False)

    def match(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that take an alert: the deepest, first ones first."""
        if not matches_all(self.matchers, labels):
            return []
        found: list[Route] = []
        for route in self.routes:
            below = route.match(labels)
            found += below
            if below and not route.does_continue:
                break
        return found or [self]

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        if self.group_by is None:
            return dict(labels)
        return {name: labels[name] for name in self.group_by if name in labels}

    def walk(self) -> Iterator[Route]:
        yield self
        for route in self.routes:
            yield from route.walk()


def read_routes(section: Section) -> tuple[Route, list[tuple[Place, str, str]]]:
    """The root, and the names that it uses: (place, kind, name); kind is receiver or interval."""
    reader = _Reader()
    root = reader.route(section, None, "", 0)
    return root, reader.used


class _Reader:
    def __init__(self) -> None:
        self.used: list[tuple[Place, str, str]] = []

    def route(self, section: Section, parent: Route | None, index: str, depth: int) -> Route:
        matchers = read_matchers(section, "match", "match_re", "matchers")
        if parent is None:
            self._check_root(section, matchers)
        key = "{" + ",".join(map(str, matchers)) + "}"
        route = Route(
            key=key if parent is None else f"{parent.key}/{key}",
            index=key if parent is None else f"{parent.index}/{key}/{index}",
            receiver=section.text("receiver") or (parent.receiver if parent else ""),
            matchers=matchers,
            group_by=_group_by(section, () if parent is None else parent.group_by),
            group_wait_ns=self._length(section, "group_wait", parent, GROUP_WAIT_NS),
            group_interval_ns=self._length(section, "group_interval", parent, GROUP_INTERVAL_NS),
            repeat_interval_ns=self._length(section, "repeat_interval", parent, REPEAT_INTERVAL_NS),
            does_continue=section.boolean("continue", default=False),
            mute_times=self._intervals(section, "mute_time_intervals"),
            active_times=self._intervals(section, "active_time_intervals"),
            labels=(parent.labels if parent else {}) | _labels(section),
        )
        if "receiver" in section:
            self.used.append((section.place_of("receiver"), "receiver", route.receiver))
        children = list(section.sections("routes", "a route", "a route is null"))
        section.end()
        if depth >= DEPTH_MAX and children:
            section.fault(f"routes are nested deeper than {DEPTH_MAX}")
            return route
        below = tuple(
            self.route(child, route, str(number), depth + 1)
            for number, child in enumerate(children)
        )
        return _with_routes(route, below)

    def _check_root(self, section: Section, matchers: tuple[Matcher, ...]) -> None:
        if "receiver" not in section:
            section.fault("root route must specify a default receiver")
        if matchers:
            section.fault("root route must not have any matchers")
        if section.boolean("continue", default=False):
            section.problem("continue", "root route cannot continue")
        for name in ("mute_time_intervals", "active_time_intervals"):
            if section.texts(name):
                section.problem(name, f"root route must not have any {name.replace('_', ' ')}")

    def _intervals(self, section: Section, name: str) -> tuple[str, ...]:
        names = section.texts(name)
        self.used += [(section.place_of(name), "interval", one) for one in names]
        return names

    def _length(self, section: Section, name: str, parent: Route | None, default: int) -> int:
        inherited = default if parent is None else int(getattr(parent, f"{name}_ns"))
        found = section.duration_ms(name, inherited // 1_000_000) * 1_000_000
        if found == 0 and name != "group_wait":
            section.problem(name, f"{name} cannot be zero")
        return found


def _with_routes(route: Route, below: tuple[Route, ...]) -> Route:
    values = {name: getattr(route, name) for name in Route.__dataclass_fields__}
    return Route(**(values | {"routes": below}))


def _labels(section: Section) -> dict[str, str]:
    labels = section.text_map("labels")
    for name in labels:
        if not is_label_name(name):
            section.problem("labels", f'invalid label name "{name}" in route labels')
    return labels


def _group_by(section: Section, inherited: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if section.node("group_by") is None:
        return inherited
    names = section.texts("group_by")
    if "..." in names:
        if len(names) > 1:
            section.problem(
                "group_by", "group_by cannot have `...` and other labels at the same time"
            )
        return None
    for name in names:
        if not is_label_name(name):
            section.problem("group_by", f'invalid label name "{name}" in group_by')
        if names.count(name) > 1:
            section.problem("group_by", f'duplicated label "{name}" in group_by')
    return tuple(dict.fromkeys(names))


def read_matchers(section: Section, equal: str, regex: str, newer: str) -> tuple[Matcher, ...]:
    """Three ways to say the same, of which two are old."""
    found: list[Matcher] = []
    for name, value in section.text_map(equal).items():
        _check_old_name(section, equal, name)
        found.append(Matcher.of(name, "=", value))
    expressions = section.section(regex, regex)
    for name, value in section.text_map(regex).items():
        _check_old_name(section, regex, name)
        if name not in expressions:
            expressions.problem(name, f"{regex}.{name} has no regular expression")
            continue
        try:
            # Its text is part of the group's key, which PagerDuty and Opsgenie know incidents by.
            found.append(Matcher.of(name, "=~", f"^(?:{value})$"))
        except MatcherFault as fault:
            section.problem(regex, f"{regex}.{name}: {fault}")
    for text in section.texts(newer):
        try:
            found += parse_matchers(text)
        except MatcherFault as fault:
            section.problem(newer, f"{newer}: {fault}")
    return tuple(sorted(found, key=lambda matcher: matcher.sort_key))


def _check_old_name(section: Section, key: str, name: str) -> None:
    if not is_plain_label(name):
        section.problem(key, f'invalid label name "{name}" in {key}')
