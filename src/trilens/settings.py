"""Every setting: one row a setting, for flags, environment, file, `--help` and the docs page.

A value comes from the first of: a flag (`--data-dir`), the environment (`TRILENS_DATA_DIR`), the
YAML file named by `--config` or TRILENS_CONFIG (`data_dir:`), the default. A key that is no
setting is refused with the nearest one that is. An empty variable counts as not set; an empty flag
or line is refused, since what was meant there is missing. `trilens check` prints every value and
its origin.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, ValidationError

from trilens.addresses import HostPort, read_host_port
from trilens.errors import TrilensError

GIB: Final = 1 << 30
DAY_S: Final = 86_400
ENV_PREFIX: Final = "TRILENS_"
CONFIG_VARIABLE: Final = "TRILENS_CONFIG"
MEMORY_BYTES_MIN: Final = 768 << 20
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": DAY_S, "w": 7 * DAY_S, None: 1}
_SIZE_UNITS: Final = ("TiB", "GiB", "MiB", "KiB")
# What depends on the machine, or is no value, in words.
_DEFAULTS_IN_WORDS: Final = {
    "memory_bytes_max": "half of the machine's, at most 2 GiB",
    "token": "none",
}


class SettingsError(TrilensError):
    """A value or key that cannot be used: the text names it, its origin and what would do."""


def _seconds(value: object) -> object:
    """`90`, `1.5s`, `15m`, `14d`."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration; one looks like 30s, 15m or 14d")
    return float(match[1]) * _UNIT_S[match[2]]


def _or_off(value: object) -> object:
    # YAML 1.1 reads a bare `off` as false.
    is_off = value is False or (isinstance(value, str) and value.strip().lower() == "off")
    return None if is_off else value


def _address(value: object) -> object:
    # YAML reads a bare port as a number.
    return value if value is None or isinstance(value, HostPort) else read_host_port(str(value))


def _engine(value: object) -> object:
    if value == "embedded" or re.match(r"https?://[^/]", str(value)):
        return value
    raise ValueError("neither `embedded` nor a URL like http://user:password@host:8123")


def _url(value: object) -> object:
    if value is None or re.match(r"https?://[^/]", str(value)):
        return value
    raise ValueError("not a URL like https://trilens.example.org")


def _paths(value: object) -> object:
    return [part for part in value.split(":") if part] if isinstance(value, str) else value


Address = Annotated[HostPort, BeforeValidator(_address)]
Off = BeforeValidator(_or_off)
AddressOrOff = Annotated[HostPort | None, BeforeValidator(_address), Off]
Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
SecondsOrOff = Annotated[float | None, BeforeValidator(_seconds), Off]
Size = Annotated[ByteSize, Field(gt=0)]
SizeOrOff = Annotated[ByteSize | None, Off]
RulePack = Literal["kubernetes"]
PathsOrOff = Annotated[list[Path] | None, BeforeValidator(_paths), Off]
PacksOrOff = Annotated[list[RulePack] | None, BeforeValidator(_paths), Off]
UrlOrOff = Annotated[str | None, BeforeValidator(_url), Off]
PathOrOff = Annotated[Path | None, Off]
LogLevel = Literal["debug", "info", "warning", "error"]


def _memory_default() -> int:
    """Half of the machine's memory, but at most 2 GiB."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(MEMORY_BYTES_MIN, min(2 * GIB, machine // 2))


class Settings(BaseModel):
    """The table. A row's description is its sentence in every place where it is shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_dir: Path = Field(Path("data"), description="Where everything is kept.")
    http: Address = Field(
        HostPort("127.0.0.1", 4280),
        description="Address of the console, the APIs and every protocol over HTTP.",
    )
    otlp_grpc: AddressOrOff = Field(
        HostPort("127.0.0.1", 4317), description="Address of OTLP over gRPC."
    )
    otlp_http: AddressOrOff = Field(
        HostPort("127.0.0.1", 4318),
        description="A second address of OTLP over HTTP, as SDKs expect it.",
    )
    fluent_forward: AddressOrOff = Field(
        None, description="Address of the Fluent forward protocol. This version offers `off` only."
    )
    xray: AddressOrOff = Field(
        None, description="Address of the X-Ray daemon protocol. This version offers `off` only."
    )
    token: str | None = Field(
        None,
        description="What clients must show, as a bearer token or as the password of basic "
        "authentication. Needed unless every address is a loopback one.",
    )
    insecure: bool = Field(
        False, description="Listen beyond loopback without a token: whoever reaches it may do all."
    )
    engine: Annotated[str, BeforeValidator(_engine)] = Field(
        "embedded",
        description="`embedded`, or a ClickHouse server: http(s)://user:password@host:port/"
        "?cluster=name.",
    )
    memory_bytes_max: Size = Field(
        ByteSize(_memory_default()),
        description="Resident memory of all processes together. What is loaded at once, what one "
        "query may take (30 % of the engine's) and, under 2 GiB, the largest message follow from "
        "it. A container needs 128 MB more, for bodies handed to the engine, and page cache.",
    )
    message_bytes_max: Size = Field(
        ByteSize(64 << 20), description="The largest request body, after decompression."
    )
    spool_bytes_max: Size = Field(
        ByteSize(4 * GIB),
        description="Disk for what is not loaded yet; above it senders are asked to wait.",
    )
    retention_logs_s: SecondsOrOff = Field(
        14 * DAY_S, description="Age at which logs go, to a tenth of it or a day."
    )
    retention_spans_s: SecondsOrOff = Field(
        14 * DAY_S, description="Age at which spans go, to a tenth of it or a day."
    )
    retention_samples_s: SecondsOrOff = Field(
        30 * DAY_S,
        description="Age at which samples, histograms and exemplars go, to a tenth of it or a day.",
    )
    retention_logs_bytes_max: SizeOrOff = Field(
        None, description="Disk for logs; above it the oldest day goes, of today the oldest rows."
    )
    retention_spans_bytes_max: SizeOrOff = Field(
        None, description="Disk for spans; above it the oldest day goes, of today the oldest rows."
    )
    retention_samples_bytes_max: SizeOrOff = Field(
        None,
        description="Disk for samples, histograms and exemplars; above it the oldest day goes, "
        "of today the oldest rows.",
    )
    query_seconds_max: Seconds = Field(30.0, description="Time of one query, in seconds.")
    query_memory_bytes_max: Size = Field(
        ByteSize(400 << 20),
        description="Memory of one query; the embedded engine gives it 30 % of its own at most.",
    )
    query_rows_max: int = Field(1_000_000, gt=0, description="Rows in the answer of one query.")
    query_answer_bytes_max: Size = Field(
        ByteSize(256 << 20), description="Bytes in the answer of one query."
    )
    enable_admin_api: bool = Field(
        False,
        description="Whether samples can be deleted and snapshots made by Prometheus's admin API.",
    )
    prometheus_config: PathOrOff = Field(
        None,
        description="A prometheus.yml: what to scrape, which rules to evaluate, which "
        "Alertmanagers to tell. Its faults keep the server from starting, each with its line.",
    )
    alertmanager_config: PathOrOff = Field(
        None,
        description="An alertmanager.yml: whom to notify of alerts. Its faults keep the server "
        "from starting, each with its line.",
    )
    external_url: UrlOrOff = Field(
        None,
        description="Where people reach this server: what links in notifications begin with; the "
        "HTTP address if it is off.",
    )
    watch_interval_s: Seconds = Field(
        15.0, description="`trilens up`: how often this machine's numbers are taken, in seconds."
    )
    rule_files: PathsOrOff = Field(
        None,
        description="Rule files of Prometheus, paths and globs with colons between them: recording "
        "rules, and alerts. One that is not right keeps the server from starting.",
    )
    rule_packs: PacksOrOff = Field(
        None,
        description="Rules that come with Trilens, with colons between them: `kubernetes` records "
        "what Kubernetes dashboards read, and alerts.",
    )
    watch_logs: Annotated[list[Path], BeforeValidator(_paths)] = Field(
        [Path("/var/log")],
        description="`trilens up`: directories whose log files are followed, separated by colons.",
    )
    log_level: LogLevel = Field("info", description="What Trilens says about itself on stderr.")

    @property
    def addresses(self) -> dict[str, HostPort]:
        """What will be listened on, by protocol."""
        asked = {"http": self.http, "otlp_grpc": self.otlp_grpc, "otlp_http": self.otlp_http}
        return {name: address for name, address in asked.items() if address is not None}

    def retention(self, signal: str) -> tuple[int | None, int | None]:
        """Seconds and bytes after which rows of `signal` go; None: never."""
        time_s = getattr(self, f"retention_{signal}_s")
        size_bytes_max = getattr(self, f"retention_{signal}_bytes_max")
        return (None if time_s is None else int(time_s), size_bytes_max)


@dataclass(frozen=True, slots=True)
class Loaded:
    """`origins` says of every setting where its value came from."""

    settings: Settings
    origins: dict[str, str]


def load(
    flags: Mapping[str, str], environ: Mapping[str, str], config_file: Path | None = None
) -> Loaded:
    """Settings from all sources; `flags` by field name, as text. Raises SettingsError."""
    config_file = config_file or _config_of(environ)
    in_file = _from_file(config_file) if config_file else {}
    in_environment = _from_environment(environ)
    sources = (
        (dict(flags), "flag"),
        (in_environment, "environment"),
        (in_file, str(config_file)),
    )
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for source, origin in reversed(sources):
        for name, value in source.items():
            if value == "":
                raise SettingsError(f"{name} ({origin}) is empty")
        values |= source
        origins |= dict.fromkeys(source, origin)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_reason(error, origins)) from None
    _check(settings)
    return Loaded(settings, origins)


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def nearest(name: str, names: Iterable[str]) -> str:
    return difflib.get_close_matches(name, names, n=1, cutoff=0.0)[0]


def default_text(name: str) -> str:
    """The default of a setting, the same on every machine."""
    return _DEFAULTS_IN_WORDS.get(name) or text(name, Settings.model_fields[name].default)


def text(name: str, value: Any) -> str:
    """The value of a setting as it would be written in a flag; secrets are not shown."""
    if name == "token":
        shown = "(set)" if value else "none"
    elif name == "engine":
        shown = re.sub(r"(//[^/@:]*):[^/]*@", r"\1:(set)@", value)
    elif value is None or isinstance(value, bool):
        shown = {None: "off", True: "yes", False: "no"}[value]
    elif isinstance(value, list):
        shown = ":".join(map(str, value))
    elif name.endswith("_bytes_max"):
        shown = _size_text(int(value))
    else:
        is_time = name.endswith(("_s", "_seconds_max"))
        shown = _duration_text(value) if is_time else str(value)
    return shown


def _size_text(size: int) -> str:
    for place, unit in enumerate(_SIZE_UNITS):
        count, rest = divmod(size, 1 << (10 * (len(_SIZE_UNITS) - place)))
        if count and not rest:
            return f"{count}{unit}"
    return str(size)


def _duration_text(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        count, rest = divmod(seconds, _UNIT_S[unit])
        if count and not rest:
            return f"{count:.0f}{unit}"
    return f"{seconds:g}s"


def _config_of(environ: Mapping[str, str]) -> Path | None:
    path = environ.get(CONFIG_VARIABLE)
    return Path(path) if path else None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    given = {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(ENV_PREFIX) and name != CONFIG_VARIABLE
    }
    for name in given:
        _known(name, f"the environment variable {ENV_PREFIX}{name.upper()}", str.upper)
    return {name: value for name, value in given.items() if value}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not YAML: {error}") from None
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise SettingsError(f"{path} must hold `name: value` lines, not a {type(given).__name__}")
    for name in given:
        _known(str(name), f"{name!r} in {path}")
    return given


def _known(name: str, shown: str, written: Any = str) -> None:
    if name in Settings.model_fields:
        return
    near = nearest(name, Settings.model_fields)
    prefix = ENV_PREFIX if written is str.upper else ""
    raise SettingsError(f"{shown} is no setting; did you mean {prefix}{written(near)}?")


def _reason(error: ValidationError, origins: Mapping[str, str]) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"].startswith("byte_size"):
        message = "no size; one looks like 512MiB or 4GB"
    given = "(hidden)" if name == "token" else repr(first["input"])
    return f"{name} = {given} ({origins.get(name, 'default')}): {message}"


def _check(settings: Settings) -> None:
    """What no single row can say."""
    for name in ("fluent_forward", "xray"):
        if getattr(settings, name) is not None:
            raise SettingsError(f"{name} is not offered by this version; the only value is off")
    if settings.memory_bytes_max < MEMORY_BYTES_MIN:
        least = ByteSize(MEMORY_BYTES_MIN).human_readable()
        raise SettingsError(f"memory_bytes_max must be at least {least}")
    open_addresses = [str(a) for a in settings.addresses.values() if not a.is_loopback]
    if open_addresses and not settings.token and not settings.insecure:
        raise SettingsError(
            f"{open_addresses[0]} can be reached from other machines: set a token "
            f"({ENV_PREFIX}TOKEN), or say --insecure to let everybody in"
        )
