"""Programs that a kubeconfig names: what they are told, what they answer, what they cannot do."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest

from clustering import ApiServer
from test_scrape_kubernetes import POD, PODS
from trilens.clock import SystemClock
from trilens.config_files.http_config import Tls
from trilens.scrape.kubernetes import exec_credentials
from trilens.scrape.kubernetes.access import access_of
from trilens.scrape.kubernetes.config import KubernetesDiscovery
from trilens.scrape.kubernetes.exec_credentials import ExecLogin, ExecPlugin
from trilens.scrape.kubernetes.follow import follow

V1 = "client.authentication.k8s.io/v1"
KUBECONFIG = """
current-context: c
contexts: [{{name: c, context: {{cluster: k, user: u}}}}]
clusters: [{{name: k, cluster: {{server: '{server}', tls-server-name: name}}}}]
users:
- name: u
  user:
    exec:
      apiVersion: {version}
      command: ./login
      args: [a, "b c"]
      env: [{{name: WHO, value: me}}]
      provideClusterInfo: true
"""
# It says a new token each time, and what it was told.
LOGIN = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
turn = len(list(folder.glob("turn*")))
(folder / f"turn{{turn}}").write_text(json.dumps([sys.argv[1:], os.environ["WHO"], json.loads(os.environ["KUBERNETES_EXEC_INFO"])]))
print("a warning", file=sys.stderr)
print(json.dumps({{"kind": "ExecCredential", "apiVersion": {version!r}, "status": {{"token": f"t{{turn}}"}}}}))
"""


def program(folder: Path, text: str, name: str = "login") -> Path:
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def answering(folder: Path, answer: object) -> ExecPlugin:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return ExecPlugin(str(program(folder, f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")))


def status(**fields: object) -> dict:
    return {"kind": "ExecCredential", "apiVersion": V1, "status": fields}


def value(plugin: ExecPlugin, clock=None) -> str:
    return asyncio.run(ExecLogin(plugin, Tls(), clock).value(5))


@pytest.mark.parametrize("version", exec_credentials.API_VERSIONS)
def test_a_cluster_through_a_program(tmp_path, version) -> None:
    """All stores use one token; when the server does not know it any more, there is another one."""
    server = ApiServer()
    server.put(PODS, POD)
    program(tmp_path, LOGIN.format(python=sys.executable, folder=str(tmp_path), version=version))
    file = tmp_path / "config"
    file.write_text(KUBECONFIG.format(server=server.url, version=version))
    discovery = KubernetesDiscovery("endpoints", kubeconfig=file)
    told: list = []
    failures: list[str] = []

    async def run() -> None:
        running = asyncio.create_task(follow(discovery, told.append, failures.append, tell_s=0.05))
        await until(lambda: told)
        server.status = 401
        with server.changed:
            server.is_over = True  # watches end
            server.changed.notify_all()
        await until(lambda: any("401" in one for one in failures))
        server.is_over, server.status = False, 200
        await until(lambda: tokens()[-1:] == ["Bearer t1"] or "Bearer t2" in tokens())
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async def until(holds) -> None:
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end, (told, failures)
            await asyncio.sleep(0.05)

    def tokens() -> list[str]:
        return [
            headers.get("Authorization") or headers.get("authorization")
            for _, _, headers in server.requests
        ]

    try:
        asyncio.run(run())
    finally:
        server.close()
    assert tokens()[0] == "Bearer t0"
    assert tokens()[:3] == ["Bearer t0"] * 3
    arguments, who, info = json.loads((tmp_path / "turn0").read_text())
    assert (arguments, who) == (["a", "b c"], "me")
    assert info == {
        "apiVersion": version, "kind": "ExecCredential",
        "spec": {"interactive": False, "cluster": {"server": server.url, "tls-server-name": "name"}},
    }  # fmt: skip


class Ahead(SystemClock):
    ahead_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self.ahead_ns


def test_a_token_is_kept_until_it_ends(tmp_path) -> None:
    count = tmp_path / "count"
    answer = json.dumps(status(token="t", expirationTimestamp="2100-01-01T00:00:00Z"))
    plugin = ExecPlugin(str(program(tmp_path, f"#!/bin/sh\necho x >>{count}\necho '{answer}'\n")))
    clock = Ahead()

    async def run() -> None:
        login = ExecLogin(plugin, Tls(), clock)
        await asyncio.gather(*(login.value(5) for _ in range(20)))
        assert count.read_text() == "x\n"
        clock.ahead_ns = 80 * 365 * 86_400 * 10**9
        await login.value(5)
        assert count.read_text() == "x\nx\n"

    asyncio.run(run())


ANSWERS = [
    ("", "answers no ExecCredential"),
    ("[]", "answers no ExecCredential"),
    ({"kind": "ExecCredential", "apiVersion": V1}, "answers no ExecCredential"),
    ({"kind": "ExecCredential", "apiVersion": V1, "status": []}, "answers no ExecCredential"),
    ({"kind": "X", "apiVersion": V1, "status": {"token": "t"}}, "answers X of"),
    ({"kind": "ExecCredential", "apiVersion": "v9", "status": {"token": "t"}}, "of v9, not"),
    (status(), "neither a token nor a certificate"),
    (status(clientCertificateData="c"), "neither a token nor a certificate"),
    (status(token=5), "neither a token nor a certificate"),
    (status(token="a\nb"), "control character"),
    (status(token="t", expirationTimestamp="soon"), "answers no ExecCredential"),
    (status(token="t", expirationTimestamp="2100-01-01T00:00:00"), "answers no ExecCredential"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "why"), ANSWERS)
def test_answers_that_are_none(tmp_path, answer, why) -> None:
    with pytest.raises(ValueError, match=why):
        value(answering(tmp_path, answer))


def test_programs_that_fail(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(exec_credentials, "EXEC_S", 0.5)
    none = ExecPlugin(str(tmp_path / "none"), hint="install it")
    with pytest.raises(ValueError, match=r"cannot be run: .*; install it"):
        value(none)
    with pytest.raises(ValueError, match="failed with exit code 3: no session"):
        value(ExecPlugin(str(program(tmp_path, "#!/bin/sh\necho no session >&2\nexit 3\n"))))
    began = time.monotonic()
    for text in (
        "sleep 60",
        "sleep 60 & echo '{}'",
        "while true; do echo aaaaaaaaaaaaaaaaaaaaaaa; done",
    ):
        with pytest.raises(ValueError, match=r"was killed|answers no"):
            value(ExecPlugin(str(program(tmp_path, f"#!/bin/sh\n{text}\n"))))
    assert time.monotonic() - began < 15


def test_a_failure_is_kept_for_a_while(tmp_path) -> None:
    count = tmp_path / "count"
    plugin = ExecPlugin(str(program(tmp_path, f"#!/bin/sh\necho x >>{count}\nexit 1\n")))

    async def run() -> None:
        login = ExecLogin(plugin, Tls())
        found = await asyncio.gather(*(login.value(5) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(one, ValueError) for one in found)

    asyncio.run(run())
    assert count.read_text() == "x\n"


def test_nothing_of_it_is_shown(tmp_path) -> None:
    file = tmp_path / "config"
    file.write_text(KUBECONFIG.format(server="http://x", version=V1))
    access = access_of(KubernetesDiscovery("pod", kubeconfig=file))
    assert "WHO" not in repr(access)
    assert access.plugin is not None
    assert access.plugin.command == str(tmp_path / "./login")
