"""alertmanager.yml, as it is (Alertmanager 0.34), with every fault and its line."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.notify.global_config import GlobalConfig, read_global
from trilens.notify.gotemplate import TemplateFault, Templates
from trilens.notify.gotemplate.defaults import DEFAULTS
from trilens.notify.gotemplate.functions import functions
from trilens.notify.http_config import beside
from trilens.notify.inhibition import InhibitRule, read_inhibit_rule
from trilens.notify.problems import ConfigRefused, Problem, nearest
from trilens.notify.receivers import Receiver, read_receiver
from trilens.notify.routes import Route, read_routes
from trilens.notify.time_intervals import TimeInterval, read_time_interval
from trilens.notify.yaml_nodes import Node, Problems, Section, parse_yaml

TEMPLATE_FILES_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Config:
    """`text` is the file as it was read; it may hold secrets."""

    text: str = field(repr=False)
    common: GlobalConfig
    route: Route
    receivers: dict[str, Receiver]
    inhibit_rules: tuple[InhibitRule, ...]
    time_intervals: dict[str, tuple[TimeInterval, ...]]
    templates: Templates = field(repr=False)


def load_config(path: Path, now_ns: Callable[[], int]) -> Config:
    """Raises ConfigRefused with all that is wrong; OSError where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigRefused(str(path), [Problem(1, "not UTF-8")]) from None
    return read_config(text, str(path), path.parent, now_ns)


def read_config(text: str, file: str, directory: Path, now_ns: Callable[[], int]) -> Config:
    """As load_config; relative paths are below `directory`."""
    problems: Problems = []
    root = Section(parse_yaml(text, file), "the file", problems)
    common = read_global(root.section("global") or Section(Node(1, {}), "global", problems),
                         directory)  # fmt: skip
    templates = _templates(root, directory, now_ns)
    receivers = _receivers(root, common, templates, directory)
    intervals = _intervals(root)
    rules = tuple(read_inhibit_rule(node, problems) for node in root.items("inhibit_rules"))
    node = root.node("route")
    if node is None:
        root.fault("no route is there")
        node = Node(1, {})
    root.not_done(tracing="our own spans are sent nowhere else", event_recorder="not recorded")
    root.refuse_rest()
    route, used = read_routes(node, problems)
    _check_used(root, used, receivers, intervals)
    for one in route.walk():
        _check_labels(root, one, templates)
    if problems:
        raise ConfigRefused(file, problems)
    return Config(text, common, route, receivers, rules, intervals, templates)


def _templates(root: Section, directory: Path, now_ns: Callable[[], int]) -> Templates:
    templates = Templates(functions(now_ns))
    templates.add(DEFAULTS, "default.tmpl")
    for node in root.items("templates"):
        found = sorted(glob.glob(beside(node.raw, directory)))  # noqa: PTH207
        if len(found) > TEMPLATE_FILES_MAX:
            root.fault(f"more than {TEMPLATE_FILES_MAX} template files", node.line)
            continue
        for file in found:
            try:
                templates.add(Path(file).read_text(encoding="utf-8"), Path(file).name)
            except (TemplateFault, OSError, UnicodeDecodeError) as fault:
                root.fault(f"{file}: {fault}", node.line)
    return templates


def _receivers(
    root: Section, common: GlobalConfig, templates: Templates, directory: Path
) -> dict[str, Receiver]:
    found: dict[str, Receiver] = {}
    for node in root.items("receivers"):
        receiver = read_receiver(node, common, templates, directory, root.problems)
        if receiver.name in found:
            root.fault(f'receiver "{receiver.name}" is there twice', node.line)
        found[receiver.name] = receiver
    return found


def _intervals(root: Section) -> dict[str, tuple[TimeInterval, ...]]:
    found: dict[str, tuple[TimeInterval, ...]] = {}
    for key in ("mute_time_intervals", "time_intervals"):
        for node in root.items(key):
            section = Section(node, key, root.problems)
            name = section.text("name")
            if not name:
                section.fault(f"missing name in {key}")
            if name in found:
                section.fault(f'time interval "{name}" is there twice')
            found[name] = tuple(
                read_time_interval(one, root.problems) for one in section.items("time_intervals")
            )
            section.refuse_rest()
    return found


def _check_used(
    root: Section,
    used: list[tuple[int, str, str]],
    receivers: dict[str, Receiver],
    intervals: dict[str, tuple[TimeInterval, ...]],
) -> None:
    for line, kind, name in used:
        known = list(receivers if kind == "receiver" else intervals)
        if name not in known:
            what = "receiver" if kind == "receiver" else "time interval"
            root.fault(f'undefined {what} "{name}" is used in a route{nearest(name, known)}', line)


def _check_labels(root: Section, route: Route, templates: Templates) -> None:
    for name, text in route.labels.items():
        try:
            templates.check(text)
        except TemplateFault as fault:
            root.fault(f"route label {name}: {fault}", root.line_of("route"))
