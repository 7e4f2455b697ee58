"""Wire bytes to envelopes and a reply: one protocol, one file, pure functions.

The receiver spec. A receiver

- must be a pure function of request, limits and time of receipt: no sockets, no clocks, no SQL;
  what it remembers between requests is an argument, and only makes them cheaper;
- must keep the payload byte for byte in the envelope, since decoding is the engine's work; where
  the engine cannot read the framing, or most of it is known, it re-frames without loss and says so
  in its docstring;
- must check the whole message and bound its size after decompression, in bounded memory;
- must answer in the protocol's own forms: success, partial success, final error, overload;
- must raise nothing but `Refused`;
- must be counted: received, accepted, refused by code, bytes, seconds (`listener` does it);
- must have case files for empty, truncated, oversized, unknown field and duplicate delivery;
- must name in its docstring the published spec and version, and what is left out.

A duplicate delivery is accepted twice: these protocols give a request no identity.

Reading order: `exchange`, `otlp`, `prometheus_write` with `prometheus_split`, `known_series` and
`prometheus_native`, `receivers`, then `admission` and `listener`, which is where sockets begin.
`bodies` and `protobuf_check` are how bounds are kept.
"""

from trilens.receive.exchange import Limits, Receiver
from trilens.receive.known_series import KnownSeries
from trilens.receive.receivers import OTLP, receivers

__all__ = ["OTLP", "KnownSeries", "Limits", "Receiver", "receivers"]
