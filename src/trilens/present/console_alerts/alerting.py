"""What of the server the endpoints about alerts ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import xxhash

from trilens.alert.group import Group, RunningRule
from trilens.alert.instant_query import InstantQuery
from trilens.errors import RefusalCode, Refused
from trilens.present.prometheus_live.live import Live, Nothing
from trilens.present.prometheus_query import PromqlLimits
from trilens.query.ask import Asker
from trilens.query.promql.errors import PromqlError
from trilens.query.promql_cache.sample_cache import SampleCache
from trilens.query.promql_store.known_series import KnownSeries
from trilens.query.promql_store.refusals import TOO_MANY_SAMPLES
from trilens.query.promql_store.source import EngineSource, SelectLimits
from trilens.query.promql_values.context import Limits
from trilens.query.promql_values.values import Labels

_CODES: Final[dict[str, RefusalCode]] = {"timeout": "timeout", "canceled": "timeout"}


@dataclass(frozen=True, slots=True)
class Alerting:
    """Rules that run and where PromQL is asked; `live` has no rules where there are no files."""

    live: Live = field(default_factory=Nothing)
    limits: PromqlLimits = field(default_factory=PromqlLimits)
    known: KnownSeries = field(default_factory=KnownSeries)
    cache: SampleCache | None = None

    def query(self, ask: Asker) -> InstantQuery:
        """Over what is stored. It ends when `ask` is stopped."""
        limits = self.limits
        within = SelectLimits(limits.series, limits.samples)
        return InstantQuery(
            lambda: EngineSource(ask, within, self.known, cache=self.cache),
            limits=Limits(
                samples_max=limits.samples,
                series_max=limits.series,
                timeout_s=limits.seconds,
                lookback_ms=limits.lookback_ms,
                is_canceled=lambda: ask.is_stopped,
            ),
        )


def with_ids(groups: Iterator[Group] | list[Group]) -> Iterator[tuple[str, Group, RunningRule]]:
    """All rules with an id that stays over reloads and restarts: of file, group, name and labels.

    Rules that have all of these in common are told apart by their order.
    """
    for group in groups:
        seen: dict[tuple[str, bool, Labels], int] = {}
        for running in group.rules:
            number = seen[running.is_same_as] = seen.get(running.is_same_as, -1) + 1
            text = repr((group.definition.key, running.is_same_as, number))
            yield xxhash.xxh64_hexdigest(text.encode("utf-8", "surrogatepass")), group, running


def alert_id(rule_id: str, labels: Labels) -> str:
    return f"{rule_id}-{xxhash.xxh64_hexdigest(repr(labels).encode('utf-8', 'surrogatepass'))}"


def rule_of(alerting: Alerting, rule_id: str) -> tuple[Group, RunningRule]:
    """Raises Refused (not_found)."""
    for known, group, running in with_ids(list(alerting.live.groups())):
        if known == rule_id:
            return group, running
    raise Refused("not_found", f"no rule {rule_id!r}: its file may have changed")


@contextmanager
def refused_as_console() -> Iterator[None]:
    """What is wrong with PromQL in the words and codes of the console's API."""
    try:
        yield
    except PromqlError as error:
        code = _CODES.get(error.error_type, "malformed")
        if error.message.startswith(TOO_MANY_SAMPLES[:40]):
            code = "limit_exceeded"
        position = None if error.span is None else error.span.start
        raise Refused(code, error.message, position=position) from error
