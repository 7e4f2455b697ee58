"""AWS: where credentials come from, and requests signed with Signature Version 4. For threads.

The chain is that of the SDKs: what the configuration says; the environment; a profile's file; a
web identity (a service account on EKS); the container's or the machine's metadata. A role of the
configuration is assumed with what was found. Source: AWS General Reference, "Signature Version 4".
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

from trilens.config_files.aws_config import AwsAccess
from trilens.config_files.http_config import HttpConfig, Secret
from trilens.http_out.door import Answer, Failed, HttpDoor

METADATA_S_MAX: Final = 3.0
_KEEP_S: Final = 300.0
_IMDS: Final = "http://169.254.169.254/latest"
_ECS: Final = "http://169.254.170.2"


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key: str
    secret_key: str
    token: str = ""


class Aws:
    """`door` is for STS, and for what is called."""

    def __init__(self, access: AwsAccess, door: HttpDoor) -> None:
        self._access = access
        self._door = door
        self._region_here = ""
        self._metadata = HttpDoor(HttpConfig())
        self._kept: tuple[Credentials, float] | None = None

    @property
    def region(self) -> str:
        """Raises Failed."""
        found = (
            self._access.region or os.environ.get("AWS_REGION", "")
            or os.environ.get("AWS_DEFAULT_REGION", "") or self._profile("config").get("region", "")
            or self._region_here
        )  # fmt: skip
        if not re.fullmatch(r"[a-z0-9-]{1,40}", found):
            raise Failed("no region is configured, here or in the environment")
        return found

    def find_region(self) -> str:
        """That of the machine where nobody names one. Raises Failed."""
        try:
            return self.region
        except Failed:
            url = f"{_IMDS}/meta-data/placement/region"
            self._region_here = self._ask(url, self._metadata_token()).text
            return self.region

    def url_of(self, service: str) -> str:
        """Raises Failed."""
        ending = ".cn" if self.region.startswith("cn-") else ""
        return f"https://{service}.{self.region}.amazonaws.com{ending}/"

    def signed_headers(
        self, service: str, url: str, body: bytes, content_type: str, *,
        now_ns: int, timeout_s: float,
    ) -> dict[str, str]:  # fmt: skip
        """Of a POST. Raises Failed."""
        credentials = self._credentials(now_ns, timeout_s)
        return sign(
            credentials, service, self.region, url, body, now_ns=now_ns, content_type=content_type
        )

    def call(
        self, service: str, url: str, form: list[tuple[str, str]], *, now_ns: int, timeout_s: float
    ) -> Answer:
        """A signed POST of a form. Raises Failed."""
        credentials = self._credentials(now_ns, timeout_s)
        return self._signed(credentials, service, url, form, now_ns=now_ns, timeout_s=timeout_s)

    def _signed(
        self, credentials: Credentials, service: str, url: str, form: list[tuple[str, str]], *,
        now_ns: int, timeout_s: float,
    ) -> Answer:  # fmt: skip
        body = urlencode(form, quote_via=quote).encode()
        headers = sign(credentials, service, self.region, url, body, now_ns=now_ns)
        return self._door.post(url, body, timeout_s, headers=headers)

    def _credentials(self, now_ns: int, timeout_s: float) -> Credentials:
        if self._kept is not None and self._kept[1] > time.monotonic():
            return self._kept[0]
        try:
            found = self._found(now_ns, timeout_s)
        except (OSError, UnicodeDecodeError, KeyError) as error:
            raise Failed(f"no AWS credentials are found: {error!r}", should_retry=True) from None
        if self._access.role_arn:
            form = [("Action", "AssumeRole"), ("RoleArn", self._access.role_arn)]
            if self._access.external_id:
                form.append(("ExternalId", self._access.external_id))
            found = self._sts(found, form, now_ns, timeout_s)
        self._kept = found, time.monotonic() + _KEEP_S
        return found

    def _found(self, now_ns: int, timeout_s: float) -> Credentials:
        access, environ = self._access, os.environ
        if access.access_key:
            return Credentials(access.access_key, access.secret_key)
        if not access.profile and environ.get("AWS_ACCESS_KEY_ID"):
            return Credentials(
                environ["AWS_ACCESS_KEY_ID"], environ.get("AWS_SECRET_ACCESS_KEY", ""),
                environ.get("AWS_SESSION_TOKEN", ""),
            )  # fmt: skip
        profile = self._profile("credentials") or self._profile("config")
        if "aws_access_key_id" in profile:
            return Credentials(profile["aws_access_key_id"], profile["aws_secret_access_key"],
                               profile.get("aws_session_token", ""))  # fmt: skip
        if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            token = Path(environ["AWS_WEB_IDENTITY_TOKEN_FILE"]).read_text().strip()
            form = [("Action", "AssumeRoleWithWebIdentity"),
                    ("RoleArn", environ.get("AWS_ROLE_ARN", "")),
                    ("WebIdentityToken", token)]  # fmt: skip
            return self._sts(None, form, now_ns, timeout_s)
        return self._from_metadata()

    def _profile(self, kind: str) -> Mapping[str, str]:
        variable = "AWS_SHARED_CREDENTIALS_FILE" if kind == "credentials" else "AWS_CONFIG_FILE"
        file = Path(os.environ.get(variable) or Path("~/.aws", kind).expanduser())
        name = self._access.profile or os.environ.get("AWS_PROFILE", "default")
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(file.read_text())
        except (OSError, configparser.Error, UnicodeDecodeError):
            return {}
        section = name if kind == "credentials" or name == "default" else f"profile {name}"
        return dict(parser[section]) if parser.has_section(section) else {}

    def _sts(
        self, credentials: Credentials | None, form: list[tuple[str, str]], now_ns: int,
        timeout_s: float,
    ) -> Credentials:  # fmt: skip
        form = [*form, ("RoleSessionName", "trilens"), ("Version", "2011-06-15")]
        url = self.url_of("sts")
        if credentials is None:
            body = urlencode(form, quote_via=quote).encode()
            answer = self._door.post(url, body, timeout_s, headers={"Content-Type": _FORM})
        else:
            answer = self._signed(credentials, "sts", url, form, now_ns=now_ns, timeout_s=timeout_s)
        text = answer.body.decode("utf-8", "replace")
        found = [re.search(f"<{tag}>([^<]+)</{tag}>", text)
                 for tag in ("AccessKeyId", "SecretAccessKey", "SessionToken")]  # fmt: skip
        if answer.status != 200 or not all(found):
            raise Failed(
                f"STS gives no credentials: status {answer.status}: {answer.text}",
                status=answer.status,
                should_retry=answer.status // 100 == 5,
            )
        return Credentials(*(one[1] for one in found if one is not None))

    def _from_metadata(self) -> Credentials:
        relative = os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
        full = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        headers: dict[str, str] = {}
        if relative or full:
            token_file = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "")
            token = Secret(
                os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""),
                Path(token_file) if token_file else None,
            )
            if token:
                headers["Authorization"] = token.read()
            return self._of_json(full or _ECS + relative, headers)
        headers = self._metadata_token()
        roles = f"{_IMDS}/meta-data/iam/security-credentials/"
        return self._of_json(roles + self._ask(roles, headers).text.split("\n")[0], headers)

    def _metadata_token(self) -> dict[str, str]:
        asked = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
        answer = self._ask(f"{_IMDS}/api/token", asked, method="PUT")
        return {"X-aws-ec2-metadata-token": answer.text}

    def _of_json(self, url: str, headers: dict[str, str]) -> Credentials:
        try:
            found: Any = orjson.loads(self._ask(url, headers).body)
            return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
        except (ValueError, KeyError, TypeError):
            text = "the metadata service gives no credentials"
            raise Failed(text, should_retry=True) from None

    def _ask(self, url: str, headers: dict[str, str], method: str = "GET") -> Answer:
        try:
            return self._metadata.post(url, b"", METADATA_S_MAX, method=method, headers=headers)
        except Failed as error:
            text = f"AWS says nothing of credentials or region; the metadata service: {error}"
            raise Failed(text, should_retry=True) from None


_FORM: Final = "application/x-www-form-urlencoded"


def sign(
    credentials: Credentials, service: str, region: str, url: str, body: bytes, *, now_ns: int,
    content_type: str = _FORM,
) -> dict[str, str]:  # fmt: skip
    """The headers of a signed POST."""
    at = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    parts = urlsplit(url)
    headers = {"Content-Type": content_type, "Host": parts.netloc, "X-Amz-Date": stamp}
    if credentials.token:
        headers["X-Amz-Security-Token"] = credentials.token
    lower = {name.lower(): value for name, value in headers.items()}
    names = ";".join(sorted(lower))
    canonical = "\n".join([
        "POST", quote(parts.path or "/", safe="/-_.~"), parts.query,
        *(f"{name}:{lower[name]}" for name in sorted(lower)), "", names,
        hashlib.sha256(body).hexdigest(),
    ])  # fmt: skip
    scope = f"{day}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    key = f"AWS4{credentials.secret_key}".encode()
    for piece in (day, region, service, "aws4_request"):
        key = hmac.digest(key, piece.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers
