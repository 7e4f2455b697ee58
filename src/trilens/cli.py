"""The commands: `trilens serve | up | sql | spool dump | check`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trilens import __version__, log_lines
from trilens.errors import TrilensError
from trilens.settings import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    Loaded,
    Settings,
    SettingsError,
    default_text,
    flag,
    load,
    nearest,
    text,
)

_EPILOG: Final = f"""\
Settings come from flags, from {ENV_PREFIX}* in the environment and from one YAML file
(--config or {CONFIG_VARIABLE}), in this order; `trilens check` shows where each came from.
Help of a command shows the default of each [in brackets].

examples:
  trilens up                                      watch this machine; console on port 4280
  trilens serve --data-dir /var/lib/trilens       the server alone
  trilens sql 'SELECT service, count() FROM logs GROUP BY service'
  trilens spool dump data/spool                   what is kept and not loaded yet
  trilens check --config trilens.yaml             would it start like this?
  trilens check prometheus.yml alertmanager.yml   are they right, and all that they name?
  trilens check rules.yml rules_test.yml          are these rules right, do their tests hold?
"""
_OTHER_FLAGS: Final = ("config", "format", "payload")
_VERBS: Final = {
    "serve": "Start the server: receivers, store, APIs and console.",
    "up": "Start the server and watch this machine: its numbers, its log files, Trilens itself.",
    "check": "Say which settings would be used and where each comes from, or check files.",
    "sql": "Ask a running server in SQL: the views logs, spans, samples, series, exemplars.",
    "spool": "Look into the spool's files.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 done, 1 failed, 2 wrong usage or settings."""
    arguments, unknown = _parser().parse_known_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        _refuse(unknown, arguments)
        return command(arguments)
    except TrilensError as error:
        print(f"trilens: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except BrokenPipeError:  # `trilens sql ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _refuse(unknown: Sequence[str], arguments: argparse.Namespace) -> None:
    """A flag that is none is refused like a line of the file: with the nearest that is one."""
    if not unknown:
        return
    given = unknown[0].partition("=")[0]
    if not given.startswith("-"):
        raise SettingsError(f"{given!r} is one word too many; see trilens {arguments.verb} --help")
    names = [name for name in (*Settings.model_fields, *_OTHER_FLAGS) if hasattr(arguments, name)]
    raise SettingsError(f"{given} is no flag; did you mean {nearest(given, map(flag, names))}?")


def _serve(arguments: argparse.Namespace) -> int:
    from trilens.server import serve  # noqa: PLC0415 - a second of imports that others spare

    settings = _loaded(arguments).settings
    log_lines.configure(settings.log_level)
    return serve(settings, is_watching=arguments.verb == "up")


def _check(arguments: argparse.Namespace) -> int:
    if arguments.files:
        return _check_files(arguments.files)
    loaded = _loaded(arguments)
    _check_named(loaded.settings)
    width = max(len(name) for name in Settings.model_fields)
    for name, origin in loaded.origins.items():
        value = text(name, getattr(loaded.settings, name))
        print(f"{name:<{width}}  {value:<24}  {origin}")
    return 0


def _check_files(paths: Sequence[Path]) -> int:
    """Of Prometheus and Alertmanager: 0 if all are well."""
    from trilens.check_files import check  # noqa: PLC0415

    verdicts = [check(path) for path in paths]
    for verdict in verdicts:
        print("\n".join(verdict.lines), file=sys.stdout if verdict.is_well else sys.stderr)
    return 0 if all(verdict.is_well for verdict in verdicts) else 1


def _check_named(settings: Settings) -> None:
    """The files that settings name. Raises SettingsError, with every fault of each."""
    from trilens.clock import SystemClock  # noqa: PLC0415
    from trilens.config_files.problems import FileRefused  # noqa: PLC0415
    from trilens.server import files_of  # noqa: PLC0415
    from trilens.server_files import read  # noqa: PLC0415

    try:
        read(files_of(settings), SystemClock())
    except FileRefused as refused:
        raise SettingsError(f"files are refused\n{refused}") from None


def _sql(arguments: argparse.Namespace) -> int:
    from trilens.sql_client import ask  # noqa: PLC0415

    settings = _loaded(arguments).settings
    query = sys.stdin.read() if arguments.query == "-" else arguments.query
    fmt = arguments.format or ("PrettyCompact" if sys.stdout.isatty() else "TabSeparatedWithNames")
    return ask(settings.http, query, fmt=fmt, token=settings.token, out=sys.stdout.buffer)


def _spool_dump(arguments: argparse.Namespace) -> int:
    from trilens.spool.dump import dump, write_payload  # noqa: PLC0415

    if arguments.payload is not None:
        write_payload(arguments.path, arguments.payload, sys.stdout.buffer)
        return 0
    for line in dump(arguments.path):
        print(line)
    return 0


def _loaded(arguments: argparse.Namespace) -> Loaded:
    names = Settings.model_fields
    flags = {name: getattr(arguments, name, None) for name in names}
    given = {name: value for name, value in flags.items() if value is not None}
    return load(given, os.environ, arguments.config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trilens",
        description="Observability for a cluster in one program: metrics, logs and traces.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"trilens {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    for verb, command in (("serve", _serve), ("up", _serve), ("check", _check)):
        made = _verb(verbs, verb, command)
        if verb == "check":
            made.add_argument(
                "files", nargs="*", type=Path, metavar="FILE",
                help="rule files, or unit tests of rules: check these instead of settings",
            )  # fmt: skip
        _with_settings(made, tuple(Settings.model_fields))
    sql = _verb(verbs, "sql", _sql)
    sql.add_argument("query", metavar="SQL", help="the query, or - for standard input")
    sql.add_argument("--format", metavar="FORMAT", help="any output format of ClickHouse")
    _with_settings(sql, ("http", "token"))
    spool = verbs.add_parser("spool", help=_VERBS["spool"], description=_VERBS["spool"])
    dump = spool.add_subparsers(dest="spool_verb", required=True, metavar="COMMAND").add_parser(
        "dump",
        help="Print every frame, commit mark and damage, from the files alone.",
        description="Print every frame, commit mark and damage, from the files alone.",
        allow_abbrev=False,
    )
    dump.add_argument("path", type=Path, metavar="PATH", help="a spool, one stream, or one file")
    dump.add_argument(
        "--payload", type=int, metavar="OFFSET", help="write one frame's payload as it came instead"
    )
    dump.set_defaults(command=_spool_dump)
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=_VERBS[name], description=_VERBS[name], allow_abbrev=False)
    verb.set_defaults(command=command)
    return verb


def _with_settings(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="a YAML file of settings")
    for name in names:
        row = Settings.model_fields[name]
        sentence = f"{row.description} [{default_text(name)}]".replace("%", "%%")
        if row.annotation is bool:
            parser.add_argument(flag(name), action="store_const", const="true", help=sentence)
        else:
            parser.add_argument(flag(name), metavar=_metavar(name), help=sentence)


def _metavar(name: str) -> str:
    """What kind of text a flag takes, by the unit at the end of its name."""
    if name in ("http", "otlp_grpc", "otlp_http", "fluent_forward", "xray"):
        return "HOST:PORT"
    for end, shown in (("_bytes_max", "SIZE"), ("_s", "DURATION"), ("_seconds_max", "DURATION"),
                       ("_dir", "DIR"), ("_logs", "DIRS"), ("_files", "FILES")):  # fmt: skip
        if name.endswith(end):
            return shown
    return name.rpartition("_")[2].upper()


if __name__ == "__main__":
    sys.exit(main())
