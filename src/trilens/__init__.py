"""Observability for a cluster in one program: metrics, logs and traces, one store, one screen.

Reading order, left to right with the data: `receive` (bytes to envelopes), `spool` (bytes we
promised to keep), `store` (spool to tables), `query` (text to rows), `present` (the outside
view). `agent` watches a machine. `server` is the only module that knows all of them.
"""

__version__ = "0.1.0"
