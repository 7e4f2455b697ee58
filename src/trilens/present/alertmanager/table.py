"""The calls of Alertmanager's API v2, for the document: method, path, sentence, parameters."""

from __future__ import annotations

from typing import Final

_STATES: Final = ("active", "silenced", "inhibited", "unprocessed")
_OF_ALERTS: Final = (*_STATES, "filter", "receiver", "receiver_matchers")
CALLS: Final = (
    ("GET", "/status", "Its configuration without secrets, its version, since when it runs.", ()),
    ("GET", "/receivers", "Who can be notified.", ("receiver_matchers",)),
    ("GET", "/alerts", "Alerts that fire.", _OF_ALERTS),
    ("POST", "/alerts", "Takes alerts; 200 when they are on disk.", ()),
    ("GET", "/alerts/groups", "Alerts in their groups.", (*_OF_ALERTS, "muted")),
    ("GET", "/silences", "Silences, also those that are over.", ("filter", "active", "pending",
                                                                 "expired")),
    ("POST", "/silences", "Makes or changes a silence; 200 when it is on disk.", ()),
    ("GET", "/silence/{id}", "One silence.", ()),
    ("DELETE", "/silence/{id}", "Ends a silence.", ()),
    ("GET", "/trilens/attempts", "Every attempt to notify that is on record, newest first.", ()),
)  # fmt: skip
PARAMETERS: Final = {
    "active": "`false`: leave out what is active.",
    "silenced": "`false`: leave out silenced alerts.",
    "inhibited": "`false`: leave out inhibited alerts.",
    "unprocessed": "Says nothing here: every alert is looked at when it is asked for.",
    "muted": "`false`: leave out groups that a time interval mutes.",
    "pending": "`false`: leave out silences that have not begun.",
    "expired": "`false`: leave out silences that are over.",
    "filter": "A matcher as a=~b; may come more than once.",
    "receiver": "A regular expression: alerts that such a receiver is notified of.",
    "receiver_matchers": "A matcher of a receiver's labels; may come more than once.",
}
