"""Pages that are made from the code: `make docs` writes them, tests/test_docs.py compares them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from trilens.measures import METRICS
from trilens.settings import CONFIG_VARIABLE, DAY_S, ENV_PREFIX, Settings, flag

DOCS = Path(__file__).resolve().parent
_NAMED_DEFAULTS = {
    "memory_bytes_max": "half of the machine's, at most 2 GiB",
    "token": "none",
}


def settings_page() -> str:
    rows = [
        f"| `{flag(name)}` | {_default(name, row.default)} | {row.description} |"
        for name, row in Settings.model_fields.items()
    ]
    return f"""# Settings

A value comes from the first of: the flag, the environment variable (`{ENV_PREFIX}DATA_DIR` for
`--data-dir`), the YAML file named by `--config` or `{CONFIG_VARIABLE}` (`data_dir:`), the default.
A key that is no setting is refused with the nearest one that is. `trilens check` prints every
value and where it came from. Settings are read at the start.

Sizes are written as `512MiB` or `4GB`, durations as `30s`, `15m` or `14d`, addresses as
`127.0.0.1:4280` or `[::1]:4280` (`:4280` is every address of the machine); `off` switches off what
can be switched off.

| Flag | Default | What it is |
|---|---|---|
{chr(10).join(rows)}
"""


def metrics_page() -> str:
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.sentence} |"
        for metric in METRICS
    ]
    return f"""# Metrics about Trilens itself

`GET /metrics` prints them in the Prometheus text format; `trilens up` also stores them, so that
they can be asked like any other.

| Name | Kind | Labels | What it is |
|---|---|---|---|
{chr(10).join(rows)}
"""


PAGES = {"settings.md": settings_page, "metrics.md": metrics_page}


def _default(name: str, value: Any) -> str:
    if name in _NAMED_DEFAULTS:
        return _NAMED_DEFAULTS[name]
    if value is None or isinstance(value, bool):
        text = "off" if value is None else "no"
    elif isinstance(value, list):
        text = ":".join(str(item) for item in value)
    elif name.endswith("_bytes_max"):
        text = value.human_readable()
    elif name.startswith("retention"):
        text = f"{value // DAY_S:.0f}d"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`"


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
