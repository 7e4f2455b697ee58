"""Rows, from the frames that the spool keeps: one ClickHouse, beside this process or elsewhere.

Promise     a call that returned is on the engine's disk; a call that raised EngineBusy can be
            made again; whatever the engine does (crash, hang, run out of memory), this process
            goes on and the spool still holds what was not loaded
One path    engine.py speaks ClickHouse's HTTP protocol, over a Unix socket to the embedded
            engine or by URL to a server; only engine_embedded.py knows that there are two kinds

    Engine (engine.py)                       the contract; engine_answer.py, engine_http.py
                                             are its answers and its connections
      |  HTTP over <directory>/engine.sock
    engine_front.py                          the child program: chDB behind that protocol
      engine_front_http.py                   bytes of the protocol; bodies go to memfds
      engine_front_lanes.py                  who runs when
      engine_front_run.py                    one statement on one chDB connection
      engine_front_sql.py                    the little SQL that a front must see
      engine_config.py                       what the engine is told at its start
    engine_embedded.py                       starts the child, watches it, starts it again

    Loader (loader.py)                       each frame once, whatever dies when
      lane.py                                one stream: what is read, how much, when
      load.py                                one batch, by the statements of its format
      decoding.py, any_value.py              decode/*.sql, and what it says for nested values
      batch_rows.py                          the rows of a batch, to count and to remove
      dead_letters.py                        frames that nothing can decode
    migrate.py, schema_sql.py                schema/*.sql, for one server or a cluster
    retention.py                             days that are too old or too many

Read engine, engine_embedded, engine_front, then decoding, load, lane, loader, in that order.
"""
