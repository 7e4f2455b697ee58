"""What a target exposes, read by machine code, as a body of remote write 1.0.

    body      text/plain 0.0.4 and 1.0.0, OpenMetrics 1.0 and 0.0.1, protobuf with native histograms
    series    the first time: its labels are read, joined with those of the target, relabelled and
              checked; then its place is remembered by the bytes that name it in the body
    again     these bytes are hashed and found, the number is read, 18 bytes are written
    written   a TimeSeries with all labels for each sample, in the form that prometheus_native.zig
              finds at once; exemplars, if they are new, as TimeSeries of their own; MetricMetadata
              where it has changed; markers of staleness for what is gone

What is accepted, refused and said is as in Prometheus 3 (model/textparse, scrape), but a zero byte
outside of quotes is refused, not the end. A failed scrape leaves nothing but markers.

exposition.zig, compiled by `make setup`. Of several threads one waits for the other.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from trilens.protobuf_wire import block
from trilens.query.promql.literals import quote
from trilens.scrape.limits import SCHEMA_MAX, Limits
from trilens.scrape.names import is_label_name, is_metric_name

Format = Literal["text", "openmetrics", "protobuf"]
FORMATS: Final[Mapping[Format, int]] = {"text": 0, "openmetrics": 1, "protobuf": 2}
# How far in the future a sample may be.
AHEAD_MS_MAX: Final = 600_000
SCRATCH_BYTES_KEPT: Final = 8 << 20
# Of one scrape: a line of some bytes may stand for a series with long labels, again and again.
WRITTEN_BYTES_MAX: Final = 256 << 20
_SHOWN_BYTES_MAX: Final = 400
_DONE, _REFUSED, _HAS_UNKNOWN = 0, 1, 2
_LIBRARY: Final = ctypes.CDLL(str(Path(__file__).with_name("libexposition.so")))

TOKENS: Final = (
    "INVALID", "EOF", "LINEBREAK", "HELP", "TYPE", "UNIT", "EOFWORD", "TEXT", "COMMENT", "MNAME",
    "QSTRING", "BOPEN", "BCLOSE", "LNAME", "LVALUE", "COMMA", "EQUAL", "TS", "VALUE",
)  # fmt: skip
EXPECTED: Final = (
    "expected metric name after HELP",
    "expected metric name after TYPE",
    "expected metric name after UNIT",
    "linebreak expected after metadata",
    "linebreak expected after comment",
    "expected a valid start token",
    "expected value after metric",
    "expected value after exemplar labels",
    "expected next entry after timestamp",
    "expected timestamp or new record",
    "expected label name",
    "expected equal",
    "expected label value",
    "expected comma or brace close",
    "expected next entry after exemplar timestamp",
    "expected timestamp or comment",
)


class Unreadable(Exception):
    """A scrape fails: what was sent is not of its format, or over a limit. Its text says why."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the bodies of a target are read. `relabel` gets the labels of each new series.

    It may change the dict that it gets, and returns None where the series is dropped. Classic
    histograms become native ones where `custom_buckets`, and stay too where `classic_histograms`.
    No native one is finer than `schema_max`.
    """

    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps: bool = False
    legacy_names: bool = False
    classic_histograms: bool = False
    native_histograms: bool = False
    custom_buckets: bool = False
    schema_max: int = SCHEMA_MAX
    limits: Limits = field(default_factory=Limits)
    relabel: Callable[[dict[str, str]], Mapping[str, str] | None] | None = None


@dataclass(frozen=True, slots=True)
class Scraped:
    """`body` is a prometheus.WriteRequest; empty where there is nothing to write.

    `error` is None, or why the scrape failed: then the body has markers of staleness only.
    `scraped` counts samples in what was read, `kept` those that relabelling left, `added` new
    series.
    """

    body: bytes
    scraped: int
    kept: int
    added: int
    duplicates: int = 0
    out_of_bounds: int = 0
    error: str | None = None


class _Options(ctypes.Structure):
    _fields_ = (
        ("default_ms", ctypes.c_int64), ("latest_ms", ctypes.c_int64),
        ("sample_limit", ctypes.c_uint64), ("written_bytes_max", ctypes.c_uint64),
        ("label_limit", ctypes.c_uint64),
        ("label_name_bytes_max", ctypes.c_uint64), ("label_value_bytes_max", ctypes.c_uint64),
        ("format", ctypes.c_uint8), ("honor_labels", ctypes.c_bool),
        ("honor_timestamps", ctypes.c_bool), ("track_timestamps", ctypes.c_bool),
        ("legacy_names", ctypes.c_bool), ("relabels", ctypes.c_bool),
        ("all_metadata", ctypes.c_bool), ("classic_histograms", ctypes.c_bool),
        ("native_histograms", ctypes.c_bool), ("custom_buckets", ctypes.c_bool),
        ("schema_max", ctypes.c_int8), ("bucket_limit", ctypes.c_uint64),
    )  # fmt: skip


class _Result(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in
          ("scraped", "kept", "added", "duplicates", "out_of_bounds", "unknown")),
        ("failure", ctypes.c_uint32), ("token", ctypes.c_uint32),
        *((name, ctypes.c_uint64) for name in
          ("token_start", "token_end", "entry_start", "entry_end", "about_start", "about_end",
           "number")),
    )  # fmt: skip


class _Unknown(ctypes.Structure):
    _fields_ = (
        ("key", ctypes.c_uint64), ("head_start", ctypes.c_uint64), ("head_end", ctypes.c_uint64),
    )  # fmt: skip


class Scratch:
    """Room for one scrape; many targets share it, one after the other."""

    def __init__(self) -> None:
        self.at = _LIBRARY.open_scratch()
        if not self.at:
            raise MemoryError

    def bytes(self, which: int) -> bytes:
        """0 what was written, 1 the labels of unknown series, 2 these series."""
        start = ctypes.c_void_p()
        size = _LIBRARY.bytes_of(self.at, which, ctypes.byref(start))
        return ctypes.string_at(start, size) if size else b""

    def trim(self) -> None:
        _LIBRARY.trim(self.at, SCRATCH_BYTES_KEPT)

    def __del__(self) -> None:
        if getattr(self, "at", None):
            _LIBRARY.close_scratch(self.at)


class Exposition:
    """The series of one target, as far as they are remembered."""

    def __init__(self, labels: Mapping[str, str], reading: Reading, *, seed: int) -> None:
        """`labels` are those of the target without the ones that begin with __.

        `seed` should be secret: nobody can then choose names that collide.
        """
        head = label_fields(labels)
        self._turn = threading.Lock()  # a scrape that was cancelled may still be read
        self._reading = reading
        self._relabels_s_max = math.inf
        self._target = _LIBRARY.open_target(seed, head, len(head))
        if not self._target:
            raise MemoryError

    def __del__(self) -> None:
        if getattr(self, "_target", None):
            _LIBRARY.close_target(self._target)

    def held(self) -> tuple[int, int]:
        """How many series are remembered, and in how many bytes."""
        size = ctypes.c_size_t()
        return _LIBRARY.held(self._target, ctypes.byref(size)), size.value

    def read(
        self,
        body: bytes,
        form: Format,
        time_ms: int,
        scratch: Scratch,
        *,
        all_metadata: bool = False,
        relabels_s_max: float = math.inf,
    ) -> Scraped:
        """One scrape, at `time_ms`. With `all_metadata` what is known of families is sent again.

        It fails where relabelling of new series takes longer than `relabels_s_max`; those that were
        relabelled are known the next time.
        """
        with self._turn:
            self._relabels_s_max = relabels_s_max
            return self._read_whole(body, form, time_ms, scratch, all_metadata=all_metadata)

    def _read_whole(
        self, body: bytes, form: Format, time_ms: int, scratch: Scratch, *, all_metadata: bool
    ) -> Scraped:
        options = self._options(form, time_ms, all_metadata=all_metadata)
        result = _Result()
        try:
            self._read(body, scratch, options, result)
        except Unreadable as error:
            return self._failed(scratch, options, result, str(error))
        self._end(scratch, options, result, has_failed=False)
        written = scratch.bytes(0)
        scratch.trim()
        return Scraped(
            written, result.scraped, result.kept, result.added, result.duplicates,
            result.out_of_bounds,
        )  # fmt: skip

    def end(self, time_ms: int, scratch: Scratch) -> bytes:
        """Markers of staleness for all that was there: the target failed, or is gone."""
        with self._turn:
            self._end(scratch, self._options("text", time_ms), _Result(), has_failed=True)
            return scratch.bytes(0)

    def _options(self, form: Format, time_ms: int, *, all_metadata: bool = False) -> _Options:
        reading, limits = self._reading, self._reading.limits
        return _Options(
            time_ms, time_ms + AHEAD_MS_MAX, limits.samples, WRITTEN_BYTES_MAX, limits.labels,
            limits.label_name_bytes, limits.label_value_bytes, FORMATS[form],
            reading.honor_labels, reading.honor_timestamps, reading.track_timestamps,
            reading.legacy_names, reading.relabel is not None, all_metadata,
            reading.classic_histograms, reading.native_histograms, reading.custom_buckets,
            reading.schema_max, limits.buckets,
        )  # fmt: skip

    def _read(self, body: bytes, scratch: Scratch, options: _Options, result: _Result) -> None:
        for is_again in (False, True):
            code = _LIBRARY.read_body(
                self._target, scratch.at, ctypes.byref(options), body, len(body), is_again,
                ctypes.byref(result),
            )  # fmt: skip
            if code == _DONE:
                return
            if code == _REFUSED:
                raise Unreadable(explained(body, result, scratch, options))
            if code != _HAS_UNKNOWN:
                raise MemoryError
            self._learn(scratch, result)
        raise Unreadable("series of the body cannot be remembered")

    def _learn(self, scratch: Scratch, result: _Result) -> None:
        """Relabel and check what is new. Raises Unreadable."""
        assert self._reading.relabel is not None
        heads = scratch.bytes(1)
        until_s = time.monotonic() + self._relabels_s_max
        for one in (_Unknown * result.unknown).from_buffer_copy(scratch.bytes(2)):
            result.scraped += 1  # it counts if it is refused; else it is read again, from 0 on
            labels = self._reading.relabel(labels_of(heads[one.head_start : one.head_end]))
            head = b""
            if labels:
                check(labels, self._reading)
                head = label_fields(labels)
            if _LIBRARY.learn(self._target, one.key, head, len(head)) != _DONE:
                raise MemoryError
            if time.monotonic() > until_s:
                raise Unreadable(
                    f"relabelling of new series takes longer than {self._relabels_s_max:g} s"
                )

    def _failed(self, scratch: Scratch, options: _Options, result: _Result, error: str) -> Scraped:
        scraped, kept, added = result.scraped, result.kept, result.added
        self._end(scratch, options, result, has_failed=True)
        return Scraped(scratch.bytes(0), scraped, kept, added, error=error)

    def _end(
        self, scratch: Scratch, options: _Options, result: _Result, *, has_failed: bool
    ) -> None:
        code = _LIBRARY.end_scrape(
            self._target, scratch.at, ctypes.byref(options), has_failed, ctypes.byref(result)
        )
        if code != _DONE:
            raise MemoryError


def label_fields(labels: Mapping[str, str]) -> bytes:
    """As fields of a TimeSeries, sorted by name."""
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items() if value)
    return b"".join(block(1, block(1, name) + block(2, value)) for name, value in pairs)


def labels_of(head: bytes) -> dict[str, str]:
    """The labels in what exposition.zig wrote."""
    labels: dict[str, str] = {}
    at = 0
    while at < len(head):
        _, at = _length(head, at + 1)
        size, at = _length(head, at + 1)
        name, at = head[at : at + size], at + size
        size, at = _length(head, at + 1)
        # A name that is no UTF-8 is refused by check(), after relabelling.
        labels[name.decode("utf-8", "surrogateescape")] = head[at : at + size].decode(
            "utf-8", "surrogateescape"
        )
        at += size
    return labels


def _length(bytes_: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte = bytes_[at]
        size |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return size, at


def check(labels: Mapping[str, str], reading: Reading) -> None:
    """Names and limits of labels that were relabelled. Raises Unreadable."""
    metric = labels.get("__name__", "")
    if not metric:
        raise Unreadable("missing metric name (__name__ label)")
    legacy = reading.legacy_names
    if not is_metric_name(metric, legacy=legacy) or not all(
        is_label_name(name, legacy=legacy) for name in labels
    ):
        raise Unreadable(f"invalid metric name or label names: {shown_labels(labels)}")
    limits = reading.limits
    if limits.labels and len(labels) > limits.labels:
        raise Unreadable(_too_many(metric, len(labels), limits.labels))
    for name, value in labels.items():
        if limits.label_name_bytes and len(name.encode()) > limits.label_name_bytes:
            raise Unreadable(_name_too_long(metric, name, limits.label_name_bytes))
        if limits.label_value_bytes and len(value.encode()) > limits.label_value_bytes:
            raise Unreadable(_value_too_long(metric, name, value, limits.label_value_bytes))


def shown_labels(labels: Mapping[str, str]) -> str:
    """As Prometheus writes a set of labels."""
    parts = []
    for name, value in sorted(labels.items()):
        plain = is_label_name(name, legacy=True)
        parts.append(f"{name if plain else quote(name)}={quote(value)}")
    return "{" + ", ".join(parts) + "}"


def _too_many(metric: str, count: int, limit: int) -> str:
    return (
        f"label_limit exceeded (metric: {metric[:50]}, number of labels: {count}, limit: {limit})"
    )


def _name_too_long(metric: str, name: str, limit: int) -> str:
    return (
        f"label_name_length_limit exceeded (metric: {metric[:50]}, label name: {name[:50]}, "
        f"length: {len(name.encode())}, limit: {limit})"
    )


def _value_too_long(metric: str, name: str, value: str, limit: int) -> str:
    return (
        f"label_value_length_limit exceeded (metric: {metric[:50]}, label name: {name[:50]}, "
        f"value: {quote(value[:50])}, length: {len(value.encode())}, limit: {limit})"
    )


def explained(body: bytes, result: _Result, scratch: Scratch, options: _Options) -> str:
    """Why a body was refused, in Prometheus's words."""

    def shown(start: int, end: int) -> str:
        part = body[start : min(end, start + _SHOWN_BYTES_MAX)]
        return quote(part.decode("utf-8", "replace"))

    entry = shown(result.entry_start, result.entry_end)
    about = shown(result.about_start, result.about_end)
    token = TOKENS[result.token]
    heads = scratch.bytes(1)
    name = heads[: result.about_start].decode("utf-8", "replace")
    value = heads[result.about_start :].decode("utf-8", "replace")
    metric = (
        body[result.entry_start : result.entry_end]
        .split(b"{")[0]
        .split(b" ")[0]
        .decode("utf-8", "replace")
    )
    unit = shown(result.token_start, result.token_end)
    texts: Mapping[int, Callable[[], str]] = {
        1: lambda: (
            f"{EXPECTED[result.number]}, got "
            f'{shown(result.token_start, result.token_end)} ("{token}") while parsing: {entry}'
        ),
        2: lambda: f"expected text in {TOKENS[result.number]}, got {token}",
        3: lambda: f"invalid metric type {about}",
        4: lambda: f"help text {about} is not a valid utf8 string",
        5: lambda: f"unit {unit} not a suffix of metric {about}",
        6: lambda: "unexpected data after # EOF",
        7: lambda: "data does not end with # EOF",
        8: lambda: f"{_float_refused(about)} while parsing: {entry}",
        9: lambda: (
            f"strconv.ParseFloat: parsing {about}: value out of range while parsing: {entry}"
        ),
        10: lambda: f"strconv.ParseInt: parsing {about}: value out of range while parsing: {entry}",
        11: lambda: f"invalid timestamp {about}",
        12: lambda: f"invalid exemplar timestamp {about}",
        13: lambda: f"metric name not set while parsing: {entry}",
        14: lambda: f"metric name already set while parsing: {entry}",
        15: lambda: f"invalid UTF-8 label value: {about}",
        16: lambda: "sample limit exceeded",
        17: lambda: _too_many(metric, result.number, options.label_limit),
        18: lambda: _name_too_long(metric, name, options.label_name_bytes_max),
        19: lambda: _value_too_long(metric, name, value, options.label_value_bytes_max),
        20: lambda: "missing metric name (__name__ label)",
        21: lambda: f"invalid metric name or label names: {entry}",
        22: lambda: f"label name {quote(name)} is not unique: invalid sample",
        23: lambda: "more series than one target may have",
        24: lambda: "a series with more labels than one may have",
        25: lambda: "the body is no sound io.prometheus.client.MetricFamily",
        26: lambda: "a native histogram whose schema, spans, buckets and count do not agree",
        27: lambda: f"what is written of one scrape would be more than {WRITTEN_BYTES_MAX} bytes",
        28: lambda: "histogram bucket limit exceeded",
        29: lambda: "a classic histogram whose counts are not those of one histogram",
    }
    return texts[result.failure]()


def _float_refused(text: str) -> str:
    if any(character in text for character in "pP_"):
        return "unsupported character in float"
    return f"strconv.ParseFloat: parsing {text}: invalid syntax"


def _declare(name: str, result: type | None, *arguments: type) -> None:
    function = getattr(_LIBRARY, name)
    function.restype, function.argtypes = result, arguments


_AT, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_declare("open_scratch", _AT)
_declare("close_scratch", None, _AT)
_declare("open_target", _AT, ctypes.c_uint64, ctypes.c_char_p, _SIZE)
_declare("close_target", None, _AT)
_declare("held", _SIZE, _AT, ctypes.POINTER(ctypes.c_size_t))
_declare(
    "read_body", ctypes.c_int,
    _AT, _AT, ctypes.POINTER(_Options), ctypes.c_char_p, _SIZE, ctypes.c_bool,
    ctypes.POINTER(_Result),
)  # fmt: skip
_declare("learn", ctypes.c_int, _AT, ctypes.c_uint64, ctypes.c_char_p, _SIZE)
_declare(
    "end_scrape", ctypes.c_int,
    _AT, _AT, ctypes.POINTER(_Options), ctypes.c_bool, ctypes.POINTER(_Result),
)  # fmt: skip
_declare("bytes_of", _SIZE, _AT, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p))
_declare("trim", None, _AT, _SIZE)
