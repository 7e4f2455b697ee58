"""Every query of Prometheus's own cases and of its compliance suite is taken, and printed alike."""

import itertools
import re
from pathlib import Path

import pytest
import yaml

from trilens.query.promql import printer
from trilens.query.promql.errors import ParseError
from trilens.query.promql.parser import parse
from trilens.query.promql.tree_json import tree_json

CASES = Path(__file__).resolve().parent.parent.parent / "shared" / "conformance" / "promql"
FILES = sorted(path.name for path in CASES.glob("*.test"))
COMPLIANCE = CASES / "compliance-queries.yml"
IS_MISSING = pytest.mark.skipif(not FILES, reason=f"Prometheus's cases are not in {CASES}")
EVAL = re.compile(
    r"eval(?P<fails>_fail)?(?:_\w+)?\s+(?:instant\s+at\s+\S+|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)"
    r"\s+(?P<query>.+)"
)
FAIL = re.compile(r"\s*expect\s+fail\b(?:\s+msg:\s*(?P<message>.+))?")
VARIANTS = {
    "range": ["1s", "15s", "1m", "5m", "15m", "1h"],
    "offset": ["1m", "5m", "10m"],
    "simpleAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar"],
    "simpleTimeAggrOp": ["sum", "avg", "max", "min", "count", "stddev", "stdvar", "absent", "last", "present"],
    "topBottomOp": ["topk", "bottomk"],
    "quantile": ["-0.5", "0.1", "0.5", "0.75", "0.95", "0.90", "0.99", "1", "1.5"],
    "arithBinOp": ["+", "-", "*", "/", "%", "^"],
    "compBinOp": ["==", "!=", "<", ">", "<=", ">="],
    "binOp": ["+", "-", "*", "/", "%", "^", "==", "!=", "<", ">", "<=", ">="],
    "simpleMathFunc": ["abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "round"],
    "extrapolatedRateFunc": ["delta", "rate", "increase"],
    "clampFunc": ["clamp_min", "clamp_max"],
    "instantRateFunc": ["idelta", "irate"],
    "dateFunc": ["day_of_month", "day_of_week", "days_in_month", "hour", "minute", "month", "year"],
}  # fmt: skip


def queries_of(name):
    """Line, query, whether it is to fail, and with what."""
    found = []
    for number, line in enumerate((CASES / name).read_text().splitlines(), 1):
        match = EVAL.match(line.strip())
        if match:
            found.append([number, match["query"], bool(match["fails"]), None])
        elif found and (fail := FAIL.fullmatch(line)):
            found[-1][2:] = [True, fail["message"]]
    return found


def check_taken(query):
    tree = parse(query)
    assert parse(str(tree)) == tree
    assert parse(printer.pretty(tree)) == tree
    assert tree_json(parse(str(tree)))["type"] == tree_json(tree)["type"]


@IS_MISSING
@pytest.mark.parametrize("name", FILES or ["none"])
def test_prometheus_takes_what_we_take(name):
    queries = queries_of(name)
    assert queries
    for number, query, fails, message in queries:
        try:
            check_taken(query)
        except ParseError as error:
            assert fails, f"{name}:{number} {query}: {error}"
            assert message is None or message.strip() in str(error)


@IS_MISSING
def test_no_case_is_overlooked():
    lines = sum(
        line.strip().startswith("eval")
        for name in FILES
        for line in (CASES / name).read_text().splitlines()
    )
    assert sum(len(queries_of(name)) for name in FILES) == lines


@IS_MISSING
def test_the_compliance_suite_is_taken():
    for case in yaml.safe_load(COMPLIANCE.read_text())["test_cases"]:
        names = case.get("variant_args", [])
        for values in itertools.product(*(VARIANTS[name] for name in names)):
            query = case["query"]
            for name, value in zip(names, values, strict=True):
                query = query.replace(f"{{{{.{name}}}}}", value)
            try:
                check_taken(query)
            except ParseError as error:
                assert case.get("should_fail"), f"{query}: {error}"
