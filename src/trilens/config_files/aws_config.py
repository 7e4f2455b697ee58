"""As whom AWS is asked: receivers, Alertmanagers and discovery say it in the same words."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from trilens.config_files.section import Section


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """What is empty is looked for where the SDKs look for it."""

    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""


def read_aws(section: Section) -> AwsAccess:
    """Of a section that may have other keys too: the caller ends it."""
    return AwsAccess(**{one.name: section.text(one.name) for one in fields(AwsAccess)})


def read_sigv4(section: Section) -> AwsAccess:
    """What `section` has below sigv4."""
    signing = section.section("sigv4", "sigv4")
    found = read_aws(signing)
    signing.not_done("use_fips_sts_endpoint", "STS is asked at its regional address")
    signing.end()
    if bool(found.access_key) != bool(found.secret_key):
        signing.fault("access_key and secret_key must be set together")
    if found.external_id and not found.role_arn:
        signing.fault("external_id needs a role_arn")
    return found
