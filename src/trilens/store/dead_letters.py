"""Frames that the engine cannot decode: kept with the reason, listed, sent once more.

Promise     put() returns when the letter is on disk and synced; the loader finishes the batch
            after that. A letter leaves by delete() or replay() only
One file    <id>.letter: a line of JSON about the frame, then the payload as it came
Identity    follows from the frame, so a frame that comes here twice is one letter. A replay keeps
            the time of receipt and the payload, so its second failure has the same id and is
            counted in `attempts`; <id>.replayed remembers them meanwhile
Torn        a file whose size is not the one it says is put aside as <id>.damaged and counted
Limit       letters count against the disk budget of the spool (size_bytes)

A replay that is killed between the spool's sync and the end of the letter leaves both: the letter
can be replayed again, and its records would then be there twice.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import orjson

from trilens.envelope import WIRE_FORMATS, Encoding, Envelope, WireFormat
from trilens.errors import Broken, Refused
from trilens.measures import Measures

REASON_LENGTH_MAX = 2000
# Letters that were replayed and have not failed again; older ones are forgotten.
REPLAYED_MAX = 1000
REPLAY_TIMEOUT_S = 30.0
_ID_CHARACTERS = frozenset("0123456789abcdef-")


class Spooling(Protocol):
    """What a replay needs of the spool."""

    def append(self, envelope: Envelope) -> Future[None]: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """One frame; `code` is ClickHouse's, 0 when it never got that far."""

    id: str
    format: WireFormat
    received_at_ns: int
    encoding: Encoding
    size_bytes: int
    reason: str
    code: int
    attempts: int


class DeadLetters:
    """The letters in one directory. Methods block on the disk; any thread may call them."""

    def __init__(
        self, directory: Path, spool: Spooling, measures: Measures, log: logging.Logger
    ) -> None:
        self._directory = directory
        self._spool = spool
        self._measures = measures
        self._log = log
        self._letters: dict[str, Letter] = {}
        self._replayed: dict[str, int] = {}
        self._lock = threading.RLock()
        self._size_bytes = 0

    def open(self) -> None:
        """Read what is there. Raises Broken when the directory cannot be used."""
        with self._lock:
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                for path in sorted(self._directory.iterdir()):
                    self._find(path)
            except OSError as error:
                raise Broken(f"dead letters cannot be read: {error}") from error
            self._measure()

    def put(self, envelope: Envelope, *, reason: str, code: int) -> Letter:
        """Keep a frame. Raises OSError when the disk does not take it."""
        letter_id = _id(envelope)
        with self._lock:
            known = self._letters.get(letter_id)
            attempts = known.attempts if known else self._replayed.get(letter_id, 0) + 1
            letter = Letter(
                id=letter_id,
                format=envelope.format,
                received_at_ns=envelope.received_at_ns,
                encoding=envelope.encoding,
                size_bytes=len(envelope.payload),
                reason=reason[:REASON_LENGTH_MAX].encode("utf-8", "replace").decode(),
                code=code,
                attempts=attempts,
            )
            head = orjson.dumps(asdict(letter))
            self._write(self._path(letter_id), head + b"\n" + envelope.payload)
            self._remember(letter)
            self._forget_replayed(letter_id)
            self._measure()
        return letter

    def newest(self, limit: int) -> list[Letter]:
        with self._lock:
            found = sorted(self._letters.values(), key=lambda one: one.received_at_ns)
        return found[::-1][:limit]

    def totals(self) -> dict[WireFormat, int]:
        with self._lock:
            return dict(Counter(letter.format for letter in self._letters.values()))

    def size_bytes(self) -> int:
        return self._size_bytes

    def replay(self, letter_id: str) -> None:
        """Put it back into the spool. Raises Refused: not_found, spool_full or overloaded."""
        with self._lock:
            letter = self._known(letter_id)
            _, payload = _read(self._path(letter_id))
            envelope = Envelope(letter.format, letter.received_at_ns, letter.encoding, payload)
            try:
                self._spool.append(envelope).result(REPLAY_TIMEOUT_S)
            except TimeoutError:
                raise Refused("overloaded", "the disk did not answer in time") from None
            # The loader may have failed with it already, and waits for us to put it back.
            self._write(self._mark(letter_id), str(letter.attempts).encode())
            self._replayed[letter_id] = letter.attempts
            self._remove(letter_id)
            self._trim_replayed()
        self._log.info("dead letter replayed", extra={"letter": letter_id})

    def delete(self, letter_id: str) -> None:
        """Forget it. Raises Refused (not_found)."""
        with self._lock:
            self._known(letter_id)
            self._remove(letter_id)

    def _known(self, letter_id: str) -> Letter:
        letter = self._letters.get(letter_id)
        if letter is None:
            raise Refused("not_found", f"no dead letter {letter_id!r}")
        return letter

    def _find(self, path: Path) -> None:
        """One file of the directory, at the start."""
        if path.suffix == ".partial" or (path.suffix == ".replayed" and path.stem in self._letters):
            path.unlink()
        elif path.suffix == ".replayed":
            text = path.read_text(encoding="utf-8")
            self._replayed[path.stem] = int(text) if text.isdigit() else 1
        elif path.suffix == ".letter":
            letter = _read_letter(path)
            if letter is None:
                path.rename(path.with_suffix(".damaged"))
                self._measures.count("trilens_dead_letters_damaged_total")
                self._log.error("dead letter is damaged, put aside", extra={"letter": path.stem})
            else:
                self._remember(letter)

    def _remember(self, letter: Letter) -> None:
        if letter.id not in self._letters:
            self._size_bytes += letter.size_bytes
        self._letters[letter.id] = letter

    def _remove(self, letter_id: str) -> None:
        self._path(letter_id).unlink(missing_ok=True)
        _sync_directory(self._directory)
        self._size_bytes -= self._letters.pop(letter_id).size_bytes
        self._measure()

    def _forget_replayed(self, letter_id: str) -> None:
        if self._replayed.pop(letter_id, None) is not None:
            self._mark(letter_id).unlink(missing_ok=True)

    def _trim_replayed(self) -> None:
        while len(self._replayed) > REPLAYED_MAX:
            self._forget_replayed(next(iter(self._replayed)))

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(self._directory)

    def _path(self, letter_id: str) -> Path:
        if not letter_id or not _ID_CHARACTERS.issuperset(letter_id):
            raise Refused("not_found", f"no dead letter {letter_id!r}")
        return self._directory / f"{letter_id}.letter"

    def _mark(self, letter_id: str) -> Path:
        return self._path(letter_id).with_suffix(".replayed")

    def _measure(self) -> None:
        counts = Counter(letter.format for letter in self._letters.values())
        for wire_format in WIRE_FORMATS:
            self._measures.set("trilens_dead_letters", wire_format, to=counts[wire_format])


def _id(envelope: Envelope) -> str:
    content = hashlib.sha256(f"{envelope.format} {envelope.encoding} ".encode())
    content.update(envelope.payload)
    return f"{envelope.received_at_ns:016x}-{content.hexdigest()[:16]}"


def _read(path: Path) -> tuple[bytes, bytes]:
    head, _, payload = path.read_bytes().partition(b"\n")
    return head, payload


def _read_letter(path: Path) -> Letter | None:
    """The letter in a file; None when the file is not as it was written."""
    try:
        with path.open("rb") as file:
            head = file.readline()
            size_bytes = os.fstat(file.fileno()).st_size - len(head)
        letter = Letter(**orjson.loads(head))
    except (TypeError, orjson.JSONDecodeError):
        return None
    return letter if letter.id == path.stem and letter.size_bytes == size_bytes else None


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
