"""What `trilens check FILE` says about rule files and about unit tests of rules.

The kind of a file is known by its first keys: `groups` are rules, `tests` are unit tests, which are
carried out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trilens.alert.rule_files import duplicates, read_rule_file
from trilens.alert.unit_test_run import run_tests
from trilens.alert.unit_tests import read_test_file
from trilens.config_files.problems import FileRefused
from trilens.config_files.yaml_nodes import Mapping, Scalar, read_yaml
from trilens.query.promql_values.labels import labels_text


@dataclass(slots=True)
class Verdict:
    """On one file. `lines` are to be printed; warnings do not make it bad."""

    file: str
    lines: list[str] = field(default_factory=list)
    is_well: bool = True


def keys_of(content: bytes, file: str) -> frozenset[str]:
    """The keys at the top of a YAML file. Raises FileRefused."""
    node = read_yaml(content, file)
    if not isinstance(node, Mapping):
        return frozenset()
    return frozenset(key.value for key, _ in node.pairs if isinstance(key, Scalar))


def is_ours(keys: frozenset[str]) -> bool:
    return bool(keys & {"groups", "tests"}) or not keys


def check(path: Path) -> Verdict:
    """Raises nothing that a file can do wrong."""
    verdict = Verdict(str(path))
    try:
        if "tests" in keys_of(path.read_bytes(), str(path)):
            _run(path, verdict)
        else:
            _read(path, verdict)
    except FileRefused as refused:
        verdict.is_well = False
        verdict.lines += map(str, refused.problems)
    except OSError as error:
        verdict.is_well = False
        verdict.lines.append(f"{path}: cannot be read: {error.strerror}")
    return verdict


def _read(path: Path, verdict: Verdict) -> None:
    groups = read_rule_file(path)
    count = sum(len(group.rules) for group in groups)
    verdict.lines.append(f"{path}: {count} rules in {len(groups)} groups")
    for name, labels in duplicates(groups):
        verdict.lines.append(
            f"{path}: warning: more than one rule is {name}{labels_text(labels)}; "
            "what they give may clash"
        )


def _run(path: Path, verdict: Verdict) -> None:
    tests = read_test_file(path)
    verdict.lines += [f"{path}: warning: {warning}" for warning in tests.warnings]
    outcomes = run_tests(tests)
    for outcome in outcomes:
        verdict.lines += [f"{path}: {outcome.name}: {failure}" for failure in outcome.failures]
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    verdict.is_well = not failed
    verdict.lines.append(f"{path}: {len(outcomes) - failed} of {len(outcomes)} tests hold")
