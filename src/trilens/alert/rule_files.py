"""Prometheus's rule files (3.14, model/rulefmt): groups of recording and alerting rules.

    groups:
    - name: kubelet            # once in a file
      interval: 30s            # how often; the global one if left out
      query_offset: 1m         # evaluate as of so long ago
      limit: 100               # a rule that gives more series, or alerts, fails
      labels: {team: a}        # of every rule; the rule's own win
      rules:
      - record: node:load      # or alert:
        expr: avg by (node) (load1)
        for: 5m
        keep_firing_for: 10m
        labels: {severity: page}
        annotations: {summary: '{{ $labels.node }} is busy'}

What is wrong with a file is all told at once, each with its line; a file with one problem gives no
rule at all. Names are any UTF-8 (a legacy scheme is not offered).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.alert.alert_text import template_problem
from trilens.config_files.problems import FileRefused, Place, Problem, Problems
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import Node, Scalar, read_file, read_yaml
from trilens.query.promql.ast import Expr
from trilens.query.promql.errors import ParseError
from trilens.query.promql.parser import parse
from trilens.query.promql_values.labels import is_label_name
from trilens.query.promql_values.values import METRIC_NAME, Labels

GROUPS_MAX: Final = 10_000
RULES_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is the metric that is recorded, or the alert's. Labels are those of the group too."""

    name: str
    is_alert: bool
    expr: Expr
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    labels: Labels = ()
    annotations: Labels = ()
    place: Place = field(default=Place(1, 1), compare=False)

    @property
    def query(self) -> str:
        return str(self.expr)


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """`interval_ms` 0 and `query_offset_ms` None: as the server has it. `limit` 0: none."""

    file: str
    name: str
    rules: tuple[Rule, ...] = ()
    interval_ms: int = 0
    query_offset_ms: int | None = None
    limit: int = 0

    @property
    def key(self) -> str:
        return f"{self.file};{self.name}"


def read_rule_file(path: Path) -> list[RuleGroup]:
    """Raises FileRefused."""
    return read_rules(read_file(path), str(path))


def read_rules(content: bytes, file: str) -> list[RuleGroup]:
    """The groups of one file, in its order. Raises FileRefused with everything that is wrong."""
    problems = Problems(file)
    fields = Section(read_yaml(content, file), "a rule file", problems)
    groups = [_group(node, problems) for node in fields.items("groups")]
    fields.end()
    _check_names(groups, problems)
    if len(groups) > GROUPS_MAX or sum(len(group.rules) for group, _ in groups) > RULES_MAX:
        problems.add(
            fields.place, f"more than {GROUPS_MAX} groups or {RULES_MAX} rules in one file"
        )
    problems.raise_any()
    return [group for group, _ in groups]


def read_rule_files(patterns: Iterable[str], directory: Path) -> list[RuleGroup]:
    """Of `rule_files` in prometheus.yml: paths and globs, relative to its directory.

    Raises FileRefused with the problems of all files.
    """
    groups: list[RuleGroup] = []
    problems: list[Problem] = []
    seen: set[Path] = set()
    for pattern in patterns:
        for path in files_of(pattern, directory):
            if path in seen:
                continue
            seen.add(path)
            try:
                groups += read_rule_file(path)
            except FileRefused as refused:
                problems += refused.problems
    if problems:
        raise FileRefused(problems)
    return groups


def files_of(pattern: str, directory: Path) -> list[Path]:
    """What a path or glob names, in the order of names; a path need not be there."""
    path = directory / pattern
    if not any(mark in pattern for mark in "*?["):
        return [path]
    anchor = Path(path.anchor)
    return sorted(one for one in anchor.glob(str(path.relative_to(anchor))) if one.is_file())


def duplicates(groups: Iterable[RuleGroup]) -> list[tuple[str, Labels]]:
    """Rules with the same name and labels: what they give may clash. In the order of names."""
    seen: dict[tuple[str, Labels], int] = {}
    for group in groups:
        for rule in group.rules:
            seen[rule.name, rule.labels] = seen.get((rule.name, rule.labels), 0) + 1
    return sorted(key for key, count in seen.items() if count > 1)


def _check_names(groups: list[tuple[RuleGroup, Place]], problems: Problems) -> None:
    seen: set[str] = set()
    for group, place in groups:
        if not group.name:
            problems.add(place, "Groupname must not be empty")
        if group.name in seen:
            problems.add(place, f'groupname: "{group.name}" is repeated in the same file')
        seen.add(group.name)


def _group(node: Node, problems: Problems) -> tuple[RuleGroup, Place]:
    fields = Section(node, "a rule group", problems)
    name = fields.text("name")
    interval_ms = fields.duration_ms("interval")
    has_offset = "query_offset" in fields
    query_offset_ms = fields.duration_ms("query_offset")
    limit = fields.integer("limit", least=-(1 << 63))
    own = fields.text_map("labels")
    _check_labels(own, fields.place_of("labels"), problems)
    checked = [
        _Checked(item, problems, f'group "{name}", rule {number}')
        for number, item in enumerate(fields.items("rules"), 1)
    ]
    fields.end()
    rules = tuple(one.rule(own) for one in checked)
    group = RuleGroup(
        problems.file, name, tuple(rule for rule in rules if rule is not None),
        interval_ms, query_offset_ms if has_offset else None, limit,
    )  # fmt: skip
    return group, fields.place


@dataclass(slots=True)
class _Checked:
    """One rule on its way in."""

    node: Node
    problems: Problems
    where: str

    def rule(self, of_group: dict[str, str]) -> Rule | None:
        fields = Section(self.node, "a rule", self.problems)
        record, alert = fields.text("record"), fields.text("alert")
        for_ms = fields.duration_ms("for")
        keep_ms = fields.duration_ms("keep_firing_for")
        labels, annotations = fields.text_map("labels"), fields.text_map("annotations")
        self.where = f'{self.where}, "{alert or record}"'
        expr = self._expr(fields)
        fields.end()
        if record and alert:
            self._say(fields.place_of("record"), "only one of 'record' and 'alert' must be set")
        if not record and not alert:
            self._say(fields.place, "one of 'record' or 'alert' must be set")
        if record:
            self._check_record(fields, record, for_ms, keep_ms, annotations)
        _check_labels(labels, fields.place_of("labels"), self.problems, self.where)
        for name in annotations:
            if not is_label_name(name):
                self._say(fields.place_of("annotations"), f"invalid annotation name: {name}")
        if alert:
            self._check_templates(fields, alert, "label", "labels", labels)
            self._check_templates(fields, alert, "annotation", "annotations", annotations)
        if expr is None:
            return None
        return Rule(
            alert or record, bool(alert), expr, for_ms, keep_ms,
            _sorted({**of_group, **labels}), _sorted(annotations), fields.place,
        )  # fmt: skip

    def _expr(self, fields: Section) -> Expr | None:
        text = fields.text("expr")
        if not text:
            self._say(fields.place_of("expr"), "field 'expr' must be set in rule")
            return None
        try:
            return parse(text)
        except ParseError as error:
            place = _within(fields.node("expr"), error)
            self._say(place, f"could not parse expression: {error}")
            return None

    def _check_record(
        self, fields: Section, name: str, for_ms: int, keep_ms: int, annotations: dict[str, str]
    ) -> None:
        given = {"annotations": bool(annotations), "for": for_ms, "keep_firing_for": keep_ms}
        for field_name, is_given in given.items():
            if is_given:
                self._say(
                    fields.place_of(field_name), f"invalid field '{field_name}' in recording rule"
                )
        if not is_label_name(name):
            self._say(fields.place_of("record"), f"invalid recording rule name: {name}")
        if "{" in name or "}" in name:
            self._say(
                fields.place_of("record"),
                f"braces present in the recording rule name; should it be in expr?: {name}",
            )

    def _check_templates(
        self, fields: Section, alert: str, kind: str, within: str, texts: dict[str, str]
    ) -> None:
        for name, text in texts.items():
            problem = template_problem(alert, text)
            if problem is not None:
                self._say(fields.place_of(within), f'{kind} "{name}": {problem}')

    def _say(self, place: Place, message: str) -> None:
        self.problems.add(place, f"{self.where}: {message}")


def _check_labels(
    labels: dict[str, str], place: Place, problems: Problems, where: str = ""
) -> None:
    before = f"{where}: " if where else ""
    for name, value in labels.items():
        if not is_label_name(name) or name == METRIC_NAME:
            problems.add(place, f"{before}invalid label name: {name}")
        if value and not is_label_name(value):
            problems.add(place, f"{before}invalid label value: {value}")


def _sorted(texts: dict[str, str]) -> Labels:
    return tuple(sorted(texts.items()))


def _within(node: Node | None, error: ParseError) -> Place:
    """Where in the file an expression of one line goes wrong; else where it begins."""
    assert node is not None
    start = 0 if error.span is None else error.span.start
    if isinstance(node, Scalar) and node.is_plain and "\n" not in error.query:
        return Place(node.place.line, node.place.column + start)
    return node.place
