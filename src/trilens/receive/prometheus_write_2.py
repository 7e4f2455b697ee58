"""Prometheus remote write 2.0-rc.4 (prometheus.io/docs/specs/prw/remote_write_spec_2_0).

Accepted    what prometheus_write.py accepts, around an io.prometheus.write.v2.Request
Kept        re-framed to one prometheus.WriteRequest, so that the store reads one format: symbols
            become labels, samples and native histograms stay as bytes (start_timestamp keeps its
            field 3 and 17, which 1.0 does not have; the older created_timestamp of a series fills
            it), series metadata becomes one MetricMetadata a metric
Answered    204 with the three X-Prometheus-Remote-Write-*-Written counts
Partial     a series that breaks a rule of the spec (references, label names, samples beside
            histograms) is left out, the rest is written, and the answer is 400 with the counts
            and the first reasons: the sender does not repeat it
Left out    an unsorted set of labels is sorted rather than left out, as Prometheus does
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from trilens.errors import Refused
from trilens.protobuf_wire import varint
from trilens.receive.exchange import Reply
from trilens.receive.prometheus_schema import V1, V2, V2_SLICES
from trilens.receive.protobuf_check import checked

MESSAGE: Final = "io.prometheus.write.v2.Request"
REASONS_MAX: Final = 3
_REFS: Final = V2_SLICES["LabelsRefs"]
_HEADER: Final = "x-prometheus-remote-write-{}-written"


def reframed(message: bytes) -> tuple[bytes, Reply]:
    """A request as one of 1.0, and the answer. Raises Refused for what is wrong as a whole."""
    checked(V2["Request"], message)
    request: Any = V2_SLICES["Request"].FromString(message)
    if not request.timeseries:
        return b"", Reply(204, written(0, 0, 0))
    reframing = _Reframing(list(request.symbols))
    for series in request.timeseries:
        reframing.add(series)
    return reframing.body(), reframing.reply()


def written(samples: int, histograms: int, exemplars: int) -> tuple[tuple[str, str], ...]:
    counts = {"samples": samples, "histograms": histograms, "exemplars": exemplars}
    return tuple((_HEADER.format(kind), str(count)) for kind, count in counts.items())


class _LeftOutError(Exception):
    """Why one series is not written."""


class _Labels(dict[tuple[int, int], bytes]):
    """Each pair of references that a series used, as a Label field of 1.0, encoded once."""

    def __init__(self, symbols: list[bytes]) -> None:
        super().__init__()
        self._symbols = symbols
        self._names = [_field(b"\x0a", symbol) for symbol in symbols]
        self._values = [_field(b"\x12", symbol) for symbol in symbols]

    def __missing__(self, pair: tuple[int, int]) -> bytes:
        name, value = pair
        if value >= len(self._symbols):
            raise _LeftOutError(f"reference {value} is beyond the {len(self._symbols)} symbols")
        if not self._symbols[value]:
            raise _LeftOutError("an empty label value")
        label = self[pair] = _field(b"\x0a", self._names[name] + self._values[value])
        return label


@dataclass(slots=True)
class _Reframing:
    """One request on its way to 1.0. Every cache lives as long as the request.

    A label pair is encoded once for all series that have it, and a set of label names is checked
    once for all series of that shape: a series then costs a few dictionary look-ups.
    """

    symbols: list[bytes]
    labels: _Labels = field(init=False)
    name_ref: int = -1
    parts: list[bytes] = field(default_factory=list)
    metadata: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    good_shapes: set[tuple[int, ...]] = field(default_factory=set)
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0
    left_out: int = 0
    reasons: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.symbols or self.symbols[0] != b"":
            raise Refused("malformed", "the first symbol is not the empty string")
        if b"__name__" in self.symbols:
            self.name_ref = self.symbols.index(b"__name__")
        self.labels = _Labels(self.symbols)

    def add(self, data: bytes) -> None:
        """One series: all of it, or nothing and a reason."""
        try:
            if not self._add_plain(data):
                self._add(data)
        except _LeftOutError as error:
            self.left_out += 1
            if len(self.reasons) < REASONS_MAX:
                self.reasons[str(error)] = None

    def _add_plain(self, data: bytes) -> bool:
        """The usual series: references, one sample, perhaps metadata, all shorter than 128 bytes.

        Its sample is the same field in 1.0, so it is passed on by slicing. The message has been
        checked, so the lengths in it are true.
        """
        size_bytes = len(data)
        if size_bytes < 4 or data[0] != 0x0A or data[1] > 127:
            return False
        sample = data[1] + 2
        if sample + 1 >= size_bytes or data[sample] != 0x12 or data[sample + 1] > 127:
            return False
        rest = sample + 2 + data[sample + 1]
        if rest < size_bytes and (data[rest] != 0x2A or rest + 2 + data[rest + 1] != size_bytes):
            return False
        refs: list[int] = list(_REFS.FromString(data[:sample]).labels_refs)  # type: ignore[attr-defined]
        body = self._label_fields(refs) + data[sample:rest]
        if rest < size_bytes:
            self._note_metadata(refs, data[rest + 2 :])
        self.parts += (b"\x0a", varint(len(body)), body)
        self.samples += 1
        return True

    def _add(self, data: bytes) -> None:
        series: Any = V2_SLICES["TimeSeries"].FromString(data)
        refs, samples, histograms = list(series.labels_refs), series.samples, series.histograms
        if bool(samples) == bool(histograms):
            raise _LeftOutError("a series needs either samples or histograms")
        started = series.created_timestamp
        if started:
            samples = [_started(s, b"\x18", V2["Sample"], started) for s in samples]
            histograms = [_started(h, b"\x88\x01", V2["Histogram"], started) for h in histograms]
        fields = [self._label_fields(refs)]
        fields += [_field(b"\x12", sample) for sample in samples]
        fields += [self._exemplar_field(exemplar) for exemplar in series.exemplars]
        fields += [_field(b"\x22", histogram) for histogram in histograms]
        if series.metadata:
            self._note_metadata(refs, series.metadata)
        self.parts.append(_field(b"\x0a", b"".join(fields)))
        self.samples += len(samples)
        self.histograms += len(histograms)
        self.exemplars += len(series.exemplars)

    def _label_fields(self, refs: list[int]) -> bytes:
        """The label fields of one series, sorted by name."""
        shape = tuple(refs[::2])
        if shape not in self.good_shapes or len(refs) % 2:
            refs = self._checked_refs(refs)
            if tuple(refs[::2]) == shape:
                self.good_shapes.add(shape)
        return b"".join(map(self.labels.__getitem__, zip(refs[::2], refs[1::2], strict=True)))

    def _checked_refs(self, refs: list[int]) -> list[int]:
        """`refs` sorted by label name, if the names are a valid set."""
        if not refs or len(refs) % 2:
            raise _LeftOutError("no labels" if not refs else "an odd number of label references")
        names = [self._symbol(ref) for ref in refs[::2]]
        if b"" in names:
            raise _LeftOutError("an empty label name")
        if len(set(names)) < len(names):
            raise _LeftOutError("a label name twice in one series")
        ordered = sorted(zip(names, refs[::2], refs[1::2], strict=True))
        return [ref for _, name, value in ordered for ref in (name, value)]

    def _exemplar_field(self, data: bytes) -> bytes:
        exemplar: Any = V2_SLICES["Exemplar"].FromString(data)
        refs = list(exemplar.labels_refs)
        labels = self._label_fields(refs) if refs else b""
        exemplar.ClearField("labels_refs")
        return _field(b"\x1a", labels + exemplar.SerializeToString())

    def _note_metadata(self, refs: list[int], data: bytes) -> None:
        """One MetricMetadata for each metric and each content of it."""
        names = refs[::2]
        if self.name_ref not in names:
            return
        metric = refs[2 * names.index(self.name_ref) + 1]
        if (metric, data) in self.metadata:
            return
        sent: Any = V2_SLICES["Metadata"].FromString(data)
        entry = V1["MetricMetadata"](
            type=sent.type,
            metric_family_name=self._symbol(metric).decode(),
            help=self._symbol(sent.help_ref).decode(),
            unit=self._symbol(sent.unit_ref).decode(),
        )
        self.metadata[metric, data] = _field(b"\x1a", entry.SerializeToString())

    def _symbol(self, ref: int) -> bytes:
        if ref >= len(self.symbols):
            raise _LeftOutError(f"reference {ref} is beyond the {len(self.symbols)} symbols")
        return self.symbols[ref]

    def body(self) -> bytes:
        return b"".join([*self.parts, *self.metadata.values()])

    def reply(self) -> Reply:
        headers = written(self.samples, self.histograms, self.exemplars)
        if not self.left_out:
            return Reply(204, headers)
        text = f"{self.left_out} series left out: {'; '.join(self.reasons)}\n"
        return Reply(400, (("content-type", "text/plain; charset=utf-8"), *headers), text.encode())


def _started(data: bytes, tag: bytes, message_class: Any, started_at_ms: int) -> bytes:
    """A sample or histogram with the start of its series, unless it has one of its own."""
    if message_class.FromString(data).start_timestamp:
        return data
    return data + tag + varint(started_at_ms)


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content
