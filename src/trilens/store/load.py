"""One batch of frames into the engine, by the statements of its format."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Sequence

from trilens.envelope import WireFormat
from trilens.store.batch_rows import BatchRows
from trilens.store.decoding import (
    BODIES_OF,
    NOTHING,
    REFUSED_BY_THROW_IF,
    Body,
    Decode,
    decodes,
    delimited,
    tables_counted,
    tables_of_facts,
)
from trilens.store.engine import Engine, EngineBusy, EngineError

LOAD_TIMEOUT_S = 120.0
NO_ROOM = 243
# As a server may have other defaults: be stored when the answer comes, and whole. And decoded
# piece by piece: a protobuf message is a row to the reader, so 65,000 of them were one block, and
# lines took 9 times their bytes in memory. In pieces it is 3, and no slower.
INSERT_SETTINGS = {
    "async_insert": "0",
    "distributed_foreground_insert": "1",
    "insert_deduplicate": "0",
    "input_format_max_block_size_bytes": "2000000",
}
# After a fallback was needed it is tried first this many times, since bodies of one sender are
# alike: a refusal costs as much as a load.
FALLBACK_FIRST = 8


class Load:
    """Loads batches of one format. Several threads may call at once.

    After run() raised, rows of the batch may be there: remove() first, then anything else.
    """

    def __init__(self, engine: Engine, wire_format: WireFormat) -> None:
        self.tables = tables_counted(wire_format)
        self._facts = tables_of_facts(wire_format)
        self._engine = engine
        self._rows = BatchRows(engine)
        self._decodes = decodes(wire_format)
        self._bodies_of = BODIES_OF.get(wire_format, delimited)
        self._tried = _Tried()
        self._first = 0
        self._first_left = 0
        # What views write on the way counts as written too; of these formats rows are written once.
        self._writes_once = len(self.tables) == 1

    def run(self, number: int, messages: Sequence[bytes]) -> int:
        """Load messages. Returns the rows that are records.

        Raises:
            Undecodable: one of these messages never loads.
            EngineBusy: try again.
            EngineError: code 395: no statement reads one of these messages; another code: this
                does not tell whose fault it is, is_sound() does.

        """
        start = self._start()
        for place in range(start, len(self._decodes)):
            try:
                written = self._run(self._decodes[place], number, messages)
            except EngineError as error:
                if error.code != REFUSED_BY_THROW_IF or place + 1 == len(self._decodes):
                    raise
                self._rows.remove(self.tables, number)
                self._first, self._first_left = place + 1, FALLBACK_FIRST
            else:
                if not self._rows.is_whole((*self.tables, *self._facts), number):
                    raise EngineBusy(NO_ROOM, "the disk is full: what was written is not whole")
                return self._count(number) if written is None else written
        raise AssertionError("a format has at least one statement")

    def remove(self, number: int, failure: Exception | None = None) -> None:
        """Returns when the batch has no rows, and none can come. Raises EngineBusy, EngineError."""
        if isinstance(failure, Unanswered):
            self._rows.end(failure.query_id)
        self._rows.remove(self.tables, number)
        self._rows.put_aside_damaged(self._facts, number)

    def is_sound(self) -> bool:
        """Whether the statements that failed last in this thread work with nothing to load.

        If not, the engine forgets the schemas of messages that it keeps as files: one that was
        written to a full disk is empty, and stays so. Raises EngineBusy.
        """
        try:
            self._run(self._tried.decode, 0, NOTHING)
        except EngineBusy:
            raise
        except EngineError:
            with contextlib.suppress(EngineError):  # a server may not let us
                self._engine.command("SYSTEM DROP FORMAT SCHEMA CACHE")
            return False
        return True

    def _start(self) -> int:
        if self._first_left <= 0:
            self._first = 0
        self._first_left -= 1
        return self._first

    def _run(self, decode: Decode, number: int, messages: Sequence[bytes]) -> int | None:
        """Rows that are records; None where they have to be counted."""
        self._tried.decode = decode
        records: int | None = 0
        for body in self._bodies_of(messages):
            written = self._run_one(decode, number, body)
            if body.records is not None:
                written = body.records
            elif not self._writes_once:
                records = None
            records = None if records is None else records + written
        return records

    def _run_one(self, decode: Decode, number: int, body: Body) -> int:
        """Rows that the first statement has written, those of views on the way included."""
        written = []
        for statement in decode.statements:
            if statement.reads not in (body.format, None):
                continue
            if statement.reads is None:
                self._engine.command(
                    statement.sql, params={"batch": number}, timeout_s=LOAD_TIMEOUT_S
                )
                continue
            query_id = str(uuid.uuid4())
            try:
                rows = self._engine.insert(
                    statement.sql,
                    body.pieces,
                    params={"batch": number},
                    settings=INSERT_SETTINGS,
                    query_id=query_id,
                    timeout_s=LOAD_TIMEOUT_S,
                )
            except EngineBusy as error:
                if not error.code:
                    raise Unanswered(query_id, error.message) from error
                raise
            written.append(rows)
        return written[0]

    def _count(self, number: int) -> int:
        try:
            return sum(self._rows.count(self.tables, number).values())
        except EngineError:
            return 0  # they are there; only the number is not known


class _Tried(threading.local):
    decode: Decode


class Unanswered(EngineBusy):
    """The engine did not say how the statement ended: it died, or could not be reached."""

    def __init__(self, query_id: str, message: str) -> None:
        super().__init__(0, message)
        self.query_id = query_id
