"""alertmanager.yml, as it is (Alertmanager 0.34), with every fault and its line."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trilens.config_files.http_config import Files
from trilens.config_files.problems import START, FileRefused, Place, Problem, Problems, nearest
from trilens.config_files.section import Section
from trilens.config_files.yaml_nodes import read_file, read_yaml
from trilens.notify.global_config import GlobalConfig, read_global
from trilens.notify.inhibition import InhibitRule, read_inhibit_rule
from trilens.notify.receivers import Receiver, read_receiver
from trilens.notify.routes import Route, read_routes
from trilens.notify.templates import TemplateFault, Templates
from trilens.notify.templates.defaults import DEFAULTS
from trilens.notify.templates.functions import functions
from trilens.notify.time_intervals import TimeInterval, read_time_interval

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
    """Raises FileRefused with all that is wrong."""
    try:
        text = read_file(path).decode()
    except UnicodeDecodeError:
        raise FileRefused([Problem(str(path), START, "not UTF-8")]) from None
    return read_config(text, str(path), path.parent, now_ns)


def read_config(text: str, file: str, directory: Path, now_ns: Callable[[], int]) -> Config:
    """As load_config; relative paths are below `directory`."""
    problems = Problems(file)
    root = Section(read_yaml(text.encode("utf-8", "replace"), file), "alertmanager.yml", problems)
    files = Files(directory)
    common = read_global(root.section("global", "global"), files)
    templates = _templates(root, directory, now_ns)
    receivers = _receivers(root, common, templates, files)
    intervals = _intervals(root)
    rules = tuple(map(read_inhibit_rule, root.sections("inhibit_rules", "an inhibit rule")))
    if "route" not in root:
        root.fault("no route is there")
    tree = root.section("route", "route")
    root.not_done("tracing", "spans of the server itself are kept in its own store")
    root.not_done("event_recorder", "events are not recorded")
    root.end()
    route, used = read_routes(tree)
    _check_used(root, used, receivers, intervals)
    for one in route.walk():
        _check_labels(root, one, templates)
    problems.raise_any()
    return Config(text, common, route, receivers, rules, intervals, templates)


def _templates(root: Section, directory: Path, now_ns: Callable[[], int]) -> Templates:
    templates = Templates(functions(now_ns))
    templates.add(DEFAULTS, "default.tmpl")
    for pattern in root.texts("templates"):
        if pattern.rfind("[") > pattern.rfind("]"):
            root.problem("templates", f"{pattern}: a [ is not closed")
        found = sorted(glob.glob(str(directory / pattern)))  # noqa: PTH207
        if len(found) > TEMPLATE_FILES_MAX:
            root.problem("templates", f"more than {TEMPLATE_FILES_MAX} template files")
            continue
        for file in found:
            try:
                templates.add(Path(file).read_text(encoding="utf-8"), Path(file).name)
            except (TemplateFault, OSError, UnicodeDecodeError) as fault:
                root.problem("templates", f"{file}: {fault}")
    return templates


def _receivers(
    root: Section, common: GlobalConfig, templates: Templates, files: Files
) -> dict[str, Receiver]:
    found: dict[str, Receiver] = {}
    for section in root.sections("receivers", "a receiver"):
        receiver = read_receiver(section, common, templates, files)
        if receiver.name in found:
            section.fault(f'receiver "{receiver.name}" is there twice')
        found[receiver.name] = receiver
    return found


def _intervals(root: Section) -> dict[str, tuple[TimeInterval, ...]]:
    found: dict[str, tuple[TimeInterval, ...]] = {}
    for key in ("mute_time_intervals", "time_intervals"):
        for section in root.sections(key, key):
            name = section.text("name")
            if not name:
                section.fault(f"missing name in {key}")
            if name in found:
                section.fault(f'time interval "{name}" is there twice')
            found[name] = tuple(
                map(read_time_interval, section.sections("time_intervals", "a time interval"))
            )
            section.end()
    return found


def _check_used(
    root: Section,
    used: list[tuple[Place, str, str]],
    receivers: dict[str, Receiver],
    intervals: dict[str, tuple[TimeInterval, ...]],
) -> None:
    for place, kind, name in used:
        known = list(receivers if kind == "receiver" else intervals)
        if name not in known:
            what = "receiver" if kind == "receiver" else "time interval"
            root.fault(f'undefined {what} "{name}" is used in a route{nearest(name, known)}', place)


def _check_labels(root: Section, route: Route, templates: Templates) -> None:
    for name, text in route.labels.items():
        try:
            templates.check(text)
        except TemplateFault as fault:
            root.problem("route", f"route label {name}: {fault}")
