"""What `trilens check FILE` says about rule files and about unit tests of rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trilens.alert.rule_files import duplicates, read_rule_file
from trilens.alert.unit_test_run import run_tests
from trilens.alert.unit_tests import read_test_file
from trilens.query.promql_values.labels import labels_text


@dataclass(slots=True)
class Verdict:
    """On one file. `lines` are to be printed; warnings do not make it bad."""

    file: str
    lines: list[str] = field(default_factory=list)
    is_well: bool = True


def check_rules(path: Path, verdict: Verdict) -> None:
    """Raises FileRefused."""
    groups = read_rule_file(path)
    count = sum(len(group.rules) for group in groups)
    verdict.lines.append(f"{path}: {count} rules in {len(groups)} groups")
    for name, labels in duplicates(groups):
        verdict.lines.append(
            f"{path}: warning: more than one rule is {name}{labels_text(labels)}; "
            "what they give may clash"
        )


def check_tests(path: Path, verdict: Verdict) -> None:
    """Raises FileRefused."""
    tests = read_test_file(path)
    verdict.lines += [f"{path}: warning: {warning}" for warning in tests.warnings]
    outcomes = run_tests(tests)
    for outcome in outcomes:
        verdict.lines += [f"{path}: {outcome.name}: {failure}" for failure in outcome.failures]
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    verdict.is_well = not failed
    verdict.lines.append(f"{path}: {len(outcomes) - failed} of {len(outcomes)} tests hold")
