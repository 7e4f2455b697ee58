"""The state as records of the journal, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from trilens.notify.alerts import Alert
from trilens.notify.journal import Record
from trilens.notify.sent_log import SentLog
from trilens.notify.silences import Silence, Silences

ALERTS_IN_RECORD: Final = 1000


def of_alerts(alerts: Iterable[Alert]) -> Record:
    return {"t": "alerts", "a": [one.as_json() for one in alerts]}


def of_silences(silences: Iterable[Silence]) -> Record:
    """What changes at once stands or falls together."""
    return {"t": "silences", "s": [one.as_json() for one in silences]}


def of_all(alerts: dict[str, Alert], silences: Silences, sent: SentLog) -> Iterator[Record]:
    """What rebuilds the state."""
    every = [*alerts.values()]
    for begin in range(0, len(every), ALERTS_IN_RECORD):
        yield of_alerts(every[begin : begin + ALERTS_IN_RECORD])
    for silence in silences:
        yield of_silences([silence])
    yield from sent.rows()


def restore(record: Record, alerts: dict[str, Alert], silences: Silences, sent: SentLog) -> None:
    """One record after the other, in their order."""
    match record["t"]:
        case "alerts":
            for row in record["a"]:
                alert = Alert.from_json(row)
                alerts[alert.fingerprint] = alert
        case "silence":
            silences.restore(Silence.from_json(record))
        case "silences":
            for row in record["s"]:
                silences.restore(Silence.from_json(row))
        case "gone":
            for fingerprint in record["f"]:
                alerts.pop(fingerprint, None)
            for silence_id in record["s"]:
                silences.drop(silence_id)
        case "attempt":
            sent.restore_attempt(record)
        case _:
            sent.restore(record)
