"""Every receiver of the program, by name."""

from __future__ import annotations

from functools import partial
from typing import Final

from trilens.receive import otlp, prometheus_write
from trilens.receive.exchange import Receiver
from trilens.receive.known_series import KnownSeries

OTLP: Final = Receiver(
    name="otlp",
    spec="OTLP 1.9",
    paths={signal.path: signal.format for signal in otlp.SIGNALS.values()},
    accept=otlp.accept,
    refuse=otlp.refuse,
    inline_bytes_max=256 << 10,
)


def receivers(known: KnownSeries) -> tuple[Receiver, ...]:
    """All of them. `known` is what one server has kept of series, and nothing else."""
    return (
        OTLP,
        Receiver(
            name="prometheus_write",
            spec="Prometheus remote write 1.0 and 2.0-rc.4",
            paths={"/api/v1/write": "prometheus_write"},
            accept=partial(prometheus_write.accept, known=known),
            refuse=prometheus_write.refuse,
            inline_bytes_max=1 << 20,
        ),
    )
