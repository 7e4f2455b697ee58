"""Bytes we have promised to keep, until the engine has them.

Promise     when the future of `Spool.append` is done, the envelope survives a crash of this
            process or this machine; it is handed to the loader until a batch with it is finished.
            It does not survive the loss of the disk, or a disk that says synced and is not
Limits      payload <= 64 MiB; file <= 128 MiB; a frame never spans two files; all files, damaged
            copies and dead letters <= size_bytes_max, then append raises spool_full and each
            receiver refuses in the form its senders retry; what waits for the disk <= 256 MiB a
            stream, then overloaded
Writing     append -> queue -> one thread a stream: frames, commit mark, one write, one sync ->
            release the waiting appends
            A write that fails is cut off again: only its group fails. After a sync that failed
            nobody knows what the disk has (the kernel forgets the pages), so that file is never
            written again; the next one is begun, and its header says where this one ends
Recovery    an older file ends where the header of the next one says; the newest after its last
            good commit mark: nothing later was acknowledged. Nothing is written to either, new
            frames go into a new file, so opening changes nothing and costs a few reads a file
Damage      checksums are checked when a frame is handed out, since that is when they matter. The
            file gets a second name, .damaged (the newest 4 of a stream, an eighth of the limit),
            it is counted, and the intact frames before and behind are handed out
Exactly     the ledger notes a batch before its rows are sent to the engine, and again when they
once        are there. Each row bears the number of its batch. After a crash, rows of a batch in
            doubt are deleted and its frames loaded under a new number
Forgetting  whole files only, after every frame in them lies in a finished batch

    <directory>/<wire format>/
        0000000001.frames           frames and commit marks
        0000000001.frames.damaged   the same bytes, kept when the file is gone
        ledger                      which batches are begun, finished, abandoned

Not here: clocks that matter. The time of receipt is data, order is the order of appends.

Bytes are drawn in docs/formats/spool.md. Read frame, writer, recovery, reader, ledger, batches,
stream, in that order.
"""

from __future__ import annotations

from trilens.spool.disk import Disk, OsDisk
from trilens.spool.frame import Position
from trilens.spool.ledger import Batch
from trilens.spool.stream import Backlog, Frame, Run, Stream
from trilens.spool.streams import Spool

__all__ = ["Backlog", "Batch", "Disk", "Frame", "OsDisk", "Position", "Run", "Spool", "Stream"]
