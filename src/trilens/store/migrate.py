"""Bringing a database to the schema of this program.

Promise     after migrate() every file of schema/ has been run, in the order of their numbers, and
            is recorded in trilens.migrations
Cut short   a file is recorded after its last statement, and each statement is repeatable; so a
            run that was killed is simply made again, also by two programs at the same time
Too new     a database with a number that this program does not know is left alone
"""

from __future__ import annotations

import logging
from pathlib import Path

from trilens.errors import Broken
from trilens.store.engine import Engine, EngineBusy, EngineError
from trilens.store.schema_sql import SCHEMA_DIRECTORY, Migration, migrations, rendered

# Over a Distributed table: be on the shard, not in a queue, before the answer.
WAITING_SETTINGS = {"distributed_foreground_insert": "1"}


def migrate(
    engine: Engine, log: logging.Logger, *, directory: Path = SCHEMA_DIRECTORY
) -> list[str]:
    """Run what has not been run here; returns the names of these files.

    Raises:
        Broken: the database is newer than this program, or a file failed.
        EngineBusy: try again.

    """
    files = migrations(directory)
    first = next((file for file in files if file.number == 0), None)
    if first is None:
        raise Broken(f"the schema is incomplete: no 0000_*.sql in {directory}")
    _run(engine, first)
    applied = _applied(engine)
    _refuse_newer(applied, files[-1])
    missing = [file for file in files if file.number and file.number not in applied]
    for file in missing:
        _run(engine, file)
        engine.command(
            "INSERT INTO trilens.migrations (number, name) SELECT {number:UInt32}, {name:String}",
            params={"number": file.number, "name": file.name},
            settings=WAITING_SETTINGS,
        )
        log.info("schema changed", extra={"migration": file.name})
    return [file.name for file in missing]


def _applied(engine: Engine) -> dict[int, str]:
    found = engine.rows("SELECT number, any(name) FROM trilens.migrations GROUP BY number").rows
    return {int(number): str(name) for number, name in found}


def _refuse_newer(applied: dict[int, str], newest: Migration) -> None:
    number = max(applied, default=0)
    if number > newest.number:
        raise Broken(
            f"the database has schema {number} ({applied[number]}), this program knows schemas up "
            f"to {newest.number} ({newest.name}): start a newer program on it"
        )


def _run(engine: Engine, file: Migration) -> None:
    for place, statement in enumerate(rendered(file, engine.cluster), 1):
        try:
            engine.command(statement)
        except EngineBusy:
            raise
        except EngineError as error:
            raise Broken(f"{file.name}.sql, statement {place}: {error.message}") from error
