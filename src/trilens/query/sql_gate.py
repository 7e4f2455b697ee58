"""What a user's SQL may do: read the documented views, and nothing else.

    text -> read_sql (one statement, no trick of quoting) -> EXPLAIN AST by the engine's own parser
         -> every node of the tree against closed lists -> the same text is run, read-only

The text that was checked is the text that runs, so there is no rewriting to get wrong. What is
not on a list is refused: kinds of nodes, tables, table functions, settings. Functions are the
exception, there are 1,500: those that read files, other hosts, dictionaries or facts about the
server, that only waste time, or that take minutes for one row without looking at the clock, are
refused by name. The engine's read-only mode stands behind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from trilens.query.sql_errors import SqlFailed, from_engine
from trilens.query.sql_text import SqlText, Token, read_sql
from trilens.store.engine import DATABASE, Engine, EngineError

ACCESS_DENIED = 497
VIEWS = frozenset(
    {"spans", "logs", "samples", "series", "exemplars", "histograms", "metadata"}
)  # fmt: skip
SYSTEM_TABLES = frozenset(
    {
        "one", "numbers", "numbers_mt", "zeros", "zeros_mt", "functions", "formats", "keywords",
        "time_zones", "data_type_families", "aggregate_function_combinators",
    }
)  # fmt: skip
TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values",
     "null"}
)  # fmt: skip
SETTINGS = frozenset(
    {
        "max_threads", "join_use_nulls", "join_algorithm", "session_timezone",
        "date_time_output_format", "output_format_arrow_compression_method",
        "output_format_json_quote_64bit_integers", "output_format_json_quote_denormals",
        "output_format_json_named_tuples_as_objects", "output_format_json_array_of_rows",
        "output_format_pretty_max_rows", "output_format_pretty_color",
        "output_format_csv_delimiter", "format_csv_delimiter", "extremes", "totals_mode",
        "group_by_use_nulls", "enable_time_series_aggregate_functions",
        "optimize_read_in_order", "use_skip_indexes", "enable_full_text_index",
    }
)  # fmt: skip

THREADS_MAX = 64
# Lower case. Names, then beginnings of names.
_DENIED_FUNCTIONS = frozenset(
    """
    file zookeepersessionuptime showcertificate getmacro getserversetting getserverport tcpport
    gethttpheader getclienthttpheader currentrequesturl hostname fqdn getoskernelversion serveruuid
    buildid revision uptime currentuser user current_user
    authenticateduser
    currentroles enabledroles defaultroles currentprofiles enabledprofiles defaultprofiles
    connectionid connection_id sleep sleepeachrow logtrace tid demangle reversednsquery
    hascolumnintable getmergetreesetting catboostevaluate evalmlmethod assigncentroid
    generateserialid hasthreadfuzzer fuzzquery filesystem mergetreepartinfo
    ismergetreepartcoveredby globalvariable pggetuserbyid currenthandler
    getmaxtablenamelengthfordatabase
    editdistance editdistanceutf8 levenshteindistance levenshteindistanceutf8
    dameraulevenshteindistance damerau_levenshtein jarosimilarity jarowinklersimilarity
    arraylevenshteindistance arraylevenshteindistanceweighted arraysimilarity
    """.split()  # noqa: SIM905 - a table of words reads best as text
)
_DENIED_BEGINNINGS = (
    "dict", "joinget", "ai", "filesystem", "regionto", "regionin", "regionhierarchy",
    "naivebayes", "address", "transaction", "__",
)  # fmt: skip

_READ_NODES = frozenset(
    {
        "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList",
        "WithElement", "Subquery", "Literal", "Identifier", "Function", "Asterisk",
        "QualifiedAsterisk", "ColumnsRegexpMatcher", "ColumnsListMatcher",
        "QualifiedColumnsRegexpMatcher", "QualifiedColumnsListMatcher", "ColumnsTransformerList",
        "ColumnsExceptTransformer", "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement", "ColumnsApplyTransformer",
        "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression",
        "TableIdentifier", "TableJoin", "ArrayJoin", "OrderByElement", "InterpolateElement",
        "WindowDefinition", "WindowListElement", "SampleRatio",
    }
)  # fmt: skip
_EXPLAINED = re.compile(r"EXPLAIN(?: (?:AST|SYNTAX|QUERY TREE|PIPELINE|ESTIMATE))?")
_SHOWN = re.compile(r"SHOW (TABLES|FUNCTIONS)")
_FIRST_WORDS = ("SELECT", "WITH", "FROM", "EXPLAIN", "SHOW", "DESCRIBE", "DESC", "EXISTS")
# `x IN name`: the name is a table unless it is a column or an alias.
_IN_FUNCTIONS = re.compile(r"(global)?(not)?(null)?in(ignoreset)?", re.IGNORECASE)


@dataclass(slots=True)
class Node:
    """One line of EXPLAIN AST: `kind` is its first word, `detail` what follows."""

    kind: str
    detail: str
    children: list[Node] = field(default_factory=list)


def checked(engine: Engine, sql: str, *, query_id: str) -> SqlText:
    """The statement, certain to be a read of what is documented. Raises Refused."""
    text = read_sql(sql)
    first = next((token for token in text.tokens if token.text != "("), None)
    if first is None or first.upper not in _FIRST_WORDS:
        allowed = "SELECT, WITH, EXPLAIN, SHOW, DESCRIBE and EXISTS"
        raise _denied(f"only {allowed} are served here", text.tokens[0] if text.tokens else None)
    for name in text.settings:
        if name not in SETTINGS:
            raise _denied(f"the setting {name!r} cannot be changed here")
    threads = text.settings.get("max_threads", "1")
    if not (threads.isdecimal() and len(threads) < 4 and int(threads) <= THREADS_MAX):
        raise _denied(f"max_threads is a number up to {THREADS_MAX} here")
    root = _tree(engine, text, query_id)
    names = _Check(text).statement(root)
    _check_stored(engine, names)
    return text


def _tree(engine: Engine, text: SqlText, query_id: str) -> Node:
    head = "EXPLAIN AST "
    try:
        lines = engine.rows(head + text.query, query_id=query_id, read_only=True).rows
    except EngineError as error:
        raise from_engine(error, text.query, head=head, query_id=query_id) from error
    except ValueError as error:  # the tree came in a format of the statement's own choice
        raise _denied("the end of this statement is not understood") from error
    stack: list[tuple[int, Node]] = [(-1, Node("", ""))]
    for (line,) in lines:
        body = line.lstrip(" ")
        kind, _, detail = body.partition(" ")
        node, depth = Node(kind, detail), len(line) - len(body)
        while stack[-1][0] >= depth:
            stack.pop()
        stack[-1][1].children.append(node)
        stack.append((depth, node))
    return stack[0][1]


class _Check:
    """Walks one tree; collects names that may be tables of ours."""

    def __init__(self, text: SqlText) -> None:
        self._text = text
        self._names: set[str] = set()

    def statement(self, top: Node) -> set[str]:
        if len(top.children) != 1:
            raise self._denied("one statement at a time")
        root = top.children[0]
        if root.kind == "SelectWithUnionQuery":
            self._select(root)
        elif root.kind == "Explain" and _EXPLAINED.fullmatch(_without_count(root.detail)):
            inner = [child for child in root.children if child.kind != "Set"]
            if len(inner) != 1 or inner[0].kind != "SelectWithUnionQuery":
                raise self._denied("EXPLAIN is served for SELECT only")
            self._select(inner[0])
        elif root.kind == "DescribeQuery":
            self._walk(root.children[0])
        elif root.kind in ("ExistsTableQuery", "ExistsViewQuery", "ShowCreateTableQuery",
                           "ShowCreateViewQuery"):  # fmt: skip
            self._table(".".join(_first_word(child.detail) for child in root.children))
        elif not self._is_plain_show():
            raise self._denied("this kind of statement is not served here")
        return self._names

    def _select(self, node: Node) -> None:
        if len(node.children) != 1:
            raise self._denied("INTO OUTFILE, FORMAT and SETTINGS may stand only at the end")
        self._walk(node)

    def _walk(self, node: Node) -> None:
        if node.kind not in _READ_NODES:
            raise self._denied(f"{node.kind} is not served here")
        if node.kind == "SelectWithUnionQuery" and len(node.children) != 1:
            raise self._denied("INTO OUTFILE, FORMAT and SETTINGS may stand only at the end")
        if node.kind == "TableIdentifier":
            self._table(_first_word(node.detail))
        elif node.kind == "TableExpression":
            self._table_function(node)
        elif node.kind == "Function":
            self._function(node)
        elif node.kind == "ColumnsApplyTransformer":
            self._applied()
        for child in node.children:
            self._walk(child)

    def _table(self, name: str) -> None:
        database, dot, table = name.rpartition(".")
        if not dot:
            self._names.add(table)
        elif not (
            (database == DATABASE and table in VIEWS)
            or (database == "system" and table in SYSTEM_TABLES)
        ):
            raise self._denied(f"the table {name!r} is not one of: {', '.join(sorted(VIEWS))}")

    def _table_function(self, node: Node) -> None:
        for child in node.children[:1]:
            name = _first_word(child.detail)
            if child.kind == "Function" and name.lower() not in TABLE_FUNCTIONS:
                raise self._denied(f"the table function {name!r} is not served here", name)

    def _function(self, node: Node) -> None:
        name = _first_word(node.detail)
        if is_denied(name):
            raise self._denied(f"the function {name!r} is not served here", name)
        if _IN_FUNCTIONS.fullmatch(name) and node.children:
            for right in node.children[0].children[1:]:
                if right.kind == "Identifier":
                    self._table(_first_word(right.detail))

    def _applied(self) -> None:
        """The tree does not show what `* APPLY(f)` holds; the tokens do.

        A name and constants are served; a lambda could hold anything, a subquery too.
        """
        tokens = self._text.tokens
        for at, token in enumerate(tokens):
            if token.upper != "APPLY":
                continue
            function, *rest = _group(tokens[at + 1 :]) or [token]
            if is_denied(function.name):
                raise self._denied(f"the function {function.name!r} is not served here", "APPLY")
            if not function.name or not all(map(_is_constant, rest)):
                raise self._denied("APPLY takes the name of a function, no lambda", "APPLY")

    def _is_plain_show(self) -> bool:
        words = " ".join(token.upper or token.text for token in self._text.tokens)
        return _SHOWN.fullmatch(words) is not None

    def _denied(self, message: str, name: str = "") -> SqlFailed:
        token = next((t for t in self._text.tokens if name and t.name == name), None)
        return _denied(message, token)


def is_denied(function: str) -> bool:
    name = function.lower()
    return name in _DENIED_FUNCTIONS or name.startswith(_DENIED_BEGINNINGS)


def _check_stored(engine: Engine, names: set[str]) -> None:
    """A bare name that is no view may be a CTE or an alias, but no stored table behind a view."""
    unknown = sorted(names - VIEWS)
    if not unknown:
        return
    sql = (
        "SELECT name FROM system.tables WHERE database = {database:String} "
        "AND name IN {names:Array(String)}"
    )
    try:
        stored = engine.rows(sql, params={"database": DATABASE, "names": unknown}).rows
    except EngineError as error:
        raise from_engine(error, "") from error
    if stored:
        views = ", ".join(sorted(VIEWS))
        raise _denied(f"the table {stored[0][0]!r} is not one of: {views}")


def _denied(message: str, token: Token | None = None) -> SqlFailed:
    return SqlFailed(
        "forbidden",
        message,
        clickhouse_code=ACCESS_DENIED,
        position=token.start if token is not None else None,
    )


def _group(tokens: Sequence[Token]) -> list[Token]:
    """What stands in the parentheses that begin here, else the first token."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0:
            return list(tokens[1:at] if at else tokens[:1])
    return []


def _is_constant(token: Token) -> bool:
    is_number = token.kind == "word" and token.text[0].isdigit()
    return is_number or token.kind == "string" or token.text in ("(", ")", ",", ".", "-", "+")


def _first_word(detail: str) -> str:
    return detail.split(" ", 1)[0] if detail else ""


def _without_count(detail: str) -> str:
    return re.sub(r" \(children \d+\)$", "", detail)
