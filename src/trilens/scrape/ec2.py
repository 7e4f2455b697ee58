"""Machines of EC2 as targets (ec2_sd_configs), asked for again every refresh_interval.

What cannot be asked leaves what was found before. Source: EC2's query API of 2016-11-15; the labels
are those of Prometheus's discovery/aws.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from trilens.clock import Clock, SystemClock
from trilens.config_files.aws_config import AwsAccess, read_aws
from trilens.config_files.http_config import Files, HttpConfig, is_url, read_http
from trilens.config_files.section import Section
from trilens.http_out.aws import Aws
from trilens.http_out.door import Failed, HttpDoor
from trilens.scrape.discovery_groups import TARGETS_MAX, Group

PREFIX: Final = "__meta_ec2_"
VERSION: Final = "2016-11-15"
PAGE_MACHINES: Final = 500
PAGES_MAX: Final = 1000
ANSWER_BYTES_MAX: Final = 32 << 20
REQUEST_S: Final = 10.0
ALL_S: Final = 120.0
_ODD: Final = re.compile(r"[^a-zA-Z0-9_]")
_ERROR: Final = re.compile(rb"<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>")
# Of our labels what EC2 calls them.
_NAMES: Final = {
    "instance_id": "instanceId",
    "private_ip": "privateIpAddress",
    "private_dns_name": "privateDnsName",
    "platform": "platform",
    "public_ip": "ipAddress",
    "ami": "imageId",
    "availability_zone": "placement/{*}availabilityZone",
    "instance_state": "instanceState/{*}name",
    "instance_type": "instanceType",
    "instance_lifecycle": "instanceLifecycle",
    "architecture": "architecture",
    "vpc_id": "vpcId",
}
Element = ET.Element


@dataclass(frozen=True, slots=True)
class Filter:
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ec2Discovery:
    access: AwsAccess
    endpoint: str
    port: int
    filters: tuple[Filter, ...]
    refresh_ms: int
    client: HttpConfig


def read_ec2(section: Section, folder: Path) -> Ec2Discovery:
    filters = []
    for one in section.sections("filters", "a filter"):
        filters.append(Filter(one.text("name"), one.texts("values")))
        if not filters[-1].values:
            one.fault("EC2 SD configuration filter values cannot be empty")
        one.end()
    endpoint = section.text("endpoint")
    if endpoint and "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    if endpoint and not is_url(endpoint):
        section.problem("endpoint", f"{endpoint!r} is not a URL of http or https")
    found = Ec2Discovery(
        read_aws(section),
        endpoint,
        section.integer("port", 80),
        tuple(filters),
        section.duration_ms("refresh_interval", 60_000),
        read_http(section, Files(folder, are_checked=True)),
    )
    section.end()
    return found


async def follow_ec2(
    discovery: Ec2Discovery,
    tell: Callable[[Sequence[Group]], None],
    fail: Callable[[str], None],
) -> None:
    """Runs until it is cancelled."""
    machines = Machines(discovery)
    while True:
        try:
            tell([await asyncio.to_thread(machines.group)])
        except Failed as failure:
            fail(f"ec2: {failure}")
        await asyncio.sleep(discovery.refresh_ms / 1000)


class Machines:
    """For threads: it blocks, ALL_S and REQUEST_S at most."""

    def __init__(self, discovery: Ec2Discovery, clock: Clock | None = None) -> None:
        self._discovery = discovery
        self._clock = clock or SystemClock()
        door = HttpDoor(discovery.client, answer_bytes_max=ANSWER_BYTES_MAX)
        self._aws = Aws(discovery.access, door)
        self._zones: dict[str, str] = {}

    def group(self) -> Group:
        """Raises Failed."""
        region = self._aws.find_region()
        until_s = time.monotonic() + ALL_S
        zones = self._zone_ids()
        targets: list[Mapping[str, str]] = []
        following = ""
        for _ in range(PAGES_MAX):
            page = self._asked("DescribeInstances", self._form(following))
            for reservation in page.iterfind("{*}reservationSet/{*}item"):
                targets += self._targets(reservation, region, zones)
            following = page.findtext("{*}nextToken") or ""
            if not following:
                return Group(region, tuple(targets))
            if len(targets) > TARGETS_MAX:
                raise Failed(f"more than {TARGETS_MAX} targets")
            if time.monotonic() > until_s:
                break
        raise Failed("the list of machines does not end")

    def _form(self, following: str) -> list[tuple[str, str]]:
        form = [("MaxResults", str(PAGE_MACHINES))]
        for number, one in enumerate(self._discovery.filters, start=1):
            form.append((f"Filter.{number}.Name", one.name))
            form += [
                (f"Filter.{number}.Value.{place}", value)
                for place, value in enumerate(one.values, start=1)
            ]
        return [*form, ("NextToken", following)] if following else form

    def _targets(
        self, reservation: Element, region: str, zones: Mapping[str, str]
    ) -> list[Mapping[str, str]]:
        owner, port = reservation.findtext("{*}ownerId") or "", self._discovery.port
        found = [
            labels_of(machine, port) | {f"{PREFIX}region": region, f"{PREFIX}owner_id": owner}
            for machine in reservation.iterfind("{*}instancesSet/{*}item")
            if machine.findtext("{*}privateIpAddress")
        ]
        for labels in found:
            zone = labels.get(f"{PREFIX}availability_zone", "")
            labels[f"{PREFIX}availability_zone_id"] = zones.get(zone, "")
        return [{name: value for name, value in labels.items() if value} for labels in found]

    def _zone_ids(self) -> dict[str, str]:
        """By name. Not everybody may ask for them: then the label is missing."""
        if not self._zones:
            try:
                answer = self._asked("DescribeAvailabilityZones", [])
            except Failed:
                return {}
            self._zones = {
                one.findtext("{*}zoneName") or "": one.findtext("{*}zoneId") or ""
                for one in answer.iterfind("{*}availabilityZoneInfo/{*}item")
            }
        return self._zones

    def _asked(self, action: str, form: list[tuple[str, str]]) -> Element:
        """Raises Failed."""
        url = self._discovery.endpoint or self._aws.url_of("ec2")
        form = [("Action", action), ("Version", VERSION), *form]
        answer = self._aws.call("ec2", url, form, now_ns=self._clock.now_ns(), timeout_s=REQUEST_S)
        if answer.status != 200:
            said = _ERROR.search(answer.body)
            text = b": ".join(said.groups()).decode("utf-8", "replace") if said else answer.text
            raise Failed(f"{action}: status {answer.status}: {text}")
        if b"<!DOCTYPE" in answer.body:
            raise Failed(f"{action}: an answer with a DOCTYPE")
        try:
            return ET.fromstring(answer.body)  # noqa: S314 - without DOCTYPE
        except ET.ParseError as error:
            raise Failed(f"{action}: an answer that is no XML: {error}") from None


def labels_of(machine: Element, port: int) -> dict[str, str]:
    labels = {
        f"{PREFIX}{name}": machine.findtext(f"{{*}}{path}") or "" for name, path in _NAMES.items()
    }
    labels["__address__"] = f"{labels[f'{PREFIX}private_ip']}:{port}"
    if labels[f"{PREFIX}public_ip"]:
        labels[f"{PREFIX}public_dns_name"] = machine.findtext("{*}dnsName") or ""
    if labels[f"{PREFIX}vpc_id"]:
        labels[f"{PREFIX}primary_subnet_id"] = machine.findtext("{*}subnetId") or ""
        labels |= _network_labels(machine)
    for tag in machine.iterfind("{*}tagSet/{*}item"):
        name = _ODD.sub("_", tag.findtext("{*}key") or "")
        labels[f"{PREFIX}tag_{name}"] = tag.findtext("{*}value") or ""
    return labels


def _network_labels(machine: Element) -> dict[str, str]:
    """Of a primary address its place tells the number of its device."""
    subnets: dict[str, None] = {}
    addresses: list[str] = []
    primary: dict[int, str] = {}
    for interface in machine.iterfind("{*}networkInterfaceSet/{*}item"):
        subnet = interface.findtext("{*}subnetId")
        if not subnet:
            continue
        subnets[subnet] = None
        device = interface.findtext("{*}attachment/{*}deviceIndex") or ""
        for one in interface.iterfind("{*}ipv6AddressesSet/{*}item"):
            addresses.append(one.findtext("{*}ipv6Address") or "")
            if one.findtext("{*}isPrimaryIpv6") == "true" and re.fullmatch(r"\d{1,2}", device):
                primary[int(device)] = addresses[-1]
    places = [primary.get(place, "") for place in range(max(primary, default=-1) + 1)]
    return {
        f"{PREFIX}subnet_id": _listed(list(subnets)),
        f"{PREFIX}ipv6_addresses": _listed(addresses) if addresses else "",
        f"{PREFIX}primary_ipv6_addresses": _listed(places) if places else "",
    }


def _listed(values: Sequence[str]) -> str:
    return f",{','.join(values)},"
