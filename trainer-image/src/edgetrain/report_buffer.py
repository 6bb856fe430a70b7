"""Reports that nobody took, kept on disk and sent later in order, with the times at which they were made.

Text lines in numbered segment files. Records are not synced one by one, which would wear out an SD
card: a power cut may lose the last seconds. A line cut short by a crash is passed over when read.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import ValidationError

from edgetrain.durable_files import write_durably
from edgetrain.fleet_client import FleetClient, Refused, Unauthorized, Unavailable
from edgetrain_protocol.report import MOST_REQUEST_BYTES, Report, ReportAnswer

log = logging.getLogger(__name__)

SEGMENTS = 4
"""The bound is kept by dropping the oldest of so many files: no file is ever rewritten."""
BATCH, BATCH_BYTES = 64, 128 << 10
"""Reports a request: some 40 KB, which leaves a slow link to the training between two of them. Those of large
groups are larger."""


@dataclass
class _Segment:
    path: Path
    records: int = 0
    bytes: int = 0
    read: int = 0
    """Offset of the oldest record not yet discarded."""


class ReportBuffer:
    """A bounded queue of reports in a directory of its own. Not for several threads or processes."""

    def __init__(self, directory: Path, max_bytes: int = 4 << 20) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._segment_bytes = max(1, max_bytes // SEGMENTS)
        ours = (path for path in directory.glob("*.reports") if path.stem.isdecimal() and path.is_file())
        self._segments = deque(_found(path) for path in sorted(ours))
        # Never append behind a line that a crash may have cut short: what follows it would be lost too.
        self._writable = False
        self.dropped = 0
        """Reports lost since this object was made: over the bound, or not written for want of space."""

    def __len__(self) -> int:
        return sum(segment.records for segment in self._segments)

    def append(self, report: Report) -> None:
        """Keep a report; where the buffer is full the oldest go, where the disk is full this one does."""
        line = report.model_dump_json(by_alias=True, exclude_none=True).encode() + b"\n"
        try:
            segment = self._open_segment(len(line))
            with segment.path.open("ab") as file:
                file.write(line)
        except OSError:
            self.dropped += 1
            self._writable = False
            return
        segment.records += 1
        segment.bytes += len(line)

    def oldest(self, count: int) -> list[Report]:
        """Up to `count` reports, oldest first, of BATCH_BYTES together or just one. They stay until
        discarded; [] only when nothing is left."""
        while self._segments:
            segment = self._segments[0]
            if found := list(islice(_records(segment), count)):
                fit = sum(end <= segment.read + BATCH_BYTES for end, _ in found)
                return [report for _, report in found[: max(fit, 1)]]
            self._forget_first()
        return []

    def discard(self, count: int) -> None:
        """Drop the `count` oldest. A crash may bring some back: they are sent twice, which is harmless."""
        while count > 0 and self._segments:
            segment = self._segments[0]
            taken = 0
            for end, _ in islice(_records(segment), count):
                segment.read = end
                taken += 1
            segment.records -= taken
            count -= taken
            if segment.records <= 0 or taken == 0:
                self._forget_first()

    def _open_segment(self, needed: int) -> _Segment:
        full = self._segments and self._segments[-1].bytes + needed > self._segment_bytes
        if not self._segments or not self._writable or full:
            number = int(self._segments[-1].path.stem) + 1 if self._segments else 1
            self._segments.append(_Segment(self._directory / f"{number:012d}.reports"))
            self._writable = True
        while len(self._segments) > SEGMENTS:
            self.dropped += self._segments[0].records
            self._forget_first()
        return self._segments[-1]

    def _forget_first(self) -> None:
        with contextlib.suppress(OSError):
            self._segments.popleft().path.unlink()


def _found(path: Path) -> _Segment:
    segment = _Segment(path)
    segment.records = sum(1 for _ in _records(segment))
    segment.bytes = path.stat().st_size
    return segment


def _records(segment: _Segment) -> Iterator[tuple[int, Report]]:
    """Each whole record not yet discarded, with the offset behind it."""
    with contextlib.suppress(OSError), segment.path.open("rb") as file:
        file.seek(segment.read)
        while line := file.readline(MOST_REQUEST_BYTES):
            with contextlib.suppress(ValidationError):
                yield file.tell(), Report.from_wire(line)


class Sequence:
    """Numbers that rise over all starts of a program in a pod, also after a power cut.

    A block is reserved on disk, synced, before its first number is used; a start skips what is left of
    the last block. So one sync serves thousands of reports.
    """

    BLOCK = 10_000

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._next = int(path.read_text())
        except (OSError, ValueError):
            self._next = 0
        self._reserved = self._next

    def next(self) -> int:
        """The next number."""
        if self._next == self._reserved:
            self._reserve(self._next + self.BLOCK)
        self._next += 1
        return self._next - 1

    def _reserve(self, end: int) -> None:
        self._reserved = end
        # A full disk must not silence the reporter; the price is that a later start may count from too low.
        with contextlib.suppress(OSError):
            write_durably(self._path, str(end).encode())


class ReportOutbox:
    """Delivers reports in order: straight through while somebody answers, by way of the buffer otherwise."""

    def __init__(self, client: FleetClient, buffer: ReportBuffer) -> None:
        self._client = client
        self._buffer = buffer
        self.refusals = 0
        """Reports that the fleet API called nonsense."""

    def deliver(self, report: Report) -> ReportAnswer:
        """Send everything that waits, then this report; what cannot be sent is kept.

        Raises:
            Unavailable, Unauthorized: kept for later.
            Gone: this pod is over, nobody will take it.
        """
        if len(self._buffer):
            self._buffer.append(report)
            return self.flush() or ReportAnswer()
        try:
            return self._client.send([report])
        except Refused as refusal:
            self._refused(refusal)
            return ReportAnswer()
        except (Unavailable, Unauthorized):
            self._buffer.append(report)
            raise

    def flush(self) -> ReportAnswer | None:
        """Send all that is kept; the answer to the newest, or None where nothing was kept.

        Raises:
            Unavailable, Unauthorized, Gone: the rest is still kept.
        """
        answer = None
        while batch := self._buffer.oldest(BATCH):
            try:
                answer = self._client.send(batch)
                self._buffer.discard(len(batch))
            except Refused as refusal:
                self._refused(refusal)
                self._buffer.discard(refusal.index + 1)
        return answer

    def _refused(self, refusal: Refused) -> None:
        self.refusals += 1
        log.warning("a report was refused: %s", refusal)
