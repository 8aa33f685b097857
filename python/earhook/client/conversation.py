"""One connection with a gateway: bytes in, items out, bytes out. No sockets, no clock."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson

from earhook.errors import StreamError, StreamRefused
from earhook.media.format import Channel
from earhook.media.stream import (
    ALL_CHANNELS,
    CONNECTION,
    STREAM_VERSION,
    FrameDecoder,
    FrameKind,
    GapReason,
    encode_ack,
    encode_frame,
)

from .items import Call, CallEvent, CallOpened, ChannelName, Item, Participant
from .memory import Memories, Memory
from .progress import Attachment, Progress
from .settings import StreamSettings

__all__ = ["CommandResult", "Conversation"]

STREAM_NAME: Final = "earhook-pcm"
MOST_RESUMED: Final = 3000
MOST_DONE: Final = 1000


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The answer to a command."""

    id: int
    ok: bool
    message: str


class Conversation:
    """Speaks the consumer's side of the stream on one connection.

    Law of the doors: after `receive` and every other call, send what `take_output` gives.

    Args:
        settings: What is wished for.
        memories: What is known from earlier connections; shared by all of a stream.
    """

    def __init__(self, settings: StreamSettings, memories: Memories) -> None:
        self.memory: Memory | None = None
        self.is_subscribed = False
        self._settings = settings
        self._memories = memories
        self._decoder = FrameDecoder()
        self._attachments: dict[int, Attachment] = {}
        self._output = [self._hello()]

    def receive(self, chunk: bytes) -> Iterator[Item | CommandResult]:
        """Take in bytes.

        Yields:
            What they mean, in order. Repetitions after a reconnect are left out already.

        Raises:
            StreamError: They are not what a gateway may send.
            StreamRefused: The gateway ends the connection, with its reason.
        """
        for kind, call, channel, position, samples, reason, body in self._decoder.feed(chunk):
            if kind == FrameKind.AUDIO:
                yield from self._attachment(call).audio(channel, position, body)
            elif kind == FrameKind.GAP:
                yield from self._attachment(call).gap(position, samples, _reason_word(reason))
            else:
                yield from self._receive_json(kind, call, _read_object(body))
        if self._decoder.broken is not None:
            raise StreamError(self._decoder.broken)

    def take_output(self) -> bytes:
        """What to send now."""
        output = b"".join(self._output)
        self._output.clear()
        return output

    def acknowledge(self) -> None:
        """Tell the gateway how far the program has got."""
        for number, attachment in self._attachments.items():
            consumed = attachment.progress.consumed
            if consumed > attachment.acked:
                attachment.acked = consumed
                self._output.append(encode_ack(number, ALL_CHANNELS, consumed))

    def number_of(self, call: Call) -> int | None:
        """The number that a call has on this connection."""
        for number, attachment in self._attachments.items():
            if attachment.progress.call is call:
                return number
        return None

    def has_had(self, call: Call) -> bool:
        """Whether this gateway has closed a call, a while ago at most."""
        return self.memory is not None and call.session_id.lower() in self.memory.done

    def command(self, number: int, identifier: int, word: str, body: Mapping[str, Any]) -> None:
        """Ask something of a call."""
        command = {"id": identifier, "command": word, **body}
        frame = encode_frame(FrameKind.COMMAND, number, orjson.dumps(command, default=_as_text))
        self._output.append(frame)

    def _receive_json(
        self, kind: int, number: int, body: dict[str, Any]
    ) -> Iterator[Item | CommandResult]:
        if kind == FrameKind.HELLO:
            yield from self._on_hello(body)
        elif kind == FrameKind.OPEN:
            yield from self._on_open(number, body)
        elif kind == FrameKind.EVENT:
            yield from self._on_event(number, body)
        elif kind == FrameKind.CLOSE and number == CONNECTION:
            raise StreamRefused(str(body.get("code")), str(body.get("message")))
        elif kind == FrameKind.CLOSE:
            yield from self._on_close(number, body)

    def _on_hello(self, body: dict[str, Any]) -> Iterator[Item]:
        if body.get("stream") != STREAM_NAME or body.get("role") != "gateway":
            raise StreamError("the other side is no gateway of this stream")
        if _number(body, "version") < STREAM_VERSION:
            raise StreamError(f"the gateway speaks no version {STREAM_VERSION}")
        self.memory, forgotten = self._memories.recall(str(body.get("instance", "")))
        for progress in forgotten:
            yield from progress.lost()
        self._output.append(self._subscribe(self.memory))

    def _on_open(self, number: int, body: dict[str, Any]) -> Iterator[Item]:
        memory, call, position = self._known_gateway(), _call(body), _number(body, "position")
        session = call.session_id.lower()
        progress = memory.calls.get(session)
        if progress is None and session in memory.done:
            # The gateway still has audio of a call that we have had to its end.
            repeated = Progress(call, memory.done[session])
            self._attachments[number] = Attachment(repeated, position, is_repeat=True)
            return
        if progress is None:
            progress = memory.calls[session] = Progress(call, position)
            yield CallOpened(call, position)
        self._attachments[number] = Attachment(progress, position)

    def _on_event(self, number: int, body: dict[str, Any]) -> Iterator[Item | CommandResult]:
        match body.get("type"):
            case "subscribed" if number == CONNECTION:
                yield from self._on_subscribed()
            case "command_result":
                identifier = body.get("id")
                if isinstance(identifier, int):
                    ok = body.get("ok") is True
                    yield CommandResult(identifier, ok, str(body.get("message", "")))
            case kind if number in self._attachments:
                attachment = self._attachments[number]
                if attachment.is_repeat:
                    return
                call = attachment.progress.call
                details = body.get("details") or {}
                by = str(body.get("by", "gateway"))
                yield CallEvent(call, str(kind), _number(body, "position"), details, by)

    def _on_subscribed(self) -> Iterator[Item]:
        """The gateway has opened all it has: what it did not open, it has no more."""
        memory = self._known_gateway()
        here = {attachment.progress for attachment in self._attachments.values()}
        for session, progress in list(memory.calls.items()):
            if progress not in here:
                del memory.calls[session]
                yield from progress.lost()
        memory.has_subscribed = self.is_subscribed = True

    def _on_close(self, number: int, body: dict[str, Any]) -> Iterator[Item]:
        attachment = self._attachment(number)
        del self._attachments[number]
        if attachment.is_repeat:
            return
        end, books = _number(body, "position"), body.get("books") or {}
        progress = attachment.progress
        self._known_gateway().close(progress.call.session_id.lower(), end)
        verified = attachment.agrees(books.get("forwarded"), end)
        reason = str(body.get("reason", "unknown"))
        yield from progress.closed(reason, end, books, verified=verified)

    def _attachment(self, number: int) -> Attachment:
        try:
            return self._attachments[number]
        except KeyError:
            raise StreamError(f"a frame of call {number}, which is not open") from None

    def _known_gateway(self) -> Memory:
        if self.memory is None:
            raise StreamError("a frame before hello")
        return self.memory

    def _hello(self) -> bytes:
        hello: dict[str, Any] = {
            "stream": STREAM_NAME,
            "version": STREAM_VERSION,
            "role": "consumer",
            "name": self._settings.name,
            "capabilities": [],
        }
        if self._settings.token is not None:
            hello["token"] = self._settings.token
        return encode_frame(FrameKind.HELLO, CONNECTION, orjson.dumps(hello))

    def _subscribe(self, memory: Memory) -> bytes:
        # Calls that began while we were away are ours from their start.
        start = "start" if memory.has_subscribed else self._settings.start
        # A frame of ours has 256 KiB at most. What is left out is sent again, and left out here.
        resumed = list(memory.calls.items())[:MOST_RESUMED]
        subscribe = {
            "filter": self._settings.filter_as_json(),
            "start": start,
            "resume": {session: progress.position for session, progress in resumed},
            "done": list(memory.done)[-MOST_DONE:],
        }
        return encode_frame(FrameKind.SUBSCRIBE, CONNECTION, orjson.dumps(subscribe))


def _call(body: dict[str, Any]) -> Call:
    try:
        return Call(
            session_id=str(body["session"]),
            conversation_id=str(body["conversation"]),
            organization_id=str(body["organization"]),
            correlation_id=str(body.get("correlation", "")),
            key_name=str(body.get("key", "")),
            channels=cast("tuple[ChannelName, ...]", tuple(map(_channel_word, body["channels"]))),
            codec=str(body.get("codec", "")),
            rate=_number(body, "rate"),
            language=body.get("language"),
            opened_wall_seconds=float(body.get("opened") or 0.0),
            participant=_participant(body.get("participant")),
            facts=body,
        )
    except (KeyError, TypeError, ValueError):
        raise StreamError("an open frame lacks facts of its call") from None


def _participant(value: object) -> Participant | None:
    if not isinstance(value, dict):
        return None
    texts = {name: str(value.get(name) or "") for name in ("id", "ani", "ani_name", "dnis")}
    return Participant(**texts)


def _channel_word(word: str) -> str:
    return Channel.from_word(word).word


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise StreamError("a JSON frame whose body is not JSON") from None
    if not isinstance(value, dict):
        raise StreamError("a JSON frame whose body is no object")
    return value


def _number(body: dict[str, Any], name: str) -> int:
    value = body.get(name)
    if type(value) is not int or value < 0:
        raise StreamError(f"{name} is no whole number")
    return value


def _reason_word(reason: int) -> str:
    try:
        return GapReason(reason).word
    except ValueError:
        return f"reason-{reason}"


def _as_text(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    raise TypeError
