"""What runs on the files of Prometheus and Alertmanager, as the API sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trilens.alert.backfill import Backfilled
from trilens.alert.group import Group
from trilens.notify.notifier import Notifier
from trilens.query.promql_values.labels import set_labels
from trilens.query.promql_values.values import Labels
from trilens.remote_write_out.state import DestinationState
from trilens.scrape.pool import Pool


@dataclass(frozen=True, slots=True)
class Reloads:
    """How the last one went; `at_ns` is when files were taken over, 0 if there are none."""

    is_well: bool = True
    at_ns: int = 0
    error: str = ""


class Live(Protocol):
    """From any thread; only `reload` may take its time."""

    @property
    def reloads(self) -> Reloads: ...

    @property
    def prometheus_text(self) -> str:
        """The prometheus.yml as it was read, with its secrets; empty where there is none."""

    @property
    def prometheus_path(self) -> str:
        """Of the prometheus.yml; empty where there is none."""

    @property
    def alertmanager_path(self) -> str:
        """Of the alertmanager.yml; empty where there is none."""

    @property
    def notifier(self) -> Notifier | None:
        """The Alertmanager inside, where there is one."""

    def groups(self) -> Sequence[Group]:
        """In the order of files and names."""

    def sent_labels(self, group: Group, labels: Labels) -> dict[str, str] | None:
        """Under which labels Alertmanagers are told of an alert; None: they are not."""

    def pools(self) -> Sequence[Pool]: ...

    def alertmanagers(self) -> tuple[list[str], list[str]]:
        """URLs: of those that are told, and of those that relabelling leaves out."""

    def destinations(self) -> Sequence[DestinationState]:
        """Of remote_write, in the order of the file."""

    def reload(self) -> None:
        """Raises FileRefused: then nothing has changed."""

    def backfill(
        self, start_ms: int, end_ms: int, *, files: frozenset[str], groups: frozenset[str]
    ) -> Backfilled:
        """Recording rules over the past; empty sets are all. Raises Refused, PromqlError."""


class Nothing:
    """Of a server without such files."""

    reloads = Reloads()
    prometheus_text = prometheus_path = alertmanager_path = ""
    notifier: Notifier | None = None

    def groups(self) -> Sequence[Group]:
        return ()

    def sent_labels(self, group: Group, labels: Labels) -> dict[str, str] | None:
        return dict(set_labels(group.options.outside.labels, dict(labels)))

    def pools(self) -> Sequence[Pool]:
        return ()

    def alertmanagers(self) -> tuple[list[str], list[str]]:
        return [], []

    def destinations(self) -> Sequence[DestinationState]:
        return ()

    def reload(self) -> None:
        pass

    def backfill(
        self, start_ms: int, end_ms: int, *, files: frozenset[str], groups: frozenset[str]
    ) -> Backfilled:
        assert start_ms <= end_ms
        return Backfilled(failures=dict.fromkeys(files | groups, "there are no rules"))
