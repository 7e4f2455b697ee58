"""Who we are where a kubeconfig names a program that says so: `exec`, as `aws eks get-token`.

Run        with the environment, KUBERNETES_EXEC_INFO and what the file adds; without a shell and
           without a terminal; in a thread, for EXEC_S at most, then its whole group is killed
Answered   an ExecCredential: a token, or a client's certificate and key, and when they end
Kept       until EARLY_S before they end, or until the API server answers 401; a failure for
           RETRY_S, so that many watches do not run it again at once

Source: client.authentication.k8s.io/v1 and v1beta1 (Kubernetes, "client-go credential plugins").
"""

from __future__ import annotations

import asyncio
import base64
import os
import selectors
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from trilens.clock import Clock, SystemClock
from trilens.config_files.http_config import HttpConfig, Secret, Tls
from trilens.config_files.section import Section
from trilens.http_out.tls import TlsContext

API_VERSIONS: Final = (
    "client.authentication.k8s.io/v1",
    "client.authentication.k8s.io/v1beta1",
)
EXEC_S: Final = 30.0
EARLY_S: Final = 30
RETRY_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 1 << 20
_SHOWN_BYTES: Final = 500
# Programs that hang hold up no one but each other.
_RUNNERS: Final = ThreadPoolExecutor(16, thread_name_prefix="kubernetes-exec")


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """`info` is what KUBERNETES_EXEC_INFO says; `hint` is told where there is no such program."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str = API_VERSIONS[0]
    info: bytes = field(default=b"", repr=False)
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Credential:
    token: str = field(default="", repr=False)
    cert: str = ""
    key: str = field(default="", repr=False)
    ends_at_ns: int | None = None


def read_exec(user: Section, cluster: Mapping[str, object], folder: Path) -> ExecPlugin | None:
    """The section `exec` of a user; `cluster` is told where the file wants it."""
    if "exec" not in user:
        return None
    section = user.section("exec", "exec")
    command = section.text("command")
    if not command:
        section.fault("exec needs a command")
    elif "/" in command:
        command = str(folder / command)
    version = section.text("apiVersion")
    if version not in API_VERSIONS:
        known = " and ".join(API_VERSIONS)
        section.problem("apiVersion", f"an exec of {version!r} is not supported: {known} are")
    if section.text("interactiveMode") == "Always":
        section.problem("interactiveMode", "there is no terminal where this program runs")
    environment = {}
    for one in section.sections("env", "env"):
        environment[one.text("name")] = one.text("value")
        one.end()
    spec: dict[str, object] = {"interactive": False}
    if section.boolean("provideClusterInfo", default=False):
        spec["cluster"] = cluster
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": spec}
    found = ExecPlugin(
        command, section.texts("args"), environment, version, orjson.dumps(info),
        section.text("installHint"),
    )  # fmt: skip
    section.end()
    return found


class ExecLogin:
    """Credentials for requests, in place of Authorization and TlsContext. For one event loop."""

    def __init__(self, plugin: ExecPlugin, tls: Tls, clock: Clock | None = None) -> None:
        self._plugin = plugin
        self._tls = tls
        self._clock = clock or SystemClock()
        self._turn = asyncio.Lock()
        self._credential: _Credential | None = None
        self._context = TlsContext(tls)
        self._failure = ""
        self._failed_until_s = 0.0

    async def value(self, _timeout_s: float) -> str:
        """What stands in the Authorization header. Raises ValueError."""
        async with self._turn:
            credential = self._credential
            if credential is None or self._has_ended(credential):
                credential = await self._new()
        return f"Bearer {credential.token}" if credential.token else ""

    async def loaded(self) -> ssl.SSLContext:
        """Asked for after value(). Raises OSError, ValueError."""
        return await self._context.loaded()

    def refused(self) -> None:
        """The API server does not know us: the program is asked again."""
        self._credential = None

    def _has_ended(self, credential: _Credential) -> bool:
        ends_at_ns = credential.ends_at_ns
        return ends_at_ns is not None and self._clock.now_ns() > ends_at_ns - EARLY_S * 10**9

    async def _new(self) -> _Credential:
        if time.monotonic() < self._failed_until_s:
            raise ValueError(self._failure)
        running = asyncio.get_running_loop()
        try:
            found = await running.run_in_executor(_RUNNERS, _asked, self._plugin)
        except ValueError as error:
            self._failure, self._failed_until_s = str(error), time.monotonic() + RETRY_S
            raise
        if found.cert:
            tls = replace(self._tls, cert=Secret(found.cert), key=Secret(found.key))
            self._context = TlsContext(tls)
        self._credential = found
        return found


def _asked(plugin: ExecPlugin) -> _Credential:
    """Raises ValueError."""
    name = plugin.command
    environment = {**os.environ, **plugin.environment}
    environment["KUBERNETES_EXEC_INFO"] = plugin.info.decode()
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's file names it
            [plugin.command, *plugin.arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        hint = f"; {plugin.hint}" if plugin.hint and isinstance(error, FileNotFoundError) else ""
        raise ValueError(f"exec: {name} cannot be run: {error}{hint}") from None
    with process:
        timer = threading.Timer(EXEC_S, _kill, [process])
        timer.daemon = True
        timer.start()
        try:
            out, said = _read(process)
            code = process.wait()
        except BaseException:
            _kill(process)
            raise
        finally:
            timer.cancel()
    if code == -signal.SIGKILL:
        raise ValueError(f"exec: {name} was killed: it took {EXEC_S:g} s, or said too much")
    if code != 0:
        text = said[:_SHOWN_BYTES].decode("utf-8", "replace").strip()
        raise ValueError(f"exec: {name} failed with exit code {code}: {text}")
    return _credential_of(out, plugin)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _read(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it writes, to both of its ends; one that writes without end is killed."""
    parts: dict[int, list[bytes]] = {}
    size = 0
    with selectors.DefaultSelector() as selector:
        for number, pipe in enumerate((process.stdout, process.stderr)):
            assert pipe is not None
            parts[number] = []
            selector.register(pipe, selectors.EVENT_READ, number)
        while selector.get_map():
            for key, _ in selector.select():
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fileobj)
                size += len(piece)
                parts[key.data].append(piece)
            if size > ANSWER_BYTES_MAX:
                _kill(process)
                break
    return b"".join(parts[0]), b"".join(parts[1])


def _credential_of(answer: bytes, plugin: ExecPlugin) -> _Credential:
    """Raises ValueError."""
    name = plugin.command
    try:
        found: Any = orjson.loads(answer)
        kind, version, status = found["kind"], found["apiVersion"], found["status"]
        token, cert, key = (
            status.get(one) or "" for one in ("token", "clientCertificateData", "clientKeyData")
        )
        ends = status.get("expirationTimestamp")
        ends_at_ns = None if ends is None else _moment_ns(ends)
        is_sound = all(isinstance(one, str) for one in (token, cert, key))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"exec: {name} answers no ExecCredential: {error!r}") from None
    if kind != "ExecCredential" or version != plugin.api_version:
        raise ValueError(
            f"exec: {name} answers {kind} of {version}, not ExecCredential of {plugin.api_version}"
        )
    if not is_sound or bool(cert) != bool(key) or not (token or cert):
        raise ValueError(f"exec: {name} answers neither a token nor a certificate with its key")
    if any(character < " " for character in token):
        raise ValueError(f"exec: {name} answers a token with a control character")
    return _Credential(token, cert, key, ends_at_ns)


def _moment_ns(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time without a zone: {text}")
    return int(at.timestamp() * 1e9)


def cluster_info(cluster: Section, client: HttpConfig) -> dict[str, object]:
    """What a program is told of the cluster. A file of authorities is left to it."""
    info: dict[str, object] = {"server": cluster.text("server")}
    tls = client.tls
    if tls.server_name:
        info["tls-server-name"] = tls.server_name
    if tls.insecure_skip_verify:
        info["insecure-skip-tls-verify"] = True
    if tls.ca:
        with suppress(OSError):
            info["certificate-authority-data"] = base64.b64encode(tls.ca.read().encode()).decode()
    if client.proxy is not None:
        info["proxy-url"] = client.proxy.url
    return info
