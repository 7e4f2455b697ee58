"""Wire bytes to envelopes and a reply: one protocol, one file, pure functions.

The receiver spec. A receiver

- must be a pure function of request, limits and time of receipt: no sockets, no clocks, no SQL;
- must keep the payload byte for byte in the envelope, since decoding is the engine's work; where
  the engine cannot read the framing it re-frames without loss and says so in its docstring;
- must check the whole message and bound its size after decompression, in bounded memory;
- must answer in the protocol's own forms: success, partial success, final error, overload;
- must raise nothing but `Refused`;
- must be counted: received, accepted, refused by code, bytes, seconds (`listener` does it);
- must have case files for empty, truncated, oversized, unknown field and duplicate delivery;
- must name in its docstring the published spec and version, and what is left out.

A duplicate delivery is accepted twice: these protocols give a request no identity.

Reading order: `exchange`, `otlp`, `prometheus_write`, then `admission` and `listener`, which is
where sockets begin. `bodies` and `protobuf_check` are how bounds are kept.
"""

from __future__ import annotations

from typing import Final

from trilens.receive import otlp, prometheus_write
from trilens.receive.exchange import Limits, Receiver

RECEIVERS: Final = (
    Receiver(
        name="otlp",
        spec="OTLP 1.9",
        paths={signal.path: signal.format for signal in otlp.SIGNALS.values()},
        accept=otlp.accept,
        refuse=otlp.refuse,
    ),
    Receiver(
        name="prometheus_write",
        spec="Prometheus remote write 1.0 and 2.0-rc.4",
        paths={"/api/v1/write": "prometheus_write"},
        accept=prometheus_write.accept,
        refuse=prometheus_write.refuse,
    ),
)

__all__ = ["RECEIVERS", "Limits", "Receiver"]
