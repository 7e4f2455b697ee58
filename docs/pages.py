"""Pages that are made from the code: `make docs` writes them, tests/test_docs.py compares them."""

from __future__ import annotations

import sys
from pathlib import Path

from trilens.measures import METRICS
from trilens.settings import CONFIG_VARIABLE, ENV_PREFIX, Settings, default_text, flag

DOCS = Path(__file__).resolve().parent


def settings_page() -> str:
    rows = [
        f"| `{flag(name)}` | {_default(name)} | {row.description} |"
        for name, row in Settings.model_fields.items()
    ]
    return f"""# Settings

A value comes from the first of: the flag, the environment variable (`{ENV_PREFIX}DATA_DIR` for
`--data-dir`), the YAML file named by `--config` or `{CONFIG_VARIABLE}` (`data_dir:`), the default.
A key that is no setting is refused with the nearest one that is. `trilens check` prints every
value and where it came from. Settings are read at the start. An empty variable counts as not set.

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


def _default(name: str) -> str:
    """Between backticks where it could be written so; the others are words."""
    shown = default_text(name)
    return shown if name in ("memory_bytes_max", "token") else f"`{shown}`"


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
