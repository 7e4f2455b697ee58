"""Realistic Prometheus remote-write bodies for measuring: the same ones for the same arguments.

    bodies(count, seed, start_ms)  -> snappy-compressed WriteRequest bytes, 2,000 one-sample series

One body holds a tenth of a scrape of 20,000 series; scrapes follow each other every 15 s from
`start_ms`, each target at its own offset within the interval, as Prometheus spreads them. A
series has 10 to 12 labels, sorted, `__name__` first. Of the metrics

    25 %  are counters with two or three decimals (CPU seconds, sums of durations)
    30 %  are integer counters (requests, bytes)
    20 %  are gauges that walk in cents or tenths
    20 %  are constants or change once an hour (limits, info, up)
     5 %  are floats with all 53 bits random

Samples are encoded as gogoproto does it: a value of 0 is left out.

    python bench/generate_metrics.py 100 > writes.frames    unpacked, length-delimited
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable, Iterator

import cramjam

START_MS = 1_790_000_000_000
SCRAPE_MS = 15_000
SERIES = 20_000
SERIES_A_BODY = 2_000
SERIES_A_METRIC = 50
Value = Callable[[], float]


def bodies(
    count: int, seed: int = 1, start_ms: int = START_MS, scrape_ms: int = SCRAPE_MS
) -> Iterator[bytes]:
    """`count` bodies as a sender posts them, of SERIES_A_BODY samples each."""
    for body in unpacked(count, seed, start_ms, scrape_ms):
        yield bytes(cramjam.snappy.compress_raw(body))


def unpacked(
    count: int, seed: int = 1, start_ms: int = START_MS, scrape_ms: int = SCRAPE_MS
) -> Iterator[bytes]:
    """The same bodies before compression: WriteRequest messages."""
    draw = random.Random(seed)
    series = [_series(number, draw) for number in range(SERIES)]
    for number in range(count):
        scrape, part = divmod(number, SERIES // SERIES_A_BODY)
        first = part * SERIES_A_BODY
        now_ms = start_ms + scrape * scrape_ms
        yield b"".join(
            _time_series(labels, value(), now_ms + (first + n) // SERIES_A_METRIC * 37)
            for n, (labels, value) in enumerate(series[first : first + SERIES_A_BODY])
        )


def churning(active: int, scrapes: int, churn: float, start_ms: int) -> Iterator[bytes]:
    """Scrapes of `active` series a minute apart, as a sender posts them.

    2,000 metrics, each series an integer counter; every ten scrapes a share of `churn` has ended
    and as many others have begun.
    """
    labels = [_labels(number, number % 2_000, number // 2_000) for number in range(active)]
    for scrape in range(scrapes):
        if scrape and scrape % 10 == 0:
            for place in range(int(active * churn)):
                number = active + int(scrape / 10 * active * churn) + place
                labels[number % active] = _labels(number, number % 2_000, number // 2_000)
        now_ms = start_ms + scrape * 60_000
        for first in range(0, active, SERIES_A_BODY):
            some = enumerate(labels[first : first + SERIES_A_BODY], first)
            body = b"".join(
                _time_series(one, float(n % 97 * scrape), now_ms + n % 60_000) for n, one in some
            )
            yield bytes(cramjam.snappy.compress_raw(body))


def probe(number: int, now_ns: int) -> bytes:
    """A body with one sample of the metric `probe`, whose value is `number`."""
    labels = _field(1, _field(1, b"__name__") + _field(2, b"probe"))
    body = _time_series(labels, float(number), now_ns // 10**6)
    return bytes(cramjam.snappy.compress_raw(body))


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(body: bytes) -> bytes:
    """The body behind its length as a varint: what format Protobuf reads one after another."""
    return varint(len(body)) + body


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _time_series(labels: bytes, value: float, timestamp_ms: int) -> bytes:
    number = b"\x09" + struct.pack("<d", value) if value else b""
    return _field(1, labels + _field(2, number + b"\x10" + varint(timestamp_ms)))


def _series(number: int, draw: random.Random) -> tuple[bytes, Value]:
    """One series: its labels as bytes, and a function that gives its next value."""
    metric, member = divmod(number, SERIES_A_METRIC)
    _, value = KINDS[metric % len(KINDS)]
    return _labels(number, metric, member), value(random.Random(draw.getrandbits(64)))


def _labels(number: int, metric: int, member: int) -> bytes:
    kind, _ = KINDS[metric % len(KINDS)]
    pod = number % 997
    labels = {
        "__name__": f"shop_{kind}_{metric:03d}",
        "cluster": "prod-1",
        "code": ("200", "204", "404", "500")[member % 4],
        "container": f"app-{metric % 13}",
        "instance": f"10.0.{pod % 250}.{pod // 4 % 250}:9100",
        "job": f"kubernetes-pods-{metric % 7}",
        "method": ("GET", "POST", "PUT")[member % 3],
        "namespace": f"team-{metric % 17}",
        "node": f"ip-10-0-{pod % 12}-{pod % 7}.ec2.internal",
        "pod": f"checkout-{pod:03d}-{member:05x}",
        "route": f"/api/v1/resource/{member}",
        "zone": f"use1-az{pod % 3}",
    }
    kept = list(labels.items())[: 10 + number % 3]
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, text.encode())) for name, text in kept
    )


def _decimal_counter(draw: random.Random) -> Value:
    places, step = draw.choice(((2, 900), (2, 1500), (3, 9000)))
    total = draw.randrange(10**6)

    def value() -> float:
        nonlocal total
        total += draw.randrange(step)
        return total / 10.0**places

    return value


def _integer_counter(draw: random.Random) -> Value:
    total, step = draw.randrange(10**6), draw.choice((3, 40, 2_000, 60_000))

    def value() -> float:
        nonlocal total
        total += draw.randrange(step)
        return float(total)

    return value


def _gauge(draw: random.Random) -> Value:
    places, level = draw.choice((1, 2, 2)), draw.randrange(1_000, 50_000)

    def value() -> float:
        nonlocal level
        level = max(0, level + draw.randrange(-60, 61))
        return level / 10.0**places

    return value


def _constant(draw: random.Random) -> Value:
    level = draw.choice((0, 1, 1, 1, 4, 2**30, 0.25, 512 * 2**20))

    def value() -> float:
        nonlocal level
        if draw.random() < 1 / 240:
            level += 1
        return float(level)

    return value


def _any_float(draw: random.Random) -> Value:
    return lambda: draw.random() * 100


KINDS: tuple[tuple[str, Callable[[random.Random], Value]], ...] = tuple(
    [("seconds_total", _decimal_counter)] * 5
    + [("requests_total", _integer_counter)] * 6
    + [("usage", _gauge)] * 4
    + [("limit", _constant)] * 4
    + [("ratio", _any_float)] * 1
)


def main() -> None:
    for body in unpacked(int(sys.argv[1])):
        sys.stdout.buffer.write(delimited(body))


if __name__ == "__main__":
    main()
