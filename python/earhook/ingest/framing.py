"""Where requests and bodies begin and end (RFC 9112 §6, §7), read strictly. Sans-IO, no clock.

Every byte of a connection passes here before the HTTP server behind it sees any, and that server
sees none of it as it came: it gets a head and chunks of our own making. So there is one reading of
a request in the house, this one, and what it finds doubtful ends the connection.

    HEAD --a whole head--> BODY --its last byte--> ANSWER --proceed()--> HEAD
      `--------------------- anything wrong ---------------------> BROKEN
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from earhook.edge.request import Fault, HeadReader, RequestHead

if TYPE_CHECKING:
    from .settings import IngestLimits

__all__ = ["BodyFault", "Broken", "Ended", "Event", "Opened", "RequestFraming", "Stage"]


class Stage(StrEnum):
    """What the next byte belongs to."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    """To the next request, which is not read before this one is answered."""
    BROKEN = "broken"


class BodyFault(StrEnum):
    """Which rule a request breaks that its head alone does not; for counters."""

    METHOD = "method-unknown"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    EXPECTATION = "expectation"
    BODY_TOO_LARGE = "body-too-large"
    CHUNK_LINE = "chunk-line"
    CHUNK_TOO_LARGE = "chunk-too-large"
    CHUNK_END = "chunk-end"
    TRAILER = "trailer"
    PIPELINE = "pipeline"
    """A flood behind a request that was not answered yet."""

    @property
    def status(self) -> int:
        """The HTTP status that answers it."""
        return _STATUSES.get(self, 400)


class Opened(NamedTuple):
    """A well-formed request begins.

    Attributes:
        head: Its head; the method is GET, HEAD or POST.
        body_bytes: Length of the body; 0: none; None: it comes in chunks.
        expects_continue: Whether the peer waits for `100 Continue` before it sends the body.
        is_last: Whether the peer wants the connection to end with this request.
    """

    head: RequestHead
    body_bytes: int | None
    expects_continue: bool
    is_last: bool


class Ended(NamedTuple):
    """The body is complete. `proceed` lets the next request be read."""


class Broken(NamedTuple):
    """The connection cannot be read any further. Nothing follows."""

    reason: Fault | BodyFault

    @property
    def status(self) -> int:
        """The HTTP status that answers it."""
        return self.reason.status


Event: TypeAlias = Opened | bytes | Ended | Broken
"""`bytes` is what the body says, never empty, without the framing around it."""


class RequestFraming:
    """The requests of one connection, one after the other.

    Feed what arrives; then take events until there is none.

    Attributes:
        stage: What the next byte belongs to.
        is_behind: Whether the last event left chunks behind that have arrived. One event reads a
            bounded number of them, so that many very small ones cost no other connection its turn.
    """

    __slots__ = (
        "_at",
        "_chunk_end_due",
        "_ending",
        "_has_begun",
        "_left",
        "_limits",
        "_pending",
        "_reader",
        "_told",
        "is_behind",
        "stage",
    )

    def __init__(self, limits: IngestLimits) -> None:
        self.stage = Stage.HEAD
        self.is_behind = False
        self._limits = limits
        self._reader = self._new_reader()
        self._pending = b""
        self._at = 0  # what lies before it in `_pending` has been read
        self._has_begun = False
        self._told = False  # the length of the body was told; otherwise it comes in chunks
        self._left = 0  # bytes of the body, or of the chunk, that are still to come
        self._chunk_end_due = False
        self._ending: Ended | Broken | None = None  # found behind bytes that go out first

    @property
    def is_within_head(self) -> bool:
        """Whether a head has begun and is not whole."""
        return self.stage is Stage.HEAD and self._has_begun

    @property
    def waiting_bytes(self) -> int:
        """Bytes fed that no event has told of; those of a head that is not whole do not count."""
        return len(self._pending) - self._at

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.stage is Stage.BROKEN:
            return
        self._pending = self._pending[self._at :] + data if self.waiting_bytes else data
        self._at = 0

    def proceed(self) -> None:
        """The request is answered: read the next one."""
        if self.stage is Stage.ANSWER:
            self.stage = Stage.HEAD
            self._reader = self._new_reader()
            self._has_begun = False

    def next_event(self) -> Event | None:
        """What comes next; None: more must arrive, or be answered, first."""
        self.is_behind = False
        if self._ending is not None:
            return self._end(self._ending)
        if self._at == len(self._pending):
            return None
        match self.stage:
            case Stage.HEAD:
                return self._next_of_head()
            case Stage.BODY:
                return self._next_of_told() if self._told else self._next_of_chunks()
            case Stage.ANSWER if self.waiting_bytes > _WAITING_BYTES:
                return self._end(Broken(BodyFault.PIPELINE))
            case _:
                return None

    # The head.

    def _new_reader(self) -> HeadReader:
        return HeadReader(self._limits.head_bytes, self._limits.headers, chunked=True)

    def _next_of_head(self) -> Event | None:
        self._has_begun = True
        head = self._reader.feed(self._take(self.waiting_bytes))
        if head is None:
            return None
        if isinstance(head, Fault):
            return self._end(Broken(head))
        self._pending, self._at = self._reader.rest, 0
        opened = _open(head, self._limits)
        if isinstance(opened, Broken):
            return self._end(opened)
        self.stage = Stage.BODY
        self._told = opened.body_bytes is not None
        self._left = opened.body_bytes or 0
        self._chunk_end_due = False
        if opened.body_bytes == 0:
            self._ending = Ended()
        return opened

    # The body.

    def _next_of_told(self) -> bytes | None:
        piece = self._take(self._left)
        self._left -= len(piece)
        if not self._left:
            self._ending = Ended()
        return piece or None

    def _next_of_chunks(self) -> Event | None:
        pieces: list[bytes] = []
        for _ in range(_CHUNKS_AT_ONCE):
            if self._left:
                piece = self._take(self._left)
                self._left -= len(piece)
                pieces.append(piece)
                self._chunk_end_due = not self._left
            if self._left or not (self._has_chunk_end() and self._has_chunk_line()):
                break
        else:
            self.is_behind = True
        said = b"".join(pieces)
        if said:
            return said
        return None if self._ending is None else self._end(self._ending)

    def _has_chunk_end(self) -> bool:
        """Whether the line end behind a chunk is there, or none is due."""
        if self._chunk_end_due:
            end = self._pending[self._at : self._at + 2]
            if end == b"\r\n":
                self._at += 2
                self._chunk_end_due = False
            elif end not in {b"", b"\r"}:
                self._ending = Broken(BodyFault.CHUNK_END)
        return not self._chunk_end_due

    def _has_chunk_line(self) -> bool:
        """Whether another chunk begins here."""
        if self._at == len(self._pending):
            return False
        line = _CHUNK_LINE.match(self._pending, self._at)
        if line is None:
            self._ending = self._judge_unfinished_line()
            return False
        self._left = int(line[1], 16)
        if self._left > self._limits.body_bytes:
            self._ending = Broken(BodyFault.CHUNK_TOO_LARGE)
        elif self._left:
            self._at = line.end()
            return True
        else:
            self._ending = self._judge_last_chunk(line.end())
        self._left = 0
        return False

    def _judge_unfinished_line(self) -> Broken | None:
        """None where more bytes can still make it a chunk line."""
        whole = _CHUNK_LINE_BEGUN.fullmatch(self._pending, self._at)
        return Broken(BodyFault.CHUNK_LINE) if whole is None else None

    def _judge_last_chunk(self, line_end: int) -> Ended | Broken | None:
        """Trailers (RFC 9112 §7.1.2) are refused: nothing that we read may stand there."""
        end = self._pending[line_end : line_end + 2]
        if end == b"\r\n":
            self._at = line_end + 2
            return Ended()
        return None if end in {b"", b"\r"} else Broken(BodyFault.TRAILER)

    def _take(self, most: int) -> bytes:
        """The next bytes, at most that many; without a copy where that is all there is."""
        start, end = self._at, min(len(self._pending), self._at + most)
        piece = self._pending[start:end]
        if end == len(self._pending):
            self._pending, self._at = b"", 0
        else:
            self._at = end
        return piece

    def _end(self, ending: Ended | Broken) -> Ended | Broken:
        self._ending = None
        if isinstance(ending, Broken):
            self.stage = Stage.BROKEN
            self._pending, self._at = b"", 0
        else:
            self.stage = Stage.ANSWER
        return ending


def _open(head: RequestHead, limits: IngestLimits) -> Opened | Broken:
    """Judge how the body of a well-formed head is framed."""
    if head.method not in _SERVED:
        known = head.method in _KNOWN
        return Broken(BodyFault.METHOD_NOT_ALLOWED if known else BodyFault.METHOD)
    length = head.value("content-length")
    if head.minor_version == 0 and head.method == "POST" and (length or "0").strip("0"):
        return Broken(Fault.FRAMING)
    if head.minor_version == 0 and head.method == "POST" and length is None:
        return Broken(Fault.NO_LENGTH)
    body_bytes = None if head.value("transfer-encoding") is not None else int(length or 0)
    if body_bytes is not None and body_bytes > limits.body_bytes:
        return Broken(BodyFault.BODY_TOO_LARGE)
    expected = head.value("expect")
    if expected is not None and expected.lower() != "100-continue":
        return Broken(BodyFault.EXPECTATION)
    # HTTP/1.0 knows no interim answers (RFC 9110 §10.1.1).
    expects_continue = expected is not None and head.minor_version > 0 and body_bytes != 0
    is_last = head.minor_version == 0 or head.lists("connection", "close")
    return Opened(head, body_bytes, expects_continue, is_last)


_STATUSES: Final = {
    BodyFault.METHOD: 501,
    BodyFault.METHOD_NOT_ALLOWED: 405,
    BodyFault.EXPECTATION: 417,
    BodyFault.BODY_TOO_LARGE: 413,
    BodyFault.CHUNK_TOO_LARGE: 413,
}
_SERVED: Final = frozenset({"GET", "HEAD", "POST"})
_KNOWN: Final = frozenset({"PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"})
# An extension (RFC 9112 §7.1.1) is tolerated if it is short, and means nothing.
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]{0,16};[\t -~]{0,64})?\r\n")
_CHUNK_LINE_BEGUN: Final = re.compile(
    rb"(?:[0-9A-Fa-f]{1,8}(?:[ \t]{0,16}|[ \t]{0,16};[\t -~]{0,64})\r?)?"
)
_CHUNKS_AT_ONCE: Final = 512
_WAITING_BYTES: Final = 1_048_576
"""The connection stops reading when something waits here, so it is little more than one read."""
