"""Machines of EC2: what is asked, signed by whom, and the labels that come of the answer."""

import asyncio
import hashlib
import hmac
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest

from answering import Answering, Quiet
from notifying import Receiver
from trilens.config_files.aws_config import AwsAccess
from trilens.config_files.http_config import HttpConfig
from trilens.http_out import aws
from trilens.http_out.door import Failed
from trilens.scrape import ec2
from trilens.scrape.discovery import discover
from trilens.scrape.ec2 import Ec2Discovery, Filter, Machines
from waiting import wait_until

P = "__meta_ec2_"
ACCESS = AwsAccess("eu-west-1", "AK", "SK")
ZONES = (200, b"""<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<availabilityZoneInfo><item><zoneName>eu-west-1a</zoneName><zoneId>euw1-az3</zoneId></item>
</availabilityZoneInfo></DescribeAvailabilityZonesResponse>""")  # fmt: skip
MACHINE = """<item><instanceId>i-1</instanceId><imageId>ami-1</imageId>
<instanceState><code>16</code><name>running</name></instanceState>
<privateDnsName>ip-10-0-0-1.ec2.internal</privateDnsName><dnsName>ec2-1.amazonaws.com</dnsName>
<instanceType>m7g.large</instanceType><placement><availabilityZone>eu-west-1a</availabilityZone></placement>
<privateIpAddress>10.0.0.1</privateIpAddress><ipAddress>52.0.0.1</ipAddress>
<architecture>arm64</architecture><instanceLifecycle>spot</instanceLifecycle>
<vpcId>vpc-1</vpcId><subnetId>subnet-1</subnetId>
<tagSet><item><key>Name</key><value>web</value></item>
<item><key>k8s.io/role</key><value>a &amp; b</value></item><item><key>empty</key><value/></item></tagSet>
<networkInterfaceSet>
<item><subnetId>subnet-1</subnetId><attachment><deviceIndex>0</deviceIndex></attachment></item>
<item><subnetId>subnet-2</subnetId><attachment><deviceIndex>1</deviceIndex></attachment>
<ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item>
<item><ipv6Address>2001:db8::2</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item></ipv6AddressesSet>
</item><item><subnetId>subnet-1</subnetId></item></networkInterfaceSet></item>"""
PLAIN = """<item><instanceId>i-2</instanceId><privateIpAddress>10.0.0.2</privateIpAddress>
<platform>windows</platform></item>"""
GONE = "<item><instanceId>i-3</instanceId><instanceState><name>terminated</name></instanceState></item>"


def page(*machines, following=""):
    body = (
        '<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet>'
        f"<item><ownerId>1234</ownerId><instancesSet>{''.join(machines)}</instancesSet></item>"
        f"</reservationSet><nextToken>{following}</nextToken></DescribeInstancesResponse>"
    )
    return 200, body.encode()


@pytest.fixture
def server():
    made = []

    def make(*answers):
        made.append(Receiver(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def discovery(endpoint, *, access=ACCESS, filters=(), refresh_ms=60_000):
    return Ec2Discovery(access, endpoint.url, 9100, filters, refresh_ms, HttpConfig())


def form_of(request):
    return {name: values[0] for name, values in parse_qs(request[3].decode()).items()}


def signature(request, secret):
    """Reckoned again from what has arrived."""
    method, path, headers, body = request
    lower = {name.lower(): value for name, value in headers.items()}
    parts = dict(one.split("=", 1) for one in lower["authorization"].split(" ", 1)[1].split(", "))
    names = parts["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(names)
    lines = [method, path, "", *(f"{name}:{lower[name]}" for name in names), "", ";".join(names)]
    canonical = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    scope = parts["Credential"].split("/", 1)[1]
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for piece in scope.split("/"):
        key = hmac.digest(key, piece.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{lower['x-amz-date']}\n{scope}\n{hashed}"
    assert parts["Signature"] == hmac.digest(key, text.encode(), "sha256").hex()
    return parts["Credential"]


@contextmanager
def following(found):
    told, failures = [], []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    running = asyncio.run_coroutine_threadsafe(discover(found, told.append, failures.append), loop)
    try:
        yield told, failures
    finally:
        running.cancel()
        wait_until(running.done)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_labels(server):
    api = server(ZONES, page(MACHINE, PLAIN, GONE))
    group = Machines(discovery(api)).group()
    assert group.source == "eu-west-1"
    first, second = group.targets
    assert first == {
        "__address__": "10.0.0.1:9100", f"{P}instance_id": "i-1", f"{P}region": "eu-west-1",
        f"{P}owner_id": "1234", f"{P}private_ip": "10.0.0.1",
        f"{P}private_dns_name": "ip-10-0-0-1.ec2.internal", f"{P}public_ip": "52.0.0.1",
        f"{P}public_dns_name": "ec2-1.amazonaws.com", f"{P}ami": "ami-1",
        f"{P}availability_zone": "eu-west-1a", f"{P}availability_zone_id": "euw1-az3",
        f"{P}instance_state": "running", f"{P}instance_type": "m7g.large",
        f"{P}instance_lifecycle": "spot", f"{P}architecture": "arm64", f"{P}vpc_id": "vpc-1",
        f"{P}primary_subnet_id": "subnet-1", f"{P}subnet_id": ",subnet-1,subnet-2,",
        f"{P}ipv6_addresses": ",2001:db8::1,2001:db8::2,",
        f"{P}primary_ipv6_addresses": ",,2001:db8::1,",
        f"{P}tag_Name": "web", f"{P}tag_k8s_io_role": "a & b",
    }  # fmt: skip
    assert second == {
        "__address__": "10.0.0.2:9100", f"{P}instance_id": "i-2", f"{P}region": "eu-west-1",
        f"{P}owner_id": "1234", f"{P}private_ip": "10.0.0.2", f"{P}platform": "windows",
    }  # fmt: skip


def test_what_is_asked_is_signed_page_by_page(server):
    api = server(ZONES, page(MACHINE, following="t 1"), page(PLAIN))
    filters = (Filter("tag:team", ("a", "b/c")), Filter("instance-state-name", ("running",)))
    group = Machines(discovery(api, filters=filters)).group()
    assert len(group.targets) == 2
    zones, first, second = api.requests
    assert form_of(zones) == {"Action": "DescribeAvailabilityZones", "Version": "2016-11-15"}
    wanted = {
        "Action": "DescribeInstances", "Version": "2016-11-15", "MaxResults": "500",
        "Filter.1.Name": "tag:team", "Filter.1.Value.1": "a", "Filter.1.Value.2": "b/c",
        "Filter.2.Name": "instance-state-name", "Filter.2.Value.1": "running",
    }  # fmt: skip
    assert form_of(first) == wanted
    assert form_of(second) == wanted | {"NextToken": "t 1"}
    for request in api.requests:
        credential = signature(request, "SK")
        assert credential.startswith("AK/")
        assert credential.endswith("/eu-west-1/ec2/aws4_request")


def test_without_leave_to_ask_for_zones(server):
    api = server((403, b"<Code>UnauthorizedOperation</Code><Message>no</Message>"), page(MACHINE))
    (target,) = Machines(discovery(api)).group().targets
    assert f"{P}availability_zone_id" not in target


@pytest.mark.parametrize(("answer", "why"), [
    ((401, b"<Response><Errors><Error><Code>AuthFailure</Code><Message>not you</Message></Error>"),
     "DescribeInstances: status 401: AuthFailure: not you"),
    ((500, b"oh"), "status 500: oh"),
    ((200, b"<a>"), "no XML"),
    ((200, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), "a DOCTYPE"),
    (page(PLAIN, following="again"), "does not end"),
])  # fmt: skip
def test_what_is_no_answer(server, monkeypatch, answer, why):
    monkeypatch.setattr(ec2, "PAGES_MAX", 3)
    with pytest.raises(Failed, match=why):
        Machines(discovery(server(answer))).group()


def test_what_fails_leaves_what_was_known(server):
    api = server(ZONES, page(PLAIN), (503, b"later"), page(PLAIN, MACHINE))
    with following(discovery(api, refresh_ms=20)) as (told, failures):
        wait_until(lambda: len(told) >= 2)
    assert len(told[0][0].targets) == 1
    assert len(told[1][0].targets) == 2
    assert failures == ["ec2: DescribeInstances: status 503: later"]


def test_on_a_machine_its_region_and_its_role(server, monkeypatch, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    api = server(ZONES, page(PLAIN))
    role = b'{"AccessKeyId": "RK", "SecretAccessKey": "RS", "Token": "RT"}'
    machine = _Metadata({
        "/api/token": b"t0k", "/meta-data/placement/region": b"eu-central-1",
        "/meta-data/iam/security-credentials/": b"web\n",
        "/meta-data/iam/security-credentials/web": role,
    })  # fmt: skip
    monkeypatch.setattr(aws, "_IMDS", machine.url)
    try:
        group = Machines(discovery(api, access=AwsAccess())).group()
    finally:
        machine.close()
    assert group.source == "eu-central-1"
    assert signature(api.requests[0], "RS").startswith("RK/")
    assert api.requests[0][2]["X-Amz-Security-Token"] == "RT"
    assert all(token == "t0k" for path, token in machine.asked if path != "/api/token")


class _Metadata:
    """The metadata service of a machine."""

    def __init__(self, answers):
        self.asked = []
        service = self

        class Handler(Quiet):
            def answer(self):
                token = self.headers.get("X-aws-ec2-metadata-token", "")
                service.asked.append((self.path, token))
                self.reply(200 if self.path in answers else 404, answers.get(self.path, b""))

        self._server = Answering(Handler)
        self.url = self._server.url

    def close(self):
        self._server.close()
