"""What tests of rules share: sources in memory, hand-set clocks, groups from text, promtool."""

from __future__ import annotations

import shutil
import subprocess

from trilens.alert.group import Group, Options
from trilens.alert.instant_query import InstantQuery
from trilens.alert.memory_source import MemorySource
from trilens.alert.recent_samples import Recorded
from trilens.alert.rule_files import read_rules
from trilens.alert.series_notation import labels_of, points_of

PROMTOOL = shutil.which("promtool")
MINUTE_MS = 60_000


class HandClock:
    def __init__(self, now_ms=0):
        self.now_ms = now_ms

    def now_ns(self):
        return self.now_ms * 1_000_000

    def monotonic_ns(self):
        return self.now_ms * 1_000_000


def source_of(series, interval_ms=MINUTE_MS):
    """`{'up{job="a"}': "1 0x5"}` -> a source that shows all of it."""
    source = MemorySource(until_ms=10**15)
    for text, values in series.items():
        for at, point in enumerate(points_of(values)):
            if point is not None:
                is_float = isinstance(point, float)
                value, histogram = (point, None) if is_float else (0.0, point)
                one = Recorded(labels_of(text), at * interval_ms, value, histogram)
                assert not source.add([one])
    return source


def group_of(rules, source, *, is_restored=True, options=None, **fields):
    """A group over `source`, of the YAML of its rules."""
    head = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    body = "\n".join(f"  {line}" for line in rules.strip("\n").splitlines())
    text = f"groups:\n- name: g\n{head}  rules:\n{body}\n"
    (definition,) = read_rules(text.encode(), "rules.yml")
    query = InstantQuery(lambda: source)
    return Group(definition, query, HandClock(), options or Options(), is_restored=is_restored)


def shown(recorded):
    """{name{labels}: value} of what an evaluation recorded; stale markers are "stale"."""
    found = {}
    for one in recorded:
        labels = dict(one.labels)
        name = labels.pop("__name__", "")
        text = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
        is_stale = one.value != one.value and one.histogram is None
        found[text] = "stale" if is_stale else one.histogram or one.value
    return found


def promtool(*arguments):
    """Exit code and what it said."""
    done = subprocess.run([PROMTOOL, *map(str, arguments)], capture_output=True, text=True,
                          check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr
