"""python -m bench [--scale X] [NAME ...]: run benchmarks, print their lines and a table."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import Final

from bench import (
    active_series,
    logs,
    lookups,
    machine,
    memory,
    promql,
    remote_write,
    remote_write_out,
    report,
    scraping,
    spans,
    startup,
    visible,
)

BENCHMARKS: Final[tuple[ModuleType, ...]] = (
    startup, spans, remote_write, logs, lookups, promql, scraping, remote_write_out,
    active_series, visible, memory,
)  # fmt: skip
NAMES: Final = {module.__name__.rpartition(".")[2]: module for module in BENCHMARKS}


def main() -> int:
    """Returns 0 when every benchmark ran, whatever its figures; 1 when one failed."""
    arguments = _arguments()
    machine.RESULTS.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    path = machine.RESULTS / f"{now:%Y%m%dT%H%M%SZ}.jsonl"
    about = {
        "at": now.isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "scale": arguments.scale,
        "machine": machine.description(),
    }
    rows: list[tuple[str, report.Figure]] = []
    failed: list[str] = []
    with path.open("w") as file:
        for name in arguments.names or NAMES:
            figures, seconds, failure = _run(NAMES[name].run, arguments.scale)
            rows += [(name, figure) for figure in figures]
            failed += [name] if failure else []
            line = {"benchmark": name, **about, "seconds": round(seconds, 1), "failure": failure}
            text = json.dumps(line | {"figures": [figure.as_json() for figure in figures]})
            print(text, flush=True)
            file.write(text + "\n")
    if not arguments.keep:
        shutil.rmtree(machine.SCRATCH / "data", ignore_errors=True)
    print(f"\n{report.table(rows)}\n\nlines in {path.relative_to(machine.ROOT)}")
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def _run(
    run: Callable[[float], Iterator[report.Figure]], scale: float
) -> tuple[list[report.Figure], float, str | None]:
    """Figures as far as they came, seconds, and why it ended early."""
    figures: list[report.Figure] = []
    began_at = time.monotonic()
    try:
        figures.extend(run(scale))
    except Exception as error:  # noqa: BLE001 - the next benchmark may still run
        traceback.print_exc()
        return figures, time.monotonic() - began_at, f"{type(error).__name__}: {error}"
    return figures, time.monotonic() - began_at, None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME",
                        help=f"only these: {', '.join(NAMES)}")  # fmt: skip
    parser.add_argument("--scale", type=float, default=1.0, help="share of the records")
    parser.add_argument("--keep", action="store_true", help="keep the data directories")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
