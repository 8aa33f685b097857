"""Where results go: JSON lines, the gateway, and the peer of a Transcription Connector."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from earhook.client import Call, CommandRefused, Stream
from earhook.protocol.position import format_nanoseconds

from .result import Result
from .segment import Segment

__all__ = ["Answers", "Line", "Outlets", "transcript_entity"]

MOST_WAITING: Final = 512
"""Results of one call that wait for the gateway; the oldest are dropped."""
MOST_AT_ONCE: Final = 25
TRANSCRIPTION: Final = "transcription"
SEGMENT_IDS: Final = uuid.UUID("5d1f4f2e-6f0b-5c83-9f0f-3a1f2f6f3c57")
"""The name space of the ids that the peer sees: the same segment, the same id, on every run."""
EVENT_MEMBERS: Final = ("engine", "state", "dropped_seconds", "behind_seconds")
"""Of `analysis` in the PCM stream; lines say more."""


@dataclass(frozen=True, slots=True)
class Line:
    """One JSON line about a call."""

    kind: str
    call: Call
    position: int
    details: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """For `orjson.dumps`; `seconds` is the position as people read it."""
        call = self.call
        return {
            "type": self.kind,
            "session": call.session_id,
            "conversation": call.conversation_id,
            "position": self.position,
            "seconds": round(self.position / call.rate, 3),
            "details": dict(self.details),
        }


@dataclass(slots=True)
class Answers:
    """What the gateway has said to all commands of a process so far."""

    taken: int = 0
    refused: int = 0
    last_refusal: str = ""


class Outlets:
    """Passes results on, and never waits for any taker (`Outlet`).

    Args:
        stream: The gateway.
        write: Takes a line; must not wait.
        to_gateway: Whether results go back as commands.
        transcripts: Whether transcripts go to the peer: of calls of a Transcription Connector
            ("auto"), of all, of none.
    """

    def __init__(
        self,
        stream: Stream,
        write: Callable[[Line], None],
        *,
        to_gateway: bool = True,
        transcripts: str = "auto",
    ) -> None:
        self.answers = Answers()
        self.dropped = 0
        """Results that the gateway did not get because it did not take them fast enough."""
        self._stream = stream
        self._write = write
        self._to_gateway = to_gateway
        self._transcripts = transcripts
        self._posts: dict[Call, _Post] = {}

    def tell(self, call: Call, result: Result, segment: Segment | None) -> None:
        """Write the line and put the rest into the call's post."""
        self._write(Line(result.kind, call, result.position, result.details))
        post = self._posts.get(call)
        if post is None:
            post = self._posts[call] = _Post(call, self._stream, self.answers)
        if self._to_gateway:
            self.dropped += post.put(_as_entry(result))
        text = str(result.details.get("text", ""))
        if segment is not None and text and self._wants_transcript(call, segment):
            post.put_entity(transcript_entity(call, segment, text))
        if result.kind == "hit" and result.details.get("action") == "pause":
            post.pause(result.pause_seconds)

    def write(self, kind: str, call: Call, position: int, details: Mapping[str, Any]) -> None:
        """A line that is no result."""
        self._write(Line(kind, call, position, details))

    async def settle(self, call: Call) -> None:
        """Wait until everything told of a call so far has been taken or refused."""
        post = self._posts.get(call)
        if post is not None:
            await post.settle()

    def forget(self, call: Call) -> None:
        """Nothing of a call follows."""
        post = self._posts.pop(call, None)
        if post is not None:
            post.close()

    def _wants_transcript(self, call: Call, segment: Segment) -> bool:
        if not segment.is_final or self._transcripts == "never":
            return False
        return self._transcripts == "always" or call.facts.get("product") == TRANSCRIPTION


class _Post:
    """Commands for one call, in order, sent by a task that waits for each answer."""

    def __init__(self, call: Call, stream: Stream, answers: Answers) -> None:
        self._call = call
        self._stream = stream
        self._answers = answers
        self._entries: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)
        self._entities: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)
        self._must_pause = False
        self._must_resume = False
        self._resuming: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def put(self, entry: dict[str, Any]) -> int:
        """Send an entry; how many others it has pushed out."""
        full = len(self._entries) == MOST_WAITING
        self._entries.append(entry)
        self._begin()
        return int(full)

    def put_entity(self, entity: dict[str, Any]) -> None:
        """Relay a transcript to the peer."""
        self._entities.append(entity)
        self._begin()

    def pause(self, seconds: float | None) -> None:
        """A rule wants the recording to stop, for so long; None: until somebody else resumes it."""
        self._must_pause, self._must_resume = True, False
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        if seconds is not None:
            self._resuming = asyncio.get_running_loop().call_later(seconds, self._resume)
        self._begin()

    def _resume(self) -> None:
        self._resuming = None
        self._must_resume = True
        self._begin()

    async def settle(self) -> None:
        """Wait for all of it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def close(self) -> None:
        """Send nothing more."""
        if self._resuming is not None:
            self._resuming.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._must_pause or self._must_resume or self._entities or self._entries:
            if self._must_pause:  # what is said meanwhile is what should not be heard
                self._must_pause = False
                await self._try(self._stream.pause(self._call))
            elif self._must_resume:
                self._must_resume = False
                await self._try(self._stream.resume(self._call))
            elif self._entities:
                entities = [self._entities.popleft()]
                await self._try(self._stream.send_event(self._call, entities))
            else:
                count = min(len(self._entries), MOST_AT_ONCE)
                entries = [self._entries.popleft() for _ in range(count)]
                is_taken = await self._try(self._stream.results(self._call, entries))
                # One that is refused does not take the others with it; unless nothing ever goes.
                if not is_taken and count > 1 and self._answers.taken:
                    for entry in entries:
                        await self._try(self._stream.results(self._call, [entry]))

    async def _try(self, command: Coroutine[Any, Any, None]) -> bool:
        try:
            await command
        except CommandRefused as error:
            self._answers.refused += 1
            self._answers.last_refusal = str(error)
            return False
        self._answers.taken += 1
        return True


def transcript_entity(call: Call, segment: Segment, text: str) -> dict[str, Any]:
    """A final segment as the peer wants it (AudioHook protocol §6.1).

    Args:
        call: Whose channels say which index a channel has.
        segment: What was heard.
        text: What may be told of it. Words are left out where it is not what was heard: they
            would say what the text does not.
    """
    channels = list(call.facts.get("negotiated_channels") or call.channels)
    sure = 1.0 if segment.confidence is None else segment.confidence
    interpretation: dict[str, Any] = {"type": "display", "transcript": text}
    if segment.words and text == segment.text:
        interpretation["tokens"] = [
            {
                "type": "word",
                "value": word.text,
                "confidence": sure if word.confidence is None else word.confidence,
                "offset": _duration(word.start, call.rate),
                "duration": _duration(word.end - word.start, call.rate),
            }
            for word in segment.words
        ]
    alternative: dict[str, Any] = {"confidence": sure, "interpretations": [interpretation]}
    language = segment.language or call.language
    if language is not None:
        alternative["languages"] = [language]
    return {
        "type": "transcript",
        "data": {
            "id": str(uuid.uuid5(SEGMENT_IDS, f"{call.session_id}/{segment.id}")),
            "channelId": channels.index(segment.channel),
            "isFinal": segment.is_final,
            "offset": _duration(segment.start, call.rate),
            "duration": _duration(segment.end - segment.start, call.rate),
            "alternatives": [alternative],
        },
    }


def _as_entry(result: Result) -> dict[str, Any]:
    entry = result.as_entry()
    if result.kind == "analysis":
        entry["details"] = {
            name: result.details[name] for name in EVENT_MEMBERS if name in result.details
        }
    return entry


def _duration(samples: int, rate: int) -> str:
    return format_nanoseconds(round(samples * 1_000_000_000 / rate))
