"""Samples on their way out: everything that is loaded as metrics, to each `remote_write`.

    loader          a batch is loaded, noted in the log, and only then forgotten by the spool
    log             store/loaded_batches.py: which batches, in the order of what they hold
    cursor          of each destination: up to where it has been served, and what it is being sent
    unit            batches that are read together, by columns, sorted by series and time
    requests        relabelled once a series, written by machine code, of so many samples each
    endpoint        one POST, and what its answer means

Promise     what was acknowledged is sent to each destination at least once, in the order of time
            within a unit and of arrival between them, through crashes of either side, for as long
            as the store keeps it. Repeats come after a crash only, and then in the same requests
Not so      4xx (429 only where the file says so): that request is dropped and counted; rows that
            retention or an administrator removes before they are sent; a batch that can never be
            read although the one behind it can
Limits      a unit <= UNIT_ROWS; a log of RECORDS_MAX batches; series of a destination <= SERIES_MAX
            and TABLE_BYTES_MAX, then its table begins anew
Threads     one event loop in a thread of its own; disk, engine and encoding in worker threads

Decision 0012 says why the store is read and not the spool. docs/protocols says it to users.
"""
