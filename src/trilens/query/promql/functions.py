"""The signatures of PromQL's functions and aggregations (Prometheus 3.14, experimental ones too).

`variadic` counts arguments beyond the ones that must be there: 0 none, n > 0 at most n of them (the
last of `args` is the first that may be left out), -1 any number.
"""

from __future__ import annotations

from dataclasses import dataclass

from trilens.query.promql.ast import ValueType


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    args: tuple[ValueType, ...]
    returns: ValueType = "vector"
    variadic: int = 0
    is_experimental: bool = False

    @property
    def args_min(self) -> int:
        return len(self.args) if self.variadic == 0 else len(self.args) - 1

    @property
    def args_max(self) -> int | None:
        """None: no limit."""
        return None if self.variadic < 0 else self.args_min + self.variadic

    def arg_type(self, index: int) -> ValueType:
        """What the argument at `index` must be; the last of `args` stands for all behind it."""
        return self.args[min(index, len(self.args) - 1)]


@dataclass(frozen=True, slots=True)
class Aggregator:
    name: str
    param: ValueType | None = None
    is_experimental: bool = False


_OF_VECTOR = [
    "abs", "absent", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh",
    "deg", "exp", "floor", "histogram_avg", "histogram_count", "histogram_stddev",
    "histogram_stdvar", "histogram_sum", "ln", "log10", "log2", "rad", "sgn", "sin", "sinh",
    "sort", "sort_desc", "sqrt", "tan", "tanh", "timestamp",
]  # fmt: skip
_OF_WINDOW = [
    "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "deriv",
    "first_over_time", "idelta", "increase", "irate", "last_over_time", "max_over_time",
    "min_over_time", "present_over_time", "rate", "resets", "stddev_over_time",
    "stdvar_over_time", "sum_over_time",
]  # fmt: skip
_OF_WINDOW_EXPERIMENTAL = [
    "mad_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
]  # fmt: skip
_OF_TIME = [
    "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month",
    "year",
]  # fmt: skip
_PLAIN_AGGREGATORS = ["avg", "count", "group", "max", "min", "stddev", "stdvar", "sum"]
_QUERY_FACTS = ("end", "range", "start", "step")
_QUANTILES_MAX = 10

_FUNCTIONS = (
    *(Function(name, ("vector",)) for name in _OF_VECTOR),
    *(Function(name, ("matrix",)) for name in _OF_WINDOW),
    *(Function(name, ("matrix",), is_experimental=True) for name in _OF_WINDOW_EXPERIMENTAL),
    *(Function(name, ("vector",), variadic=1) for name in _OF_TIME),
    *(Function(name, (), "scalar", is_experimental=True) for name in _QUERY_FACTS),
    Function("clamp", ("vector", "scalar", "scalar")),
    Function("clamp_max", ("vector", "scalar")),
    Function("clamp_min", ("vector", "scalar")),
    Function("double_exponential_smoothing", ("matrix", "scalar", "scalar"), is_experimental=True),
    Function("histogram_fraction", ("scalar", "scalar", "vector")),
    Function("histogram_quantile", ("scalar", "vector")),
    Function(
        "histogram_quantiles",
        ("vector", "string", "scalar", "scalar"),
        variadic=_QUANTILES_MAX - 1,
        is_experimental=True,
    ),
    Function("info", ("vector", "vector"), variadic=1, is_experimental=True),
    Function("label_join", ("vector", "string", "string", "string"), variadic=-1),
    Function("label_replace", ("vector", "string", "string", "string", "string")),
    Function("max_of", ("scalar", "scalar"), "scalar", is_experimental=True),
    Function("min_of", ("scalar", "scalar"), "scalar", is_experimental=True),
    Function("pi", (), "scalar"),
    Function("predict_linear", ("matrix", "scalar")),
    Function("quantile_over_time", ("scalar", "matrix")),
    Function("round", ("vector", "scalar"), variadic=1),
    Function("scalar", ("vector",), "scalar"),
    Function("sort_by_label", ("vector", "string"), variadic=-1, is_experimental=True),
    Function("sort_by_label_desc", ("vector", "string"), variadic=-1, is_experimental=True),
    Function("start_timestamp", ("vector",), is_experimental=True),
    Function("time", (), "scalar"),
    Function("vector", ("scalar",)),
)
FUNCTIONS = {function.name: function for function in _FUNCTIONS}

_AGGREGATORS = (
    *(Aggregator(name) for name in _PLAIN_AGGREGATORS),
    Aggregator("bottomk", "scalar"),
    Aggregator("count_values", "string"),
    Aggregator("limit_ratio", "scalar", is_experimental=True),
    Aggregator("limitk", "scalar", is_experimental=True),
    Aggregator("quantile", "scalar"),
    Aggregator("topk", "scalar"),
)
AGGREGATORS = {aggregator.name: aggregator for aggregator in _AGGREGATORS}
