"""What Prometheus's alert generator specification 1.0 demands, as a model, and cases to hold it to.

The model is written from the text of the specification alone and knows nothing of our code: given
what an expression is worth at each evaluation it says which alerts there are, which series, and what
an Alertmanager has to be told. Where the text leaves room it does as Prometheus does: an alert is
told again when *more* than the resend delay is over, and for the last time 15 minutes after it was
resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

STEP_MS: Final = 15_000  # samples
INTERVAL_MS: Final = 30_000  # evaluations
RESEND_MS: Final = 60_000
KEPT_MS: Final = 15 * 60_000
LOOKBACK_MS: Final = 5 * 60_000
METRIC: Final = "water_level"

Labels = frozenset[tuple[str, str]]
Vector = list[tuple[dict[str, str], float]]


def labels_of(labels: dict[str, str]) -> Labels:
    return frozenset(labels.items())


@dataclass(frozen=True)
class Sent:
    """One alert in one message."""

    labels: Labels
    annotations: Labels
    starts_at_ms: int
    ends_at_ms: int
    is_resolved: bool


@dataclass
class Instance:
    annotations: dict[str, str]
    value: float
    active_at_ms: int
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None
    sent_at_ms: int | None = None

    @property
    def state(self) -> str:
        if self.resolved_at_ms is not None:
            return "inactive"
        return "pending" if self.fired_at_ms is None else "firing"


@dataclass
class RuleModel:
    """`found` gives the result of the expression, of the samples and the ALERTS at the moment."""

    name: str
    for_ms: int
    labels: dict[str, str]
    found: Callable[[Vector, list[dict[str, str]]], Vector]
    annotations: Callable[[dict[str, str], float, Vector], dict[str, str]]
    instances: dict[Labels, Instance] = field(default_factory=dict)

    def evaluate(self, at_ms: int, samples: Vector, series: list[dict[str, str]]) -> list[Sent]:
        """Adds the rule's series to those of the rules before it."""
        seen = set()
        for result, value in self.found(samples, series):
            kept = {name: text for name, text in result.items() if name != "__name__"}
            key = labels_of({**kept, **self.labels, "alertname": self.name})
            seen.add(key)
            annotations = self.annotations(result, value, samples)
            one = self.instances.get(key)
            if one is None or one.state == "inactive":
                self.instances[key] = Instance(annotations, value, at_ms)
            else:
                one.annotations, one.value = annotations, value
        sent = []
        for key in list(self.instances):
            self._advance(key, at_ms, is_seen=key in seen)
            sent += self._told(key, at_ms)
        series += [
            {**dict(key), "__name__": "ALERTS", "alertstate": one.state}
            for key, one in self.instances.items()
            if one.state != "inactive"
        ]
        return sent

    def _advance(self, key: Labels, at_ms: int, *, is_seen: bool) -> None:
        one = self.instances[key]
        if is_seen:
            if one.fired_at_ms is None and at_ms - one.active_at_ms >= self.for_ms:
                one.fired_at_ms = at_ms
        elif one.state == "pending":
            del self.instances[key]
        elif one.resolved_at_ms is None:
            one.resolved_at_ms = at_ms
        elif at_ms - one.resolved_at_ms > KEPT_MS:
            del self.instances[key]

    def _told(self, key: Labels, at_ms: int) -> Iterable[Sent]:
        one = self.instances.get(key)
        if one is None or one.fired_at_ms is None:
            return
        is_news = one.sent_at_ms is None or one.resolved_at_ms == at_ms
        if is_news or at_ms - one.sent_at_ms > RESEND_MS:
            one.sent_at_ms = at_ms
            ends_at_ms = at_ms + 4 * max(RESEND_MS, INTERVAL_MS)
            is_resolved = one.resolved_at_ms is not None
            yield Sent(
                key, labels_of(one.annotations), one.fired_at_ms,
                one.resolved_at_ms if is_resolved else ends_at_ms, is_resolved,
            )  # fmt: skip

    def state(self) -> str:
        states = {one.state for one in self.instances.values()}
        return next((one for one in ("firing", "pending") if one in states), "inactive")


@dataclass
class Case:
    """A group of rules, what its series are worth every STEP_MS, and the model of it."""

    name: str
    rules: str  # YAML
    series: list[tuple[dict[str, str], list[float]]]
    models: list[RuleModel]

    def group(self) -> str:
        return f"- name: {self.name}\n  interval: 30s\n  rules:\n{self.rules}"

    def samples(self, start_ms: int, at_ms: int) -> Vector:
        """As an instant query sees them; without markers a series lasts for the lookback."""
        found = []
        for labels, values in self.series:
            last = (at_ms - start_ms) // STEP_MS
            place = min(last, len(values) - 1)
            if place >= 0 and start_ms + place * STEP_MS > at_ms - LOOKBACK_MS:
                found.append((labels, values[place]))
        return found

    def steps(self) -> int:
        return max(len(values) for _, values in self.series)


def run(*parts: tuple[float, int]) -> list[float]:
    """(value, how often) one after the other."""
    return [value for value, count in parts for _ in range(count)]


def _above(case: str, rule: str, limit: float) -> Callable[[Vector, list], Vector]:
    return lambda samples, _: [
        (labels, value)
        for labels, value in samples
        if labels.get("case") == case and labels.get("rule") == rule and value > limit
    ]


def _series(case: str, rule: str, **more: str) -> dict[str, str]:
    return {"__name__": METRIC, "case": case, "rule": rule, **more}


def _number(value: float) -> str:
    return f"{value:g}"


def fires_and_comes_back() -> Case:
    """Pending, firing, resolved; annotations change meanwhile; it comes back while it is told."""
    rules = f"""
  - alert: High
    expr: {METRIC}{{case="back"}} > 10
    for: 4m
    labels: {{team: dam}}
    annotations: {{now: "{{{{ $value }}}} of {{{{ $labels.rule }}}} ({{{{ .Value }}}})", fix: "open it"}}
"""
    values = run((3, 5), (12, 10), (14, 30), (21, 12), (4, 16), (13, 40), (2, 24))
    model = RuleModel(
        "High", 240_000, {"team": "dam"}, _above("back", "a", 10),
        lambda _, value, __: {"now": f"{_number(value)} of a ({_number(value)})", "fix": "open it"},
    )  # fmt: skip
    return Case("FiresAndComesBack", rules, [(_series("back", "a"), values)], [model])


def never_fires() -> Case:
    """Pending, then not; pending, then no data; and never active at all."""
    rules = f"""
  - {{alert: Wave, expr: '{METRIC}{{case="never",rule="a"}} > 10', for: 3m, labels: {{case: never}}}}
  - {{alert: Flood, expr: '{METRIC}{{case="never",rule="b"}} > 99', for: 3m, annotations: {{a: b}}}}
  - {{alert: Rain, expr: '{METRIC}{{case="never",rule="c"}} > 10', for: 9m}}
"""
    wave = run((3, 6), (11, 9), (9, 30), (11, 9), (2, 20))
    return Case(
        "NeverFires", rules,
        [(_series("never", "a"), wave), (_series("never", "b"), wave),
         (_series("never", "c"), run((1, 10), (12, 8)))],
        [RuleModel("Wave", 180_000, {"case": "never"}, _above("never", "a", 10), lambda *_: {}),
         RuleModel("Flood", 180_000, {}, _above("never", "b", 99), lambda *_: {"a": "b"}),
         RuleModel("Rain", 540_000, {}, _above("never", "c", 10), lambda *_: {})],
    )  # fmt: skip


def fires_at_once() -> Case:
    """Without a for, and with one shorter than the interval; again when nobody is told any more."""
    query = f'query \'{METRIC}{{case=\\"once\\",rule=\\"t\\"}}\' | sortByLabel \\"n\\"'
    rules = f"""
  - alert: Gate
    expr: '{METRIC}{{case="once",rule="a"}} > 10'
    labels: {{team: gate}}
    annotations:
      asked: "{{{{ range {query.replace("'", "`")} }}}}{{{{ . | label \\"n\\" }}}}={{{{ . | value }}}};{{{{ end }}}}"
      shown: "{{{{ humanize 1048576 }}}} {{{{ humanize1024 1048576 }}}} {{{{ humanizePercentage 0.5 }}}}"
  - alert: Door
    expr: '{METRIC}{{case="once",rule="b"}} > 12'
    for: 10s
    annotations: {{shown: '{{{{ toUpper "x" }}}}{{{{ title "a b" }}}} {{{{ stripPort "h:80" }}}}'}}
"""
    values = run((3, 8), (15, 13), (9, 72), (11, 13))
    helpers = [(_series("once", "t", n=str(n)), run((n, 40), (n * 2, 90))) for n in (2, 1)]

    def told(_: dict, __: float, samples: Vector) -> dict[str, str]:
        asked = {one["n"]: value for one, value in samples if one.get("rule") == "t"}
        shown = "".join(f"{n}={_number(value)};" for n, value in sorted(asked.items()))
        return {"asked": shown, "shown": "1.049M 1Mi 50%"}

    return Case(
        "FiresAtOnce", rules,
        [(_series("once", "a"), values), (_series("once", "b"), values), *helpers],
        [RuleModel("Gate", 0, {"team": "gate"}, _above("once", "a", 10), told),
         RuleModel("Door", 10_000, {}, _above("once", "b", 12), lambda *_: {"shown": "XA B h"})],
    )  # fmt: skip


def follows_others() -> Case:
    """New instances beside those that fire; a rule over ALERTS of the rule before it.

    Templates see the labels of the result, not those that the rule puts in their place.
    """
    rules = f"""
  - {{alert: Part, expr: '{METRIC}{{case="order"}} > 10', for: 3m, labels: {{team: new}}}}
  - alert: Whole
    expr: sum by (team, alertname) (ALERTS{{alertname="Part",alertstate="firing"}}) >= 2
    labels: {{team: all}}
    annotations: {{of: "{{{{ $labels.alertname }}}} of {{{{ .Labels.team }}}}"}}
"""
    parts = [
        (_series("order", "p", part="one", team="old"), run((1, 8), (11, 65), (9, 8))),
        (_series("order", "p", part="two", team="old"), run((1, 30), (11, 34), (9, 17))),
    ]

    def whole(_: Vector, series: list[dict[str, str]]) -> Vector:
        firing = [
            one for one in series if (one["alertname"], one["alertstate"]) == ("Part", "firing")
        ]
        labels = {"team": "new", "alertname": "Part"}
        return [(labels, float(len(firing)))] if len(firing) >= 2 else []

    return Case(
        "FollowsOthers", rules, parts,
        [RuleModel("Part", 180_000, {"team": "new"}, _above("order", "p", 10), lambda *_: {}),
         RuleModel("Whole", 0, {"team": "all"}, whole, lambda *_: {"of": "Part of new"})],
    )  # fmt: skip


CASES: Final = (fires_and_comes_back, never_fires, fires_at_once, follows_others)
