"""The one place that numbers messages, and the order and pace in which they leave.

Nothing has a number before it is taken to be sent, so nothing numbered is ever dropped or
reordered (AudioHook protocol §4.2). Answers go first, then pause and resume, then events,
then audio. Events merge while they wait, audio grows, and of pause and resume only the last
wish counts (§11.2, §16).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from earhook.errors import CommandRefused
from earhook.ids import SessionId

from .bucket import TokenBucket
from .codec import encode_event, encode_server
from .json_text import MAX_TEXT_CHARACTERS
from .messages import (
    SERVER_TYPES,
    Opened,
    Pause,
    Pong,
    Resume,
    ServerBody,
    ServerType,
    Updated,
)
from .playback import Playback
from .replies import Reply, SendAudio, SendText
from .settings import SendLimits
from .states import AUDIO, Sendable

__all__ = ["Outbox", "Stamp"]

# The envelope around entities is some 150 bytes; bytes are at least characters.
MAX_ENTITIES_BYTES: Final = MAX_TEXT_CHARACTERS - 1024


@dataclass(frozen=True, slots=True)
class Stamp:
    """What goes into the envelope of everything taken now."""

    session_id: SessionId
    clientseq: int


@dataclass(frozen=True, slots=True)
class _Answer:
    body: ServerBody
    clientseq: int | None
    """The `seq` of the question, where the peer pairs by it (§4.2)."""


class Outbox:
    """What one session still has to say. Post, then `take`; bounded in every part."""

    def __init__(self, limits: SendLimits, now: float) -> None:
        self._limits = limits
        self._text = TokenBucket(limits.text_rate, limits.text_burst, now)
        self._pauses = TokenBucket(limits.pause_rate, limits.pause_burst, now)
        self._answers: deque[_Answer] = deque()
        self._pause_wish: Pause | Resume | None = None
        self._entities: deque[bytes] = deque()
        self._entity_bytes = 0
        self._silent_until = now
        self._waits_for_barge_in = False
        self.playback = Playback(limits, now)
        self.seq = 0
        """Number of the last message taken."""
        self.pause_held = False
        """Whether the last thing that the peer was told is our pause."""
        self.wake_at: float | None = None
        """When `take` will have something; set by `take`."""

    def post_first(self, body: ServerBody) -> None:
        """Say this before anything that waits: `opened`, `disconnect`, `closed`."""
        self._answers.appendleft(_Answer(body, None))

    def post_answer(self, body: Pong | Updated, question_seq: int) -> bool:
        """Queue an answer in the order of the questions; False if too many wait."""
        if len(self._answers) >= self._limits.waiting_answers:
            return False
        self._answers.append(_Answer(body, question_seq))
        return True

    def post_pause(self, wish: Pause | Resume) -> None:
        """Wish for or against a pause; replaces a wish that was not sent yet."""
        self._pause_wish = wish

    def post_entities(self, entities: list[bytes]) -> None:
        """Queue encoded entities; all or none.

        Raises:
            CommandRefused: One is too large for a message, or too much waits already.
        """
        total = sum(map(len, entities))
        if any(len(entity) > MAX_ENTITIES_BYTES for entity in entities):
            raise CommandRefused("an entity is too large for one message")
        if self._entity_bytes + total > self._limits.waiting_event_bytes:
            raise CommandRefused("too many events wait to be sent already")
        self._queue_entities(entities)

    def post_barge_in(self, entity: bytes) -> None:
        """Queue a barge-in behind earlier events; audio waits until it is out (§9.1)."""
        self._waits_for_barge_in = True
        self._queue_entities([entity])

    @property
    def events_wait(self) -> bool:
        """Whether events are not sent yet."""
        return bool(self._entities)

    def drop_events(self) -> int:
        """Forget events that are not sent yet; give their number."""
        dropped = len(self._entities)
        self._entities.clear()
        self._entity_bytes = 0
        self._waits_for_barge_in = False
        return dropped

    def back_off(self, until: float) -> None:
        """Say nothing but answers until then: the peer complained about our rate."""
        self._silent_until = max(self._silent_until, until)

    def restrict(self, allowed: AbstractSet[Sendable]) -> int:
        """Forget what a new state will never allow again; give the number of events lost.

        Events survive a state that holds them back, since a later one may send them.
        """
        kept = [a for a in self._answers if SERVER_TYPES[type(a.body)] in allowed]
        self._answers = deque(kept)
        if ServerType.PAUSE not in allowed:
            self._pause_wish = None
        if AUDIO not in allowed:
            self.playback.clear()
        return self.drop_events() if ServerType.CLOSED in allowed or not allowed else 0

    def take(self, stamp: Stamp, allowed: AbstractSet[Sendable], now: float) -> list[Reply]:
        """Number and hand out everything that may go now, in the order to send it."""
        replies: list[Reply] = []
        self._take_answers(replies, stamp, allowed, now)
        self._take_pause(replies, stamp, allowed, now)
        self._take_events(replies, stamp, allowed, now)
        self._take_audio(replies, allowed, now)
        self.wake_at = self._next_wake(allowed, now)
        return replies

    def _take_answers(
        self, replies: list[Reply], stamp: Stamp, allowed: AbstractSet[Sendable], now: float
    ) -> None:
        while self._answers and self._is_allowed(self._answers[0], allowed):
            if not self._text.take(now):
                return
            answer = self._answers.popleft()
            clientseq = stamp.clientseq if answer.clientseq is None else answer.clientseq
            replies.append(self._numbered(Stamp(stamp.session_id, clientseq), answer.body))
            if isinstance(answer.body, Opened):
                self.pause_held = answer.body.start_paused

    def _take_pause(
        self, replies: list[Reply], stamp: Stamp, allowed: AbstractSet[Sendable], now: float
    ) -> None:
        wish = self._pause_wish
        if wish is None or ServerType.PAUSE not in allowed or self._pause_ready_at(now) > now:
            return
        self._text.take(now)
        self._pauses.take(now)
        self._pause_wish = None
        self.pause_held = isinstance(wish, Pause)
        replies.append(self._numbered(stamp, wish))

    def _take_events(
        self, replies: list[Reply], stamp: Stamp, allowed: AbstractSet[Sendable], now: float
    ) -> None:
        if ServerType.EVENT not in allowed or now < self._silent_until:
            return
        while self._entities and self._text.take(now, self._limits.text_reserve):
            entities = self._next_batch()
            self.seq += 1
            text = encode_event(stamp.session_id, self.seq, stamp.clientseq, entities)
            replies.append(SendText(text, ServerType.EVENT))
        if not self._entities:
            self._waits_for_barge_in = False

    def _take_audio(self, replies: list[Reply], allowed: AbstractSet[Sendable], now: float) -> None:
        if AUDIO not in allowed or self._waits_for_barge_in or now < self._silent_until:
            return
        while (chunk := self.playback.take(now)) is not None:
            replies.append(SendAudio(chunk))

    def _next_wake(self, allowed: AbstractSet[Sendable], now: float) -> float | None:
        times = []
        if self._answers and self._is_allowed(self._answers[0], allowed):
            times.append(self._text.ready_at(now))
        if self._pause_wish is not None and ServerType.PAUSE in allowed:
            times.append(self._pause_ready_at(now))
        if self._entities and ServerType.EVENT in allowed:
            times.append(self._event_ready_at(now))
        if self.playback.waiting_bytes and AUDIO in allowed and not self._waits_for_barge_in:
            times.append(max(self.playback.ready_at(now), self._silent_until))
        return min(times, default=None)

    def _pause_ready_at(self, now: float) -> float:
        return max(self._pauses.ready_at(now), self._event_ready_at(now))

    def _event_ready_at(self, now: float) -> float:
        return max(self._text.ready_at(now, self._limits.text_reserve), self._silent_until)

    def _numbered(self, stamp: Stamp, body: ServerBody) -> SendText:
        self.seq += 1
        text = encode_server(stamp.session_id, self.seq, stamp.clientseq, body)
        return SendText(text, SERVER_TYPES[type(body)])

    def _queue_entities(self, entities: list[bytes]) -> None:
        self._entities.extend(entities)
        self._entity_bytes += sum(map(len, entities))

    def _next_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        room = MAX_ENTITIES_BYTES
        while self._entities and (not batch or len(self._entities[0]) < room):
            entity = self._entities.popleft()
            room -= len(entity) + 1
            self._entity_bytes -= len(entity)
            batch.append(entity)
        return batch

    @staticmethod
    def _is_allowed(answer: _Answer, allowed: AbstractSet[Sendable]) -> bool:
        return SERVER_TYPES[type(answer.body)] in allowed
