"""Alertmanager's API v2 (openapi.yaml of 0.34): amtool, Grafana and Prometheus speak it.

    GET  /api/v2/status           POST, GET    /api/v2/silences
    GET  /api/v2/receivers        GET, DELETE  /api/v2/silence/{id}
    GET  /api/v2/alerts/groups    POST, GET    /api/v2/alerts
    GET  /api/v2/trilens/attempts   ours: every attempt to notify that is on record

What is answered with 200 is on disk, synced. Errors are a JSON string, or {"code", "message"} for
a request that is not of the form, as go-swagger makes them.
"""

from __future__ import annotations

import platform
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from trilens.clock import Clock
from trilens.config_files.masking import masked
from trilens.errors import Refused
from trilens.http_body import read_body
from trilens.notify.alerts import Alert
from trilens.notify.instants import print_instant_ms
from trilens.notify.matchers import Matcher, MatcherFault, parse_matcher
from trilens.notify.notifier import Notifier, TooManyAlerts
from trilens.notify.silences import InvalidSilence, NoSuchSilence, Silence
from trilens.present.alertmanager import rows as encoded
from trilens.present.answers import broken, json_reply, refusal
from trilens.present.threads import Threads
from trilens.query.promql.regex import Regex, compile_regex

BASE: Final = "/api/v2"
BODY_BYTES_MAX: Final = 16 << 20
# The version whose API this is; clients compare it with what they need.
VERSION: Final = "0.34.0"
_STATES: Final = {"active": 1, "pending": 2, "expired": 3}
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False, "t": True, "f": False,
                    "True": True, "False": False, "TRUE": True, "FALSE": False}  # fmt: skip
Call = Callable[["_Asked"], Response]


@dataclass(frozen=True, slots=True)
class _Asked:
    query: Mapping[str, list[str]]
    body: bytes
    silence_id: str

    def one(self, name: str) -> str | None:
        return self.query[name][-1] if name in self.query else None

    def boolean(self, name: str) -> bool:
        """True where it is absent. Raises Malformed."""
        text = self.one(name)
        if text is None or text == "":
            return True
        if text not in _BOOLEANS:
            raise encoded.Malformed(f"{name} in query must be of type boolean: {text!r}")
        return _BOOLEANS[text]

    def matchers(self, name: str) -> list[Matcher]:
        """Raises MatcherFault."""
        return [parse_matcher(text) for text in self.query.get(name, [])]

    def receiver(self) -> Regex | None:
        text = self.one("receiver")
        if text is None:
            return None
        try:
            return compile_regex(text)
        except ValueError as error:
            raise MatcherFault(f"failed to parse receiver param: {error}") from None


@dataclass(frozen=True, slots=True)
class Alertmanager:
    notifier: Notifier
    clock: Clock
    threads: Threads

    def routes(self) -> list[BaseRoute]:
        table: list[tuple[str, str, Call]] = [
            ("GET", "/status", self._status),
            ("GET", "/receivers", self._receivers),
            ("GET", "/alerts", self._alerts),
            ("POST", "/alerts", self._post_alerts),
            ("GET", "/alerts/groups", self._groups),
            ("GET", "/silences", self._silences),
            ("POST", "/silences", self._post_silence),
            ("GET", "/silence/{id}", self._silence),
            ("DELETE", "/silence/{id}", self._delete_silence),
            ("GET", "/trilens/attempts", self._attempts),
        ]
        return [
            Route(BASE + path, self._served(call), methods=[method]) for method, path, call in table
        ]

    def _served(self, call: Call) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:  # noqa: PLR0911 - one case a fault
            try:
                asked = await _asked(request)
                return await self.threads.run(call, asked)
            except encoded.Malformed as fault:
                code = 602 if fault.status == 422 else fault.status
                return json_reply({"code": code, "message": str(fault)}, fault.status)
            except (MatcherFault, InvalidSilence) as fault:
                return json_reply(str(fault), 400)
            except NoSuchSilence:
                return json_reply("silence not found", 404)
            except TooManyAlerts:
                return json_reply("too many alerts are active", 503)
            except OSError as error:
                return json_reply(f"the disk does not take it: {error.strerror}", 500)
            except Refused as refused:
                return refusal(refused)
            except Exception:  # noqa: BLE001 - whatever it is, the caller gets its number
                return broken()

        return serve

    def _status(self, _asked: _Asked) -> Response:
        text = masked(self.notifier.config.text)
        return json_reply({
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": text},
            "uptime": print_instant_ms(self.notifier.started_at_ns),
            "versionInfo": {
                "branch": "trilens", "buildDate": "", "buildUser": "trilens",
                "goVersion": f"python{platform.python_version()}", "revision": "trilens",
                "version": VERSION,
            },
        })  # fmt: skip

    def _receivers(self, asked: _Asked) -> Response:
        matchers = asked.matchers("receiver_matchers")
        return json_reply([
            {"name": one.name, "labels": one.labels}
            for one in self.notifier.config.receivers.values()
            if _matches(matchers, one.labels)
        ])  # fmt: skip

    def _alerts(self, asked: _Asked) -> Response:
        wanted = _Wanted(self.notifier, asked)
        rows = []
        for alert in self.notifier.alerts():
            receivers = self.notifier.receivers_of(alert)
            if any(wanted.receiver(name) for name in receivers) and wanted.labels(alert):
                row = encoded.alert_row(self.notifier, alert, receivers)
                if wanted.state(row["status"]):
                    rows.append(row)
        return json_reply(sorted(rows, key=lambda row: row["fingerprint"]))

    def _post_alerts(self, asked: _Asked) -> Response:
        alerts, faults = encoded.alerts_of(
            asked.body, now_ns=self.clock.now_ns(),
            resolve_timeout_ns=self.notifier.resolve_timeout_ns,
        )  # fmt: skip
        if alerts:
            self.notifier.put(alerts)
        return json_reply("; ".join(faults[:20]), 400) if faults else Response(status_code=200)

    def _groups(self, asked: _Asked) -> Response:
        wanted, shows_muted = _Wanted(self.notifier, asked), asked.boolean("muted")
        found = []
        for group, alerts in self.notifier.groups():
            muted_by = self.notifier.muted_by(group)
            if not wanted.receiver(group.route.receiver) or (muted_by and not shows_muted):
                continue
            rows = [
                encoded.alert_row(self.notifier, one, self.notifier.receivers_of(one), muted_by)
                for one in alerts if wanted.labels(one)
            ]  # fmt: skip
            rows = [row for row in rows if wanted.state(row["status"])]
            if rows:
                found.append(encoded.group_row(self.notifier, group, rows))
        return json_reply(found)

    def _silences(self, asked: _Asked) -> Response:
        matchers, now_ns = asked.matchers("filter"), self.clock.now_ns()
        states = {state for state in _STATES if asked.boolean(state)}
        found = [
            one for one in self.notifier.silences()
            if one.state(now_ns) in states and set(matchers) <= set(one.matchers)
        ]  # fmt: skip
        found.sort(key=lambda one: _order(one, now_ns))
        return json_reply([encoded.silence_row(one, now_ns) for one in found])

    def _post_silence(self, asked: _Asked) -> Response:
        silence_id = self.notifier.put_silence(encoded.silence_of(asked.body))
        return json_reply({"silenceID": silence_id})

    def _silence(self, asked: _Asked) -> Response:
        silence = self.notifier.silence(_uuid(asked.silence_id))
        return json_reply(encoded.silence_row(silence, self.clock.now_ns()))

    def _delete_silence(self, asked: _Asked) -> Response:
        self.notifier.expire_silence(_uuid(asked.silence_id))
        return Response(status_code=200)

    def _attempts(self, _asked: _Asked) -> Response:
        return json_reply({"attempts": [asdict(one) for one in self.notifier.attempts()]})


class _Wanted:
    """What a request for alerts leaves in."""

    def __init__(self, notifier: Notifier, asked: _Asked) -> None:
        self._receivers = notifier.config.receivers
        self._filter = asked.matchers("filter")
        self._receiver = asked.receiver()
        self._receiver_matchers = asked.matchers("receiver_matchers")
        self._silenced = asked.boolean("silenced")
        self._inhibited = asked.boolean("inhibited")
        self._active = asked.boolean("active")
        asked.boolean("unprocessed")  # every alert is looked at when it is asked for

    def receiver(self, name: str) -> bool:
        if self._receiver is not None and self._receiver.match(name) is None:
            return False
        known = self._receivers.get(name)  # a reload may have come between
        return known is not None and _matches(self._receiver_matchers, known.labels)

    def labels(self, alert: Alert) -> bool:
        return _matches(self._filter, alert.labels)

    def state(self, status: Mapping[str, Any]) -> bool:
        if status["state"] == "active" and not self._active:
            return False
        if status["silencedBy"] and not self._silenced:
            return False
        return self._inhibited or not status["inhibitedBy"]


def _matches(matchers: list[Matcher], labels: Mapping[str, str]) -> bool:
    """As Alertmanager's filters: an empty value asks whether a label is there."""
    for matcher in matchers:
        is_there = matcher.name in labels
        is_negative = matcher.operator in {"!=", "!~"}
        if matcher.value == "" and is_there == is_negative:
            continue
        if not matcher.matches(labels.get(matcher.name, "")):
            return False
    return True


def _order(silence: Silence, now_ns: int) -> tuple[int, int]:
    """Active ones that end first, pending ones that start first, expired ones that ended last."""
    state = silence.state(now_ns)
    when = {"active": silence.ends_at_ns, "pending": silence.starts_at_ns,
            "expired": -silence.ends_at_ns}  # fmt: skip
    return _STATES[state], when[state]


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise encoded.Malformed(f'silenceID in path must be of type uuid: "{text}"') from None


async def _asked(request: Request) -> _Asked:
    body = b""
    if request.method == "POST":
        body = await read_body(request.receive, size_bytes_max=BODY_BYTES_MAX)
    query: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, []).append(value)
    return _Asked(query, body, request.path_params.get("id", ""))
