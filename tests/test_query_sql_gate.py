"""What a user's SQL may not do, attacked through the real parser of the engine."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from querying import engine
from trilens.errors import Refused
from trilens.query import sql_gate
from trilens.query.raw_sql import SqlLimits, run_sql
from trilens.query.sql_text import read_sql

SECRET = "/etc/passwd"


def run(sql, fmt="TSV", **limits):
    output = run_sql(
        engine(), sql, fmt=fmt, limits=SqlLimits(**limits), query_id=f"t-{uuid.uuid4()}"
    )
    return b"".join(output).decode()


def is_stopped_at_the_gate(sql):
    """Refused by us, by the front's read-only mode, or by the parser: it did not run."""
    refused = refusal(sql)
    code = getattr(refused, "clickhouse_code", 0)
    return refused.code == "forbidden" or (refused.code == "malformed" and code in (0, 62, 456))


def refusal(sql, **limits):
    with pytest.raises(Refused) as refused:
        run(sql, **limits)
    return refused.value


@pytest.mark.parametrize(
    ("sql", "output"),
    [
        ("SELECT 1", "1\n"),
        ("select 1;", "1\n"),
        ("/* a */ SELECT 1 -- b", "1\n"),
        ("# c\nSELECT 1", "1\n"),
        ("(SELECT 1)", "1\n"),
        ("SELECT 'a;b'", "a;b\n"),
        ("SELECT 'FORMAT CSV'", "FORMAT CSV\n"),
        ("SELECT 1 FORMAT CSV", "1\n"),
        ("SELECT 'x' FORMAT CSV SETTINGS max_threads = 1", '"x"\n'),
        ("SELECT 'x' SETTINGS max_threads = 1, extremes = 0 FORMAT CSV", '"x"\n'),
        ("SELECT 1 AS format", "1\n"),
        ("SELECT 1 AS `FORMAT`, 2 AS \"file\"", "1\t2\n"),
        ("WITH a AS (SELECT 1 AS x) SELECT x FROM a", "1\n"),
        ("WITH RECURSIVE a AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM a WHERE x < 3) SELECT max(x) FROM a", "3\n"),
        ("WITH [1, 2] AS l SELECT has(l, 1)", "1\n"),
        ("SELECT count() FROM numbers(10) WHERE number IN (SELECT * FROM numbers(3))", "3\n"),
        ("SELECT sum(x) FROM values('x Int8', 1, 2)", "3\n"),
        ("SELECT count() FROM generateSeries(1, 5)", "5\n"),
        ("SELECT * FROM system.one", "0\n"),
        ("SELECT count() FROM system.numbers LIMIT 0", ""),
        ("SELECT count() FROM spans s, trilens.logs AS l WHERE s.trace_id = 'none'", "0\n"),
        ("SELECT count() FROM `trilens`.\"spans\" WHERE trace_id = 'none'", "0\n"),
        ("SELECT 1 UNION ALL SELECT 1", "1\n1\n"),
        ("SELECT count() FROM spans WHERE trace_id IN (SELECT trace_id FROM logs) AND 0", "0\n"),
        ("EXISTS spans", "1\n"),
        ("SHOW FUNCTIONS FORMAT Null", ""),
        ("SELECT * EXCEPT x FROM (SELECT 1 AS x, 2 AS y)", "2\n"),
        ("SELECT * APPLY(toString) APPLY max FROM (SELECT 1 AS x)", "1\n"),
        ("SELECT * APPLY(quantile(0.5)) APPLY(toString) FROM values('x Int8', 1, 2, 3)", "2\n"),
        ("SELECT row_number() OVER w FROM numbers(1) WINDOW w AS (ORDER BY number)", "1\n"),
        ("FROM numbers(1) SELECT number", "0\n"),
        ("SELECT arrayMap(x -> x + 1, [1])", "[2]\n"),
        ("SELECT '가'", "가\n"),
    ],
)  # fmt: skip
def test_served(sql, output):
    assert run(sql) == output


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "DESCRIBE spans", "DESC TABLE trilens.logs", "DESCRIBE (SELECT 1)",
            "SHOW CREATE TABLE spans", "SHOW CREATE VIEW logs", "EXPLAIN SELECT * FROM spans",
            "EXPLAIN indexes = 1 SELECT * FROM spans", "EXPLAIN AST SELECT 1",
            "EXPLAIN SYNTAX SELECT 1", "EXPLAIN PIPELINE SELECT 1"]
)  # fmt: skip
def test_served_statements(sql):
    assert run(sql)


READS = ["file('/etc/passwd')", "file('/etc/passwd', 'LineAsString')", "FILE('/etc/passwd')",
         "`file`('/etc/passwd')", '"file"(\'/etc/passwd\')', "file/**/('/etc/passwd')",
         "url('http://127.0.0.1:1/')", "URL('http://127.0.0.1:1/')", "remote('127.0.0.1', system.one)",
         "remoteSecure('127.0.0.1', system.one)", "cluster('x', system.one)", "s3('http://127.0.0.1:1/x')",
         "mysql('a:1', 'b', 'c', 'd', 'e')", "postgresql('a:1', 'b', 'c', 'd', 'e')",
         "sqlite('a', 'b')", "mongodb('a:1', 'b', 'c', 'd', 'e', 'x Int8')", "jdbc('a', 'b')",
         "executable('sh', 'TSV', 'x String')", "Python(x)", "python(x)", "PYTHON(x)",
         "merge('trilens', '.*')", "dictionary('x')", "loop(spans)", "view(SELECT 1)",
         "viewIfPermitted(SELECT 1 ELSE null('x Int8'))", "input('x Int8')", "hdfs('a', 'b')",
         "mergeTreeIndex(trilens, span_rows)", "generateRandom('x Int8')", "fuzzJSON('a', 'b')",
         "deltaLake('x')", "iceberg('x')", "azureBlobStorage('x')", "redis('x')", "eval('SELECT 1')",
         "filesystem('/')", "format(CSV, 'x')", "fuzzQuery('SELECT 1')", "viewExplain('EXPLAIN', '', (SELECT 1))"]  # fmt: skip


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "place",
    [
        "SELECT * FROM {}",
        "SELECT 1 WHERE 1 IN (SELECT * FROM {})",
        "WITH x AS (SELECT * FROM {}) SELECT * FROM x",
        "SELECT 1 UNION ALL SELECT * FROM {}",
        "SELECT * FROM system.one AS o JOIN {} AS r ON 1",
        "EXPLAIN SELECT * FROM {}",
        "DESCRIBE TABLE {}",
    ],
)
def test_no_other_table_function_anywhere(read, place):
    assert is_stopped_at_the_gate(place.format(read))


def test_every_table_function_of_the_engine_is_known_to_be_allowed_or_refused():
    names = [row[0] for row in engine().rows("SELECT name FROM system.table_functions").rows]
    for name in names:
        if name.lower() in sql_gate.TABLE_FUNCTIONS:
            continue
        assert is_stopped_at_the_gate(f"SELECT * FROM {name}('a', 'b')")
    assert {name.lower() for name in names} >= sql_gate.TABLE_FUNCTIONS


CALLS = ["file('/etc/passwd')", "File('/etc/passwd')", "`file`('/etc/passwd')", "sleep(1)", "SLEEP(1)",
         "sleepEachRow(1)", "getOSKernelVersion()", "hostName()", "hostname()", "fqdn()", "FQDN()",
         "serverUUID()", "getServerSetting('x')", "getMacro('x')", "dictGet('a', 'b', 1)",
         "dictGetOrNull('a', 'b', 1)", "dictHas('a', 1)", "joinGet('trilens.x', 'a', 1)",
         "currentUser()", "user()", "filesystemAvailable()", "showCertificate()", "tcpPort()",
         "aiGenerate('x')", "catboostEvaluate('x', 1)", "reverseDNSQuery('1.1.1.1')", "logTrace('x')",
         "addressToLine(1)", "zookeeperSessionUptime()", "getClientHTTPHeader('x')"]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "place",
    [
        "SELECT {}",
        "SELECT (SELECT {})",
        "SELECT 1 ORDER BY {}",
        "SELECT 1 FROM numbers(1) WHERE ignore({}) LIMIT 1",
        "SELECT count() FROM numbers(1) HAVING count() = toUInt64(ignore({}))",
        "SELECT sum(1) OVER (PARTITION BY {}) FROM numbers(1)",
        "SELECT * REPLACE({} AS number) FROM numbers(1)",
        "SELECT arrayMap(x -> {}, [1])",
        "SELECT number FROM numbers(1) LIMIT toUInt64(ignore({}))",
        "WITH {} AS x SELECT x",
        "SELECT 1 FROM numbers(1) ARRAY JOIN [{}] AS a",
        "SELECT number FROM numbers(1) ORDER BY number WITH FILL TO toUInt64(ignore({}))",
        "SELECT CASE WHEN 1 THEN {} END",
        "SELECT 1 ORDER BY 1 LIMIT 1 BY {}",
        "SELECT DISTINCT ON ({}) 1",
        "SELECT count() FROM numbers(1) GROUP BY GROUPING SETS (({}), (number))",
        "SELECT count() FROM numbers(1) GROUP BY CUBE({})",
        "SELECT number FROM numbers(1) QUALIFY row_number() OVER (ORDER BY {}) = 1",
        "SELECT number FROM numbers(1) ORDER BY number WITH FILL STEP toInt64(1 + ignore({}))",
        "SELECT number, 1 AS y FROM numbers(1) ORDER BY number WITH FILL TO 3 INTERPOLATE (y AS {})",
        "SELECT sum(1) OVER (ORDER BY number ROWS ignore({}) PRECEDING) FROM numbers(1)",
        "SELECT sum(1) OVER w FROM numbers(1) WINDOW w AS (PARTITION BY {})",
        "SELECT quantile(ignore({}) + 0.5)(number) FROM numbers(1)",
        "SELECT * FROM numbers(toUInt64(ignore({})))",
        "SELECT * FROM values('x String', ({}))",
        "SELECT [1, 2][1 + ignore({})]",
        "SELECT ({}).1",
        "SELECT {}::String",
        "SELECT CAST({} AS String)",
        "SELECT 1 IN ({})",
        "SELECT ignore({}) BETWEEN 0 AND 1",
        "SELECT a.number FROM numbers(1) AS a JOIN numbers(1) AS b ON a.number = ignore({})",
        "SELECT count(number) FILTER (WHERE ignore({})) FROM numbers(1)",
        "EXPLAIN SELECT {}",
        "DESCRIBE (SELECT {})",
    ],
)
def test_no_harmful_function_anywhere(call, place):
    assert is_stopped_at_the_gate(place.format(call))


@pytest.mark.parametrize("name", ["hostName", "file", "`file`", "sleep"])
@pytest.mark.parametrize("place", ["* APPLY({})", "* APPLY {}", "COLUMNS('x') APPLY(x -> {}(x))",
                                   "* APPLY(x -> x IN (SELECT * FROM {}(x)))"])  # fmt: skip
def test_no_harmful_function_is_applied(name, place):
    sql = f"SELECT {place.format(name)} FROM (SELECT '/etc/passwd' AS x)"
    assert is_stopped_at_the_gate(sql)


def test_every_harmful_category_of_the_engine_is_refused():
    sql = (
        "SELECT name FROM system.functions WHERE NOT is_aggregate AND categories IN "
        "('AI', 'Dictionary', 'Embedded Dictionary', 'Introspection', 'Machine Learning') "
        "UNION ALL SELECT a.name FROM system.functions AS a JOIN system.functions AS f "
        "ON a.alias_to = f.name WHERE f.categories IN ('Dictionary', 'Introspection')"
    )
    allowed = [row[0] for row in engine().rows(sql).rows if not sql_gate.is_denied(row[0])]
    assert allowed == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM system.processes",
        "SELECT * FROM system.users",
        "SELECT * FROM `system`.`tables`",
        "SELECT * FROM system.query_log",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM INFORMATION_SCHEMA.TABLES",
        "SELECT * FROM default.x",
        "SELECT * FROM trilens.span_rows",
        "SELECT * FROM span_rows",
        "SELECT * FROM `span_rows`",
        "SELECT * FROM spans JOIN log_rows ON 1",
        "SELECT 1 IN system.users",
        "SELECT 1 IN span_rows",
        "SELECT 1 GLOBAL NOT IN `trilens`.`span_rows`",
        "SELECT in(1, system.tables)",
        "SELECT nullIn(1, log_rows)",
        "SELECT notNullInIgnoreSet(1, log_rows)",
        "WITH span_rows AS (SELECT 1) SELECT * FROM span_rows",
        "SELECT * FROM (WITH span_rows AS (SELECT 1) SELECT 1), span_rows",
        "SELECT 1 AS span_rows, 1 IN span_rows",
        "DESCRIBE span_rows",
        "EXISTS system.users",
        "SHOW CREATE TABLE span_rows",
        "SHOW CREATE TABLE system.users",
        "EXPLAIN SELECT * FROM span_rows",
        "SELECT * FROM 'file.csv'",
        "SELECT * FROM `spans` , `/etc/passwd`, system.tables",
    ],
)
def test_no_other_table(sql):
    assert refusal(sql).code == "forbidden"


@pytest.mark.parametrize(
    "sql",
    [
        "",
        " ",
        ";",
        "-- only a comment",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE spans",
        "SELECT 1 ; ; ",
        "INSERT INTO spans SELECT 1",
        "INSERT INTO FUNCTION file('x') SELECT 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "DROP TABLE spans",
        "ALTER TABLE spans DELETE WHERE 1",
        "TRUNCATE spans",
        "SET max_threads = 1",
        "USE system",
        "KILL QUERY WHERE 1",
        "SYSTEM SHUTDOWN",
        "GRANT ALL ON *.* TO default",
        "BACKUP TABLE spans TO File('/tmp/x')",
        "OPTIMIZE TABLE span_rows",
        "EXPLAIN DROP TABLE spans",
        "EXPLAIN TABLE OVERRIDE mysql('') PARTITION BY 1",
        "EXPLAIN INSERT INTO spans SELECT 1",
        "SHOW USERS",
        "SHOW GRANTS",
        "SHOW PROCESSLIST",
        "SHOW DATABASES",
        "SHOW TABLES FROM system",
        "SHOW SETTINGS LIKE '%'",
        "SELECT 1 PARALLEL WITH SELECT 2",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT 1 INTO OUTFILE '/tmp/x' FORMAT CSV",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 SETTINGS max_threads = 1, readonly = 0",
        "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)",
        "SELECT 1 SETTINGS dialect = 'prql'",
        "SELECT 1 FORMAT CSV FORMAT CSV",
        "SELECT * FROM (SELECT 1 FORMAT CSV)",
        "SELECT 1 FORMAT `CSV`",
        "SELECT {x:String}",
        "SELECT * FROM {x:Identifier}",
        # Lexers could disagree about these.
        "SELECT ‘a’",
        "SELECT “a”",
        "SELECT $$a$$",
        "SELECT $x$ ' $x$ ; DROP TABLE spans -- '",
        "SELECT 1 // '\n; SELECT * FROM file('/etc/passwd') -- '",
        "SELECT 1\u00a0; SELECT 2",
        "SELECT 1\u2003FROM spans",
        "SELECT 1 \x00 FROM spans",
        "SELECT \ufeff1",
        "SELECT 'a",
        "SELECT \"a",
        "SELECT 1 /* a",
        "SELECT 1 AS \"a\\nb\"",
        "SELECT 1 AS \"a\nTableIdentifier spans\"",
        "SELECT @@version",
        "graph = 1 SELECT 1",
        "optimize = 1 SELECT 1",
        "VALUES (1)",
    ],
)  # fmt: skip
def test_nothing_else_is_served(sql):
    assert is_stopped_at_the_gate(sql)


@pytest.mark.parametrize(
    ("sql", "position"),
    [
        ("SELECT 1 +", 10),
        ("SELECT FROM WHERE", 17),
        ("SELECT a b c", 11),
        ("SELECT '가', a b c", 16),
        ("SELECT ‘a’", 7),
        ("SELECT 1; SELECT 2", 8),
        ("SELECT sleep(1)", 7),
        ("SELECT * FROM url('x')", 14),
    ],
)
def test_positions(sql, position):
    assert refusal(sql).position == position


@pytest.mark.parametrize(
    ("sql", "code", "limits"),
    [
        ("SELECT * FROM numbers(1001)", 396, {"result_rows": 1000}),
        ("SELECT repeat('x', 1000) FROM numbers(1000)", 396, {"result_bytes": 100_000}),
        ("SELECT groupArray(number) FROM numbers(100000000)", 241, {"memory_bytes": 50_000_000}),
        ("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1", 159,
         {"seconds": 0.3}),
    ],
)  # fmt: skip
def test_limits(sql, code, limits):
    refused = refusal(sql, **limits)
    assert refused.clickhouse_code == code
    assert refused.code == ("timeout" if code == 159 else "limit_exceeded")


def test_an_error_after_some_output_is_raised_from_the_stream():
    sql = "SELECT throwIf(number = 3000000, 'far') FROM numbers(10000000) SETTINGS max_threads = 1"
    output = run_sql(
        engine(), sql, fmt="TSV", limits=SqlLimits(result_rows=10**9), query_id=f"t-{uuid.uuid4()}"
    )
    assert next(output)
    with pytest.raises(Refused) as refused:
        for _ in output:
            pass
    assert refused.value.clickhouse_code == 395


PIECES = st.sampled_from(
    ["SELECT", "1", "FROM", "spans", "span_rows", "file('/etc/passwd')", "(", ")", ",", ";", "'", '"',
     "`", "--", "/*", "*/", "\n", " ", "\\", "$", "WITH", "x", "AS", "FORMAT", "CSV", "SETTINGS",
     "readonly=0", "system.users", "IN", "#", "//", "‘", "UNION ALL", "system.one", "*"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map(" ".join))
def test_what_is_read_is_what_was_written(sql):
    try:
        text = read_sql(sql)
    except Refused:
        return
    assert sql.startswith(text.query)
    assert all(sql[token.start : token.end] == token.text for token in text.tokens)


@given(st.lists(PIECES, min_size=1, max_size=10).map(lambda pieces: "SELECT " + " ".join(pieces)))
def test_random_pieces_never_reach_what_is_hidden(sql):
    try:
        output = run(sql, seconds=5)
    except Refused:
        return
    assert "root:" not in output
    assert "span_rows" not in sql.replace("'", " ' ") or "'" in sql or '"' in sql or "--" in sql
