"""Which channel sends for which kind of receiver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from trilens.notify.channels.discord import Discord
from trilens.notify.channels.mail import Mail
from trilens.notify.channels.opsgenie import Opsgenie
from trilens.notify.channels.outcome import Channel
from trilens.notify.channels.pagerduty import PagerDuty
from trilens.notify.channels.slack import Slack
from trilens.notify.channels.sns import Sns
from trilens.notify.channels.teams import Teams
from trilens.notify.channels.webhook import Webhook
from trilens.notify.receivers import Integration

CHANNELS: Final[Mapping[str, Callable[[Integration], Channel]]] = {
    "discord": Discord,
    "email": Mail,
    "msteams": Teams,
    "msteamsv2": Teams,
    "opsgenie": Opsgenie,
    "pagerduty": PagerDuty,
    "slack": Slack,
    "sns": Sns,
    "webhook": Webhook,
}
