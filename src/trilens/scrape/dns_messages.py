"""Messages of DNS, as far as discovery asks for them (RFC 1035, 2782, 3596, 6891). No sockets.

A question is for the records of one type of one name. Of an answer only those are taken; names in
it may point back into the message, which is followed within limits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

TYPES: Final = {"A": 1, "NS": 2, "MX": 15, "AAAA": 28, "SRV": 33}
UDP_BYTES_MAX: Final = 4096
MESSAGE_BYTES_MAX: Final = 65_535
NAME_BYTES_MAX: Final = 255
LABEL_BYTES_MAX: Final = 63
SUCCESS, NO_SUCH_NAME = 0, 3
_POINTERS_MAX: Final = 32
_HEADER: Final = struct.Struct("!6H")
_IN: Final = 1
_OPT: Final = b"\0" + struct.pack("!HHIH", 41, UDP_BYTES_MAX, 0, 0)  # EDNS0: its size of answers


@dataclass(frozen=True, slots=True)
class Record:
    """`target` is an address, or a name with its final dot; `port` is of SRV, else 0."""

    target: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    is_truncated: bool
    records: tuple[Record, ...]


def question(number: int, name: str, kind: str, *, is_extended: bool) -> bytes:
    """`number` comes back in the answer. Raises ValueError for a name that is none."""
    labels = [label.encode("idna" if not label.isascii() else "ascii")
              for label in name.rstrip(".").split(".")]  # fmt: skip
    if any(not 0 < len(label) <= LABEL_BYTES_MAX for label in labels):
        raise ValueError(f"{name!r} is no name of DNS")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if len(packed) > NAME_BYTES_MAX:
        raise ValueError(f"{name!r} is longer than names of DNS are")
    head = _HEADER.pack(number, 0x0100, 1, 0, 0, int(is_extended))  # recursion is wanted
    return head + packed + struct.pack("!HH", TYPES[kind], _IN) + (_OPT if is_extended else b"")


def answer(message: bytes, number: int, kind: str) -> Answer:
    """Raises ValueError for what is no answer to the question with this number."""
    try:
        found, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
        if found != number or not flags & 0x8000:
            raise ValueError("not an answer to what was asked")
        at = _HEADER.size
        for _ in range(questions):
            _, at = _name(message, at)
            at += 4
        records = []
        for _ in range(answers):
            _, at = _name(message, at)
            of_type, of_class, _, size = struct.unpack_from("!HHIH", message, at)
            at += 10
            if at + size > len(message):
                raise ValueError("a record that is cut off")
            if of_type == TYPES[kind] and of_class == _IN:
                records.append(_record(message, at, size, kind))
            at += size
    except (struct.error, IndexError):
        raise ValueError("a message that is cut off") from None
    return Answer(flags & 15, bool(flags & 0x0200), tuple(records))


def _record(message: bytes, at: int, size: int, kind: str) -> Record:
    match kind:
        case "A":
            return Record(str(IPv4Address(message[at : at + size])))
        case "AAAA":
            return Record(str(IPv6Address(message[at : at + size])))
        case "SRV":
            (port,) = struct.unpack_from("!H", message, at + 4)
            return Record(_name(message, at + 6)[0], port)
        case "MX":
            return Record(_name(message, at + 2)[0])
        case _:
            return Record(_name(message, at)[0])


def _name(message: bytes, at: int) -> tuple[str, int]:
    """With its final dot, and where what follows begins."""
    labels: list[str] = []
    behind: int | None = None
    pointers = size = 0
    while message[at]:
        length = message[at]
        if length & 0xC0 == 0xC0:
            behind = at + 2 if behind is None else behind
            at = (length & 0x3F) << 8 | message[at + 1]
            pointers += 1
            if pointers > _POINTERS_MAX:
                raise ValueError("a name that points to itself")
            continue
        if length & 0xC0:
            raise ValueError("a label of an unknown kind")
        label = message[at + 1 : at + 1 + length]
        size += length + 1
        if len(label) < length or size > NAME_BYTES_MAX:
            raise ValueError("a name that is too long or cut off")
        labels.append(label.decode("latin-1"))
        at += 1 + length
    return ".".join(labels) + ".", at + 1 if behind is None else behind


@dataclass(frozen=True, slots=True)
class Resolvers:
    """What /etc/resolv.conf says."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    dots_min: int = 1

    @classmethod
    def of(cls, text: str) -> Resolvers:
        """Lines that say something else are passed over."""
        servers: list[str] = []
        search: tuple[str, ...] = ()
        dots_min = 1
        for line in text.splitlines():
            words = line.partition("#")[0].partition(";")[0].split()
            match words:
                case ["nameserver", server, *_]:
                    servers.append(server)
                case ["search" | "domain", *domains]:
                    search = tuple(domains)
                case ["options", *options]:
                    said = [one[6:] for one in options if one.startswith("ndots:")]
                    dots_min = int(said[-1]) if said and said[-1].isdecimal() else dots_min
        return cls(tuple(servers), search, min(dots_min, 15))

    def names(self, name: str) -> list[str]:
        """Those to ask for, one after the other."""
        if name.endswith("."):
            return [name]
        below = [f"{name}.{domain.rstrip('.')}." for domain in self.search if domain.rstrip(".")]
        itself = f"{name}."
        return [itself, *below] if name.count(".") >= self.dots_min else [*below, itself]
