"""The engine contract, on the embedded engine and, where a URL is given, on a server."""

import math
import os
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from trilens.store.engine import Engine, EngineBusy, EngineError, Undecodable
from trilens.store.engine_embedded import EmbeddedEngine
from trilens.store.engine_http import url_address

SERVER_URL = os.environ.get("TRILENS_TEST_CLICKHOUSE_URL")
KINDS = ["embedded", *(["server"] if SERVER_URL else [])]
MEMORY_BYTES_MAX = 1_000_000_000
SLOW = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
SCHEMA = (
    "format_schema_source = 'string', format_schema_message_name = 'M', "
    "format_schema = 'syntax = \"proto3\"; message M { uint64 x = 1; bytes s = 2; }'"
)


@pytest.fixture(scope="module", params=KINDS)
def engine(request, tmp_path_factory):
    if request.param == "server":
        server = Engine(url_address(SERVER_URL))
        yield server
        server.close()
        return
    embedded = EmbeddedEngine(tmp_path_factory.mktemp("engine"), MEMORY_BYTES_MAX)
    embedded.start()
    yield embedded.engine
    embedded.stop()
    assert embedded.state().restarts == 0, "a test of the contract took the engine down"


@pytest.fixture
def table(engine):
    name = f"trilens.t_{uuid.uuid4().hex}"
    engine.command(
        f"CREATE TABLE {name} (_batch UInt64, x UInt64, s String) ENGINE = MergeTree ORDER BY x"
    )
    yield name
    engine.command(f"DROP TABLE {name}")


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def message(number, text=b"hello"):
    inside = b"\x08" + varint(number) + b"\x12" + varint(len(text)) + text
    return varint(len(inside)) + inside


def decode(table, where=""):
    return (
        f"INSERT INTO {table} (_batch, x, s) SELECT {{batch:UInt64}}, x, s "
        f"FROM input('x UInt64, s String') {where} SETTINGS {SCHEMA} FORMAT Protobuf"
    )


def count(engine, table, condition="1"):
    return engine.rows(f"SELECT count() FROM {table} WHERE {condition}").rows[0][0]


def is_running(engine, query_id):
    sql = (
        "SELECT count() FROM system.processes WHERE query_id = {id:String} "
        "OR startsWith(query, concat('/* ', {id:String}, ' */'))"
    )
    return engine.rows(sql, params={"id": query_id}).rows[0][0] > 0


def until(claim, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_ping(engine):
    assert engine.ping()


def test_values_keep_their_full_precision(engine):
    rows = engine.rows(
        "SELECT toUInt64(18446744073709551615) AS a, "
        "toDateTime64('2026-01-02 03:04:05.123456789', 9, 'UTC') AS b, "
        "map('k', 1) AS c, CAST((1, 'x'), 'Tuple(n Int8, t String)') AS d, "
        "[nan, inf] AS e, NULL AS f"
    )
    assert rows.names == ("a", "b", "c", "d", "e", "f")
    assert rows.types[:2] == ("UInt64", "DateTime64(9, 'UTC')")
    (row,) = rows.rows
    assert row[:4] == (
        18446744073709551615, "2026-01-02 03:04:05.123456789", {"k": 1}, {"n": 1, "t": "x"},
    )  # fmt: skip
    assert math.isnan(row[4][0])
    assert row[4][1] == math.inf
    assert row[5] is None


def test_rows_tell_what_they_cost(engine):
    rows = engine.rows("SELECT sum(number) FROM numbers(1000000)")
    assert rows.read_rows == 1_000_000
    assert 0 < rows.elapsed_ns < 10**10


def test_text_that_is_not_utf8_is_still_an_answer(engine):
    assert engine.rows("SELECT unhex('FF41')").rows == [("�A",)]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String", "tab\t newline\n quote' back\\slash \r nul\0 %s {a:String} ü"),
        ("String", ""),
        ("Array(String)", ["a", "b'c\\"]),
        ("Map(String, String)", {"k'": "v"}),
        ("Int64", -5),
        ("Float64", 1.5),
        ("Bool", True),
        ("Nullable(String)", None),
    ],
)
def test_a_bound_value_comes_back(engine, kind, value):
    assert engine.rows(f"SELECT {{v:{kind}}}, 7 % 4", params={"v": value}).rows == [(value, 3)]


def test_settings_hold_for_one_call_only(engine):
    sql = "SELECT getSetting('max_block_size')"
    usual = engine.rows(sql).rows
    assert engine.rows(sql, settings={"max_block_size": 1234}).rows == [(1234,)]
    with pytest.raises(EngineError):
        engine.rows("SELECT nope", settings={"max_block_size": 1234})
    assert engine.rows(sql).rows == usual


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELEC 1", 62), ("SELECT * FROM trilens.nope", 60), ("SELECT 1; SELECT 2", 62), ("", 62)],
)
def test_an_error_has_clickhouses_code(engine, sql, code):
    with pytest.raises(EngineError) as raised:
        engine.rows(sql)
    assert raised.value.code in (code, 47)  # chDB reads `SELEC 1` as an expression
    assert not isinstance(raised.value, EngineBusy)


def test_what_a_failed_query_left_is_not_in_the_next_answer(engine):
    """chDB keeps the output a failed query had ready for the next one on its connection."""
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000)"
    for _ in range(8):
        with pytest.raises(EngineError) as raised:
            engine.rows(sql)
        assert raised.value.code == 395
        assert engine.rows("SELECT 7").rows == [(7,)]


def test_raw_streams_a_large_answer(engine):
    with engine.raw("SELECT number FROM numbers(2000000)", fmt="RowBinary") as stream:
        assert sum(map(len, stream)) == 16_000_000


def test_raw_gives_formats_with_a_frame_once(engine):
    with engine.raw("SELECT number FROM numbers(200000)", fmt="CSVWithNames") as stream:
        lines = b"".join(stream).split(b"\n")
    assert lines[0] == b'"number"'
    assert len(lines) == 200_002


@pytest.mark.parametrize("fmt", ["TSV", "JSONEachRow", "JSON"])
def test_raw_of_nothing(engine, fmt):
    with engine.raw("SELECT 1 AS a WHERE 0", fmt=fmt) as stream:
        body = b"".join(stream)
    assert (body == b"") == (fmt in ("TSV", "JSONEachRow"))


def test_an_error_in_the_middle_of_a_stream_is_raised_after_its_output(engine):
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000)"
    stream, pieces = engine.raw(sql, fmt="TSV"), []
    with pytest.raises(EngineError) as raised:
        pieces.extend(stream)
    assert raised.value.code == 395
    with engine.raw(sql, fmt="TSV") as stream:
        pieces.append(next(stream))
    output = b"".join(pieces)
    assert len(output) > 1_000_000
    assert b"__exception__" not in output


def test_statements_follow_each_other_on_a_kept_connection(engine, table):
    """The next request may be there before the front has tidied up after a stream."""
    for turn in range(60):
        with engine.raw("SELECT number FROM numbers(300000)", fmt="JSONEachRow") as stream:
            assert sum(map(len, stream)) > 1_000_000
        assert engine.insert(decode(table), message(turn), params={"batch": 1}) == 1


def test_closing_a_stream_stops_its_query(engine):
    query_id = str(uuid.uuid4())
    stream = engine.raw("SELECT number FROM numbers(1e12)", fmt="TSV", query_id=query_id)
    next(stream)
    assert is_running(engine, query_id)
    stream.close()
    until(lambda: not is_running(engine, query_id))


SILENT = f"SELECT number FROM numbers(300000) UNION ALL {SLOW}"


def test_closing_a_stream_does_not_wait_for_its_reader(engine):
    query_id = uuid.uuid4().hex
    stream, ends = engine.raw(SILENT, fmt="TSV", query_id=query_id), []

    def read():
        try:
            ends.append(sum(map(len, stream)))
        except EngineBusy as error:
            ends.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: is_running(engine, query_id))
    time.sleep(0.5)  # it has read what there is and waits
    started_s = time.monotonic()
    stream.close()
    assert time.monotonic() - started_s < 0.5
    reader.join(5)
    assert len(ends) == 1
    until(lambda: not is_running(engine, query_id))
    stream.close()


def test_closing_streams_disturbs_no_other_query(engine):
    """A connection that two of them held would mix or break their answers."""
    is_done = threading.Event()

    def open_and_close():
        while not is_done.is_set():
            stream = engine.raw("SELECT number FROM numbers(200000)", fmt="TSV")
            closer = threading.Thread(target=stream.close)
            with suppress(EngineBusy):
                for at, _ in enumerate(stream):
                    if at == 1:
                        closer.start()
            if closer.ident is not None:
                closer.join()
            stream.close()

    def ask(number):
        return engine.rows("SELECT {n:UInt64}", params={"n": number}).rows[0][0]

    with ThreadPoolExecutor(6) as threads:
        disturbers = [threads.submit(open_and_close) for _ in range(3)]
        try:
            assert [ask(number) for number in range(300)] == list(range(300))
        finally:
            is_done.set()
        for disturber in disturbers:
            disturber.result(30)


def test_a_caller_that_stops_waiting_stops_its_query(engine):
    query_id = str(uuid.uuid4())
    with pytest.raises(EngineBusy):
        engine.rows(SLOW, query_id=query_id, timeout_s=0.2)
    until(lambda: not is_running(engine, query_id))


def test_kill_stops_a_query(engine):
    query_id = str(uuid.uuid4())
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(engine.rows, SLOW, query_id=query_id)
        until(lambda: is_running(engine, query_id))
        engine.kill(query_id)
        with pytest.raises(EngineError) as raised:
            slow.result(timeout=5)
    assert raised.value.code == 394
    engine.kill("no such query")


def test_threads_do_not_mix_their_values_and_settings(engine):
    def ask(seed):
        for turn in range(40):
            value, limit = f"{seed}-{turn}", seed + 1
            rows = engine.rows(
                "SELECT {v:String}, getSetting('max_threads')",
                params={"v": value},
                settings={"max_threads": limit},
            )
            assert rows.rows == [(value, limit)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_insert_reads_the_body_through_input(engine, table):
    body = [message(number) for number in range(50_000)]
    assert engine.insert(decode(table), b"".join(body), params={"batch": 3}) == 50_000
    assert engine.insert(decode(table, "WHERE x % 2 = 0"), body, params={"batch": 4}) == 25_000
    sql = f"SELECT _batch, count(), sum(x), any(s) FROM {table} GROUP BY 1 ORDER BY 1"
    assert engine.rows(sql).rows == [
        (3, 50_000, sum(range(50_000)), "hello"),
        (4, 25_000, sum(range(0, 50_000, 2)), "hello"),
    ]


def test_insert_of_an_empty_body_writes_nothing(engine, table):
    assert engine.insert(decode(table), b"", params={"batch": 1}) == 0
    assert count(engine, table) == 0


def test_words_in_strings_and_comments_do_not_matter(engine, table):
    statement = decode(table).replace(
        "SELECT", "/* FROM input('x') FORMAT JSON */ SELECT 'input(''a'') FORMAT CSV' AS w,", 1
    ).replace("_batch, x, s", "s, _batch, x", 1).replace("x, s FROM", "x FROM", 1)  # fmt: skip
    assert engine.insert(statement, message(5), params={"batch": 1}) == 1
    assert engine.rows(f"SELECT x, s FROM {table}").rows == [(5, "input('a') FORMAT CSV")]


def test_bodies_in_parallel_do_not_mix(engine, table):
    def load(batch):
        size = 1000 + batch
        body = b"".join(message(batch, b"t%d" % batch) for _ in range(size))
        assert engine.insert(decode(table), body, params={"batch": batch}) == size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, range(24)))
    sql = f"SELECT _batch, count(), uniqExact(x, s), any(s) FROM {table} GROUP BY 1 ORDER BY 1"
    assert engine.rows(sql).rows == [(b, 1000 + b, 1, f"t{b}") for b in range(24)]


def test_insert_in_a_format_without_select(engine, table):
    body = b"".join(b'{"_batch":1,"x":%d,"s":"a"}\n' % number for number in range(3))
    assert engine.insert(f"INSERT INTO {table} FORMAT JSONEachRow", body) == 3
    assert engine.insert(f"INSERT INTO {table} (x) FORMAT JSONEachRow", b"") == 0
    with pytest.raises(Undecodable):
        engine.insert(f"INSERT INTO {table} FORMAT JSONEachRow", b'{"x":"no number"}')
    assert count(engine, table) == 3


@pytest.mark.parametrize(
    "body",
    [
        message(1)[:-1],
        message(1) + b"\xff" * 12,
        b"\xff" * 100,
        b"\x05\x12\x7fabc",
        b"{}",
        message(1) + message(2)[:1],
    ],
)
def test_bytes_that_do_not_fit_are_undecodable(engine, table, body):
    with pytest.raises(Undecodable):
        engine.insert(decode(table), body, params={"batch": 1})
    assert count(engine, table) == 0


def test_throw_if_keeps_its_code(engine, table):
    """The loader takes the slower statement when it sees code 395."""
    with pytest.raises(EngineError) as raised:
        engine.insert(decode(table, "WHERE throwIf(x = 2) = 0"), message(2), params={"batch": 1})
    assert raised.value.code == 395
    assert not isinstance(raised.value, (Undecodable, EngineBusy))


def test_an_abandoned_insert_has_ended_when_it_raises(engine, table):
    statement = decode(table, "WHERE NOT ignore(sleepEachRow(0.01))")
    body = b"".join(message(number) for number in range(200))
    with pytest.raises(EngineBusy):
        engine.insert(statement, body, params={"batch": 1}, timeout_s=0.3)
    after = count(engine, table)
    time.sleep(0.5)
    assert count(engine, table) == after
    assert after < 200


def test_a_delete_has_taken_effect_when_it_returns(engine, table):
    for batch in (1, 2):
        engine.insert(decode(table), message(1) + message(2), params={"batch": batch})
    engine.command(f"DELETE FROM {table} WHERE _batch = {{b:UInt64}}", params={"b": 1})
    assert engine.rows(f"SELECT DISTINCT _batch FROM {table}").rows == [(2,)]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO {table} VALUES (1, 1, '')",
        "CREATE TABLE trilens.forbidden (x Int8) ENGINE = Memory",
        "DROP DATABASE trilens",
        "SET max_threads = 1",
        "SELECT 1 SETTINGS max_threads = 1",
        "SELECT * FROM file('/etc/hostname', LineAsString)",
        "SELECT * FROM url('http://127.0.0.1:9/', LineAsString)",
        "SELECT * FROM remote('127.0.0.1', system.one)",
        "SELECT * FROM executable('x', TSV, 'a Int8')",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
    ],
)
def test_read_only_refuses(engine, table, sql):
    with pytest.raises(EngineError) as raised:
        engine.rows(sql.replace("{table}", table), read_only=True)
    assert raised.value.code in (164, 497), raised.value


def test_read_only_keeps_the_callers_limits(engine):
    limits = {"max_execution_time": 0.2, "max_result_rows": 100, "result_overflow_mode": "throw"}
    for sql, code in ((SLOW, 159), ("SELECT * FROM numbers(1e9)", 396)):
        with pytest.raises(EngineError) as raised:
            engine.rows(sql, read_only=True, settings=limits)
        assert raised.value.code == code
    assert engine.rows("SELECT 1", read_only=True, settings=limits).rows == [(1,)]


def test_explain_ast_parses_without_looking_anything_up(engine):
    assert "TableIdentifier nope" in engine.explain_ast("SELECT a FROM nope")
    with pytest.raises(EngineError) as raised:
        engine.explain_ast("SELECT FROM WHERE")
    assert raised.value.code == 62


def test_slow_queries_do_not_keep_a_load_or_control_waiting(engine, table):
    ids = [str(uuid.uuid4()) for _ in range(6)]
    stopped = []

    def slow(query_id):
        try:
            engine.rows(SLOW, query_id=query_id, settings={"max_threads": 1})
        except EngineError as error:
            stopped.append(error.code)

    threads = [threading.Thread(target=slow, args=(query_id,)) for query_id in ids]
    for thread in threads:
        thread.start()
    until(lambda: all(is_running(engine, query_id) for query_id in ids))
    assert engine.insert(decode(table), message(1), params={"batch": 1}) == 1
    for query_id in ids:
        engine.kill(query_id)
    for thread in threads:
        thread.join(timeout=10)
    assert stopped == [394] * 6
