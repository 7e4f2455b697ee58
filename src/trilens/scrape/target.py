"""One thing to scrape: what discovery found, after relabelling (scrape/target.go of Prometheus 3).

discovered   labels of the target, then of its group, then of its job, __param_ and all
relabelled   by relabel_configs; __meta_ labels go, instance becomes the address if it is not set
kept         labels that do not begin with __: each sample gets them
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final
from urllib.parse import quote as quote_url
from urllib.parse import quote_plus

from xxhash import xxh64_intdigest

from trilens.query.promql.durations import parse_duration, print_duration
from trilens.query.promql.literals import quote
from trilens.scrape.discovery_groups import Group
from trilens.scrape.relabel import Labels, relabel
from trilens.scrape.scrape_config import Histograms, Job

_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1
UNIX_SOCKET: Final = "__unix_socket__"
_HISTOGRAMS: Final = (
    "convert_classic_histograms_to_nhcb",
    "always_scrape_classic_histograms",
    "scrape_native_histograms",
)
# As Go's ParseBool; an empty label is one that is not there.
_TRUTHS: Final[Mapping[str, bool | None]] = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
    "": None,
}


@dataclass(frozen=True)
class Target:
    """`labels` has those that begin with __ too, without __meta_."""

    job: Job
    discovered: Mapping[str, str]
    labels: Mapping[str, str]
    url: str
    interval_ms: int
    timeout_ms: int
    histograms: Histograms

    @property
    def unix_socket(self) -> str:
        """The path of the socket that it is asked over; empty for its address."""
        return self.labels.get(UNIX_SOCKET, "")

    @cached_property
    def shown_labels(self) -> Labels:
        """What each of its samples has."""
        return {name: value for name, value in self.labels.items() if not name.startswith("__")}

    @cached_property
    def hash(self) -> int:
        """Of labels and URL, as Prometheus computes it: two with the same are one."""
        pairs = b"".join(
            name.encode() + b"\xff" + value.encode() + b"\xff"
            for name, value in sorted(self.labels.items())
        )
        return fnv1a(b"%016d" % xxh64_intdigest(pairs) + self.url.encode())

    def wait_ns(self, now_ns: int, seed: int) -> int:
        """Until its next turn: the same moment of each interval, wherever it is started."""
        interval_ns = self.interval_ms * 1_000_000
        wait_ns = interval_ns - now_ns % interval_ns + (self.hash ^ seed) % interval_ns
        return wait_ns - interval_ns if wait_ns > interval_ns else wait_ns


@dataclass(frozen=True, slots=True)
class Dropped:
    """A target that relabelling leaves out."""

    job: Job
    discovered: Mapping[str, str]


def fnv1a(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = _FNV_START
    for byte in data:
        value = (value ^ byte) * _FNV_PRIME & _MASK
    return value


def populate(job: Job, groups: Iterable[Group]) -> tuple[list[Target], list[Dropped], list[str]]:
    """Targets without duplicates, what was dropped, and why others cannot be scraped."""
    targets: dict[int, Target] = {}
    dropped: list[Dropped] = []
    errors: list[str] = []
    for group in groups:
        for number, found in enumerate(group.targets):
            discovered = discovered_labels(job, group.labels, found)
            try:
                target = relabelled(job, discovered)
            except ValueError as error:
                errors.append(f"instance {number} in group {group.source}: {error}")
                continue
            if target is None:
                dropped.append(Dropped(job, discovered))
            else:
                targets.setdefault(target.hash, target)
    return list(targets.values()), dropped, errors


def discovered_labels(job: Job, group: Mapping[str, str], target: Mapping[str, str]) -> Labels:
    labels = {name: value for name, value in {**group, **target}.items() if value}
    of_job = {
        "job": job.name,
        "__scrape_interval__": print_duration(job.interval_ms),
        "__scrape_timeout__": print_duration(job.timeout_ms),
        "__metrics_path__": job.metrics_path,
        "__scheme__": job.scheme,
    }
    said = job.histograms
    for name, value in zip(
        _HISTOGRAMS, (said.custom_buckets, said.keeps_classic, said.native), strict=True
    ):
        of_job[f"__{name}__"] = "true" if value else "false"
    of_job |= {f"__param_{name}": values[0] for name, values in job.params.items() if values}
    return of_job | labels


def relabelled(job: Job, discovered: Mapping[str, str]) -> Target | None:
    """None where it is dropped. Raises ValueError where it cannot be scraped."""
    labels = relabel(job.relabel, discovered)
    if labels is None:
        return None
    address = labels.get("__address__", "")
    if not address:
        raise ValueError("no address")
    if "/" in address:
        raise ValueError(f"{quote(address)} is not a valid hostname")
    interval_ms = _duration_ms(labels, "interval")
    timeout_ms = _duration_ms(labels, "timeout")
    if timeout_ms > interval_ms:
        raise ValueError(
            "scrape timeout cannot be greater than scrape interval "
            f"({quote(labels['__scrape_timeout__'])} > {quote(labels['__scrape_interval__'])})"
        )
    histograms = _histograms(labels, job.histograms)
    labels = {name: value for name, value in labels.items() if not name.startswith("__meta_")}
    labels.setdefault("instance", address)
    return Target(job, discovered, labels, _url(job, labels), interval_ms, timeout_ms, histograms)


def _histograms(labels: Mapping[str, str], before: Histograms) -> Histograms:
    """Raises ValueError."""
    said = []
    for name in _HISTOGRAMS:
        text = labels.get(f"__{name}__", "")
        if text not in _TRUTHS:
            what = name.replace("_", " ")
            raise ValueError(
                f"error parsing {what}: strconv.ParseBool: parsing {quote(text)}: invalid syntax"
            )
        said.append(_TRUTHS[text])
    defaults = (before.custom_buckets, before.keeps_classic, before.native)
    found = [default if one is None else one for one, default in zip(said, defaults, strict=True)]
    return replace(before, custom_buckets=found[0], keeps_classic=found[1], native=found[2])


def _duration_ms(labels: Mapping[str, str], what: str) -> int:
    try:
        length_ms = parse_duration(labels.get(f"__scrape_{what}__", ""))
    except ValueError as error:
        raise ValueError(f"error parsing scrape {what}: {error}") from None
    if length_ms == 0:
        raise ValueError(f"scrape {what} cannot be 0")
    return length_ms


def _url(job: Job, labels: Mapping[str, str]) -> str:
    params = {name: list(values) for name, values in job.params.items()}
    for name, value in labels.items():
        if name.startswith("__param_"):
            params.setdefault(name.removeprefix("__param_"), [""])[:1] = [value]
    query = "&".join(
        f"{quote_plus(name)}={quote_plus(value)}"
        for name, values in sorted(params.items())
        for value in values
    )
    path = quote_url(labels.get("__metrics_path__", ""), safe="/:@$&+,;=!*'()~")
    path = path if path.startswith("/") else f"/{path}"
    url = f"{labels.get('__scheme__', '')}://{labels['__address__']}{path}"
    return f"{url}?{query}" if query else url
