"""Following log files through rotation: each complete line is delivered once.

A file is known by its inode and its first bytes, not by its name. What happens to it:

    renamed, a new one created   the old one is read to its end; closed when it rests
    copied and truncated         the copy is found by its first bytes and read from where we were;
                                 then the file from its start
    deleted                      read to its end, also an unfinished last line
    not readable, not a file     skipped and counted; tried again
    rotated while we were away   found by inode in the same directory
    rotated twice between looks  what is named after it and was written since is read as well

An unfinished last line waits for its end. A line longer than LINE_BYTES_MAX is cut and each
piece has the attribute log.line.cut. Bytes that are not UTF-8 are replaced. Empty lines are
not records.

Lost: what is written between the last look and the truncation into no copy that we can read; files
that came and were compressed, deleted or copied and truncated twice between two looks.

At the very first start, and where a place to search is new, a file that was written to within
`backlog_age_s` begins `backlog_bytes_max` before its end, others at their end.

A file that appears and agrees with a followed one of its directory, to the end of the shorter, is
taken for its copy: what is in it by then is not news.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from trilens.agent.delivery import Checkpoint, LogDelivery
from trilens.agent.log_files import (
    FINGERPRINT_BYTES,
    FINGERPRINT_BYTES_MIN,
    Backlog,
    Entry,
    Fingerprint,
    Lines,
    LogFile,
    Where,
    generations,
    is_same_beginning,
    leads_to,
    open_file,
    sibling,
)
from trilens.agent.log_records import (
    LogBatch,
    attribute,
    packed,
    records_of,
    resource_logs,
)
from trilens.clock import Clock
from trilens.measures import Measures

FILES_MAX: Final = 2048  # open files; beyond it those at rest are closed and looked at by name
REMEMBERED_MAX: Final = 4096  # closed or absent files whose progress is kept
BATCH_BYTES_MAX: Final = 512 << 10  # of lines; one read more at most
BATCHES_PER_POLL_MAX: Final = 16
LOOK_EVERY_S: Final = 0.5  # also while there is much to read
DISCOVER_EVERY_S: Final = 2.0
RENAMED_REST_S: Final = 300.0  # a writer may go on with a renamed file until it is told
DELETED_REST_S: Final = 5.0
IDLE_REST_S: Final = 5.0  # before a file is closed to make room for another
NAMES: Final = ("*.log", "syslog", "messages", "secure", "maillog", "cron")

log = logging.getLogger(__name__)


class Tailer:
    """All followed files of one machine. Not thread-safe: one thread calls `poll`."""

    def __init__(
        self,
        where: Where,
        delivery: LogDelivery,
        checkpoint: Checkpoint,
        *,
        host: str,
        clock: Clock,
        measures: Measures,
        backlog: Backlog | None = None,
    ) -> None:
        self._where = where
        self._delivery = delivery
        self._checkpoint = checkpoint
        self._host = host
        self._clock = clock
        self._measures = measures
        self._backlog = backlog or Backlog()
        self._files: dict[tuple[int, int], LogFile] = {}
        self._remembered: dict[int, Entry] = {}  # by inode, oldest first
        self._pending: list[tuple[LogFile, Lines]] = []
        self._is_busy = False
        self._complaints: set[str] = set()
        self._new_places: list[str] = []  # searched for the first time
        self._seen_at_rest: set[int] = set()  # inodes of remembered files, at the last look
        self._idle: list[LogFile] | None = None
        self._discover_at_ns = 0
        self._look_at_ns = 0
        self._arrived: list[str] = []  # paths of files opened in this look
        self._discovered_ns = clock.now_ns()  # the last time; also that of the run before

    def start(self) -> None:
        """Open what the checkpoint knows. Called once, before the first poll."""
        self._checkpoint.load()
        known = self._checkpoint.acknowledged or {}
        self._new_places = [p for p in self._where.places if p not in known.get("places", ())]
        self._discovered_ns = known.get("discovered_ns", self._discovered_ns)
        for row in known.get("files", ()):
            entry = Entry.read(row)
            self._remembered[entry.inode] = entry
        for entry in list(self._remembered.values()):
            self._reopen(entry)
        if self._checkpoint.in_flight:
            self._delivery.resume(self._checkpoint.in_flight["question"])
            self._is_busy = True

    def poll(self) -> int:
        """One look at everything; returns the number of records acknowledged in it."""
        now_ns = self._clock.now_ns()
        self._look(now_ns)
        records = 0
        for _ in range(BATCHES_PER_POLL_MAX):
            if not self._is_busy and self._clock.monotonic_ns() >= self._look_at_ns:
                now_ns = self._clock.now_ns()
                self._look(now_ns)
            if not self._is_busy and not self._fill(now_ns):
                break
            size = self._attempted()
            if size is None:
                break
            records += size
        if not self._is_busy and self._checkpoint.in_flight:
            self._store(None)
        self._let_go(now_ns)
        self._gauges()
        return records

    def stop(self) -> None:
        """The checkpoint is current already, but for an acknowledgement just received."""
        if not self._is_busy and self._checkpoint.in_flight:
            self._store(None)
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._delivery.close()

    @property
    def is_idle(self) -> bool:
        return not self._is_busy

    # -- finding -------------------------------------------------------------------------------

    def _look(self, now_ns: int) -> None:
        is_due = self._clock.monotonic_ns() >= self._discover_at_ns
        for file in self._files.values():
            was_rotated = file.is_rotated
            file.is_rotated = not leads_to(file.path, file.key)
            is_due |= file.is_rotated and not was_rotated  # there is a new file, or soon
        if is_due:
            self._discover(now_ns)
            self._discover_at_ns = self._clock.monotonic_ns() + int(DISCOVER_EVERY_S * 1e9)
        self._look_at_ns = self._clock.monotonic_ns() + int(LOOK_EVERY_S * 1e9)

    def _discover(self, now_ns: int) -> None:
        states = {"unreadable": 0, "over_limit": 0}
        self._seen_at_rest, self._idle = set(), None
        for path in self._where.found():
            try:
                is_over_limit = not self._meet(path, now_ns)
                states["over_limit"] += is_over_limit
            except OSError as error:
                states["unreadable"] += 1
                self._complain(path, error)
        self._catch_up(now_ns)
        self._new_places, self._arrived, self._discovered_ns = [], [], now_ns
        for state, count in states.items():
            self._measures.set("trilens_agent_files", state, to=count)

    def _meet(self, path: str, now_ns: int) -> bool:
        """A file that was found; False if there is no room for it. Raises OSError."""
        status = os.stat(path)
        known = self._files.get((status.st_dev, status.st_ino))
        if known is not None:
            if known.is_rotated:
                known.path, known.is_rotated = path, False
                known.fields = self._fields(known)
            return True
        entry = self._remembered.get(status.st_ino)
        if entry is not None:
            self._seen_at_rest.add(status.st_ino)
            if entry.offset == status.st_size and entry.modified_ns == status.st_mtime_ns:
                return True
        if self._has_room(now_ns):
            self._follow(path, now_ns)
            self._arrived.append(path)
            return True
        if not self._is_new_place(path) or len(self._remembered) >= REMEMBERED_MAX:
            return False
        # Its turn comes later, but where it begins is decided now.
        file = self._follow(path, now_ns)
        if file is not None:
            self._rest(file)
        return True

    def _has_room(self, now_ns: int) -> bool:
        return len(self._files) < FILES_MAX or self._make_room(now_ns)

    def _make_room(self, now_ns: int) -> bool:
        """Close the file that has been at rest for longest."""
        if len(self._remembered) >= REMEMBERED_MAX:
            return False
        if self._idle is None:
            self._idle = [
                file
                for file in self._files.values()
                if file.offset == file.seen_size and now_ns - file.grown_at_ns > IDLE_REST_S * 1e9
            ]
            self._idle.sort(key=lambda file: -file.grown_at_ns)
        if not self._idle:
            return False
        self._rest(self._idle.pop())
        return True

    def _rest(self, file: LogFile) -> None:
        file.close()
        del self._files[file.key]
        self._remembered[file.key[1]] = file.entry()

    def _is_new_place(self, path: str) -> bool:
        return any(self._where.is_within(path, place) for place in self._new_places)

    def _complain(self, path: str, error: OSError) -> None:
        if path not in self._complaints and len(self._complaints) < FILES_MAX:
            self._complaints.add(path)
            log.info("%s is not followed: %s", path, error.strerror)

    def _follow(self, path: str, now_ns: int) -> LogFile | None:
        opened = open_file(path)
        if opened is None:
            return None
        fd, status = opened
        file = self._adopt(path, fd, status)
        entry = self._remembered.pop(status.st_ino, None)
        if entry is not None:
            # If it has become another file, that shows as a truncation when it is read.
            file.offset, file.is_inside_line = entry.offset, entry.is_inside_line
            file.fingerprint = entry.fingerprint
        elif self._is_new_place(path):
            file.offset = self._backlog.start(fd, status, now_ns)
        elif self._is_copy_of_followed(file):
            file.offset, file.is_copy = status.st_size, True
        file.grown_at_ns = now_ns
        return file

    def _catch_up(self, now_ns: int) -> None:
        """Read what had the place of a new file since the last look, or was closed by then."""
        news = [path for path in self._arrived if not self._is_new_place(path)]
        for path, older, status in generations(news):
            entry = self._remembered.get(status.st_ino)
            if entry is None:
                is_news = status.st_mtime_ns >= self._discovered_ns
                is_news &= status.st_size >= FINGERPRINT_BYTES_MIN  # else a copy is not told
            else:
                is_news = (entry.offset, entry.modified_ns) != (status.st_size, status.st_mtime_ns)
            is_open = (status.st_dev, status.st_ino) in self._files
            if is_open or not is_news or not self._has_room(now_ns):
                continue
            try:
                file = self._follow(older, now_ns)
            except OSError:  # rotated on
                continue
            if file is not None:  # under the name that it had when it was written
                file.path = path
                file.fields = self._fields(file)

    def _adopt(self, path: str, fd: int, status: os.stat_result) -> LogFile:
        key = (status.st_dev, status.st_ino)
        file = LogFile(path, fd, key, 0, Fingerprint.of(fd))
        file.fields = self._fields(file)
        self._files[key] = file
        return file

    def _fields(self, file: LogFile) -> bytes:
        return (
            attribute("log.file.path", file.path)
            + attribute("log.file.name", Path(file.path).name)
            + attribute("log.file.inode", file.key[1])
        )

    def _is_copy_of_followed(self, file: LogFile) -> bool:
        head = os.pread(file.fd, FINGERPRINT_BYTES, 0)
        directory = os.path.dirname(file.path)
        sums: dict[int, int] = {}
        others: list[LogFile | Entry] = [*self._files.values(), *self._remembered.values()]
        for other in others:
            mark = other.fingerprint
            if other is file or not FINGERPRINT_BYTES_MIN <= mark.length <= len(head):
                continue
            if mark.length not in sums:
                sums[mark.length] = zlib.crc32(head[: mark.length])
            if sums[mark.length] != mark.crc or os.path.dirname(other.path) != directory:
                continue
            if isinstance(other, Entry) or not mark.fits(other.fd):
                return True  # the other one cannot be compared further: it was truncated
            if is_same_beginning(file.fd, other.fd):
                return True
        return False

    def _reopen(self, entry: Entry) -> None:
        """Find a file of the checkpoint again: under its name, another name, or as a copy.

        One that is as it was left need not be opened.
        """
        try:
            status = os.stat(entry.path)
            is_there = status.st_ino == entry.inode
        except OSError:
            is_there = False
        if len(self._files) >= FILES_MAX or (
            is_there and entry.offset == status.st_size and entry.modified_ns == status.st_mtime_ns
        ):
            return
        path = entry.path if is_there else sibling(entry, by_inode=True)
        if path is None:
            return
        try:
            opened = open_file(path)
        except OSError as error:
            self._complain(path, error)
            return
        if opened is None:
            return
        file = self._adopt(entry.path, *opened)
        file.offset, file.is_inside_line = entry.offset, entry.is_inside_line
        file.fingerprint = entry.fingerprint
        file.grown_at_ns = self._clock.now_ns()
        del self._remembered[entry.inode]

    # -- reading -------------------------------------------------------------------------------

    def _fill(self, now_ns: int) -> bool:
        """Read one batch and note in the checkpoint that it goes out."""
        observed_ns = self._delivery.next_observed_ns()
        parts, records, size = [], 0, 0
        span = [observed_ns, observed_ns]
        self._pending = []
        for file, lines in self._readable(now_ns):
            self._pending.append((file, lines))
            encoded = list(records_of(file, lines, observed_ns, span))
            if encoded:
                resource = {"service.name": self._where.service(file.path), "host.name": self._host}
                parts.append(resource_logs(resource, "trilens.agent.tail", encoded))
                records += len(encoded)
            size += len(lines.data)
            if size >= BATCH_BYTES_MAX:
                break
        if not self._pending:
            return False
        if not parts:  # empty lines only
            self._commit()
            return False
        batch = LogBatch(packed(parts), records, observed_ns, *span)
        then = self._state({file.key: lines for file, lines in self._pending})
        self._store({"question": self._delivery.begin(batch), "then": then})
        self._is_busy = True
        return True

    def _readable(self, now_ns: int) -> Iterator[tuple[LogFile, Lines]]:
        """Files with whole lines to read; the one read last comes last the next time."""
        for file in list(self._files.values()):
            status = os.fstat(file.fd)
            if file.is_at_end(status):
                continue
            if file.is_truncated(status.st_size):
                self._truncated(file)
            file.grew(status, now_ns)
            is_final = file.is_rotated and self._has_rested(file, status, now_ns)
            lines = file.lines(is_final=is_final)
            if lines is not None:
                self._files[file.key] = self._files.pop(file.key)
                yield file, lines

    def _truncated(self, file: LogFile) -> None:
        """Go on in the copy, if there is one, and begin anew with the file itself."""
        entry = file.entry()
        path = sibling(entry, by_inode=False)
        if path is not None:
            opened = open_file(path)
            if opened is not None:
                self._continue_in_copy(entry, *opened)
        log.info("%s was truncated", file.path)
        file.offset, file.fingerprint, file.is_inside_line = 0, Fingerprint.of(file.fd), False

    def _continue_in_copy(self, entry: Entry, fd: int, status: os.stat_result) -> None:
        copy = self._files.get((status.st_dev, status.st_ino))
        if copy is None:
            copy = self._adopt(entry.path, fd, status)
            copy.is_copy = True
        else:
            os.close(fd)
            if not copy.is_copy:
                return
        copy.offset, copy.is_inside_line = entry.offset, entry.is_inside_line
        copy.grown_at_ns, copy.seen_size = self._clock.now_ns(), -1

    def _has_rested(self, file: LogFile, status: os.stat_result, now_ns: int) -> bool:
        rest_s = RENAMED_REST_S if status.st_nlink else DELETED_REST_S
        return now_ns - file.grown_at_ns > rest_s * 1e9

    # -- delivering ----------------------------------------------------------------------------

    def _attempted(self) -> int | None:
        """One attempt; the number of lines settled, None to wait."""
        outcome = self._delivery.attempt()
        if outcome == "later":
            return None
        self._is_busy = False
        if self._pending:
            settled = sum(lines.data.count(b"\n") for _, lines in self._pending)
            self._commit()
        else:
            settled = 0
            if outcome == "stored" and self._checkpoint.in_flight:
                self._apply(self._checkpoint.in_flight["then"])
        return settled

    def _commit(self) -> None:
        for file, lines in self._pending:
            file.offset, file.is_inside_line = lines.end, lines.is_cut
        self._pending = []

    def _apply(self, state: dict[str, Any]) -> None:
        """What was in flight when we were stopped had arrived: skip it."""
        by_inode = {file.key[1]: file for file in self._files.values()}
        for row in state["files"]:
            entry = Entry.read(row)
            file = by_inode.get(entry.inode)
            if file is None:
                if entry.inode in self._remembered:
                    self._remembered[entry.inode] = entry
            elif entry.fingerprint.fits(file.fd) and entry.offset > file.offset:
                file.offset, file.is_inside_line = entry.offset, entry.is_inside_line

    def _state(self, ahead: dict[tuple[int, int], Lines] | None = None) -> dict[str, Any]:
        entries = list(self._remembered.values())
        for file in self._files.values():
            entry = file.entry()
            lines = (ahead or {}).get(file.key)
            if lines is not None:
                entry.offset, entry.is_inside_line = lines.end, lines.is_cut
            entries.append(entry)
        files = [entry.row() for entry in entries]
        known = {"places": self._where.places, "files": files}
        return known | {"discovered_ns": self._discovered_ns}

    def _store(self, in_flight: dict[str, Any] | None) -> None:
        self._checkpoint.store(self._state(), in_flight)

    def _let_go(self, now_ns: int) -> None:
        """Close rotated files that rest and are read to their end, but remember them."""
        if self._is_busy:
            return
        for file in [file for file in self._files.values() if file.is_rotated]:
            status = os.fstat(file.fd)
            if file.offset < status.st_size or not self._has_rested(file, status, now_ns):
                continue
            self._rest(file)
            if not status.st_nlink:
                del self._remembered[file.key[1]]
        self._forget()

    def _forget(self) -> None:
        """Keep to REMEMBERED_MAX. A file that is still there would be read again: it stays."""
        if len(self._remembered) > REMEMBERED_MAX:
            gone = [inode for inode in self._remembered if inode not in self._seen_at_rest]
            for inode in gone[: len(self._remembered) - REMEMBERED_MAX]:
                del self._remembered[inode]

    def _gauges(self) -> None:
        unread = sum(max(0, file.seen_size - file.offset) for file in self._files.values())
        self._measures.set("trilens_agent_unread_bytes", to=unread)
        self._measures.set("trilens_agent_files", "followed", to=len(self._files))
