"""Questions as text or parameters -> SQL over the documented views -> rows.

Promise     values are bound (`{name:Type}`), identifiers come from closed sets; every query has
            a limit of seconds, memory, rows; a question that is not understood whole is refused
            with its position, never answered in part
SQL         sql_text (lex) -> sql_gate (check by the engine's own parser) -> raw_sql (run, stream)
Console     filters.py (field conditions) and log_search (the free-text language) give conditions;
            logs, traces, operations, metrics, overview, sources give the statements, one file a
            screen; ask.py runs them
PromQL      promql/ (text -> tree -> numbers), promql_store/ (its selectors -> SQL -> series)

Read ask, filters, logs, then any other. Names of physical tables are in tables.py alone: the
views hold for everybody else, but an index is only used on the column that it was made for.
"""
