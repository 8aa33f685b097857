"""The JSON of the stream: what consumers say, checked; what we say, built. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import orjson

from earhook import __version__
from earhook.errors import StreamError
from earhook.media.feed import Books, books_as_json
from earhook.media.format import Channel
from earhook.media.stream import CONNECTION, STREAM_VERSION, FrameKind, encode_frame
from earhook.ops.redaction import printable
from earhook.sinks.base import CallEvent, LiveCall

from .subscription import Filter, Share, Start, Subscription

__all__ = [
    "STREAM_NAME",
    "CloseCode",
    "ObjectionError",
    "call_close_frame",
    "connection_close_frame",
    "event_body",
    "gateway_hello_frame",
    "json_frame",
    "open_frame",
    "read_consumer_hello",
    "read_object",
    "read_subscribe",
    "subscribed_frame",
]

STREAM_NAME: Final = "earhook-pcm"
MAX_FILTER_VALUES: Final = 1024
MAX_FILTER_VALUE_CHARACTERS: Final = 256
MAX_POSITION: Final = 2**63 - 1
MAX_SHARES: Final = 1024
_FILTER_KEYS: Final = frozenset(
    {"organizations", "conversations", "sessions", "keys", "channels", "share"}
)


class CloseCode(StrEnum):
    """Why the gateway ends a connection: the `code` of a `close` with call 0."""

    BAD_FRAME = "bad_frame"
    """Bytes that are no frames."""
    BAD_MESSAGE = "bad_message"
    """A frame whose JSON is not what its kind asks for."""
    UNEXPECTED_FRAME = "unexpected_frame"
    """A frame that consumers do not send, or not now."""
    UNSUPPORTED_VERSION = "unsupported_version"
    UNAUTHORIZED = "unauthorized"
    HELLO_TIMEOUT = "hello_timeout"
    TOO_MANY_SUBSCRIBERS = "too_many_subscribers"
    CONTROL_BACKLOG = "control_backlog"
    """Too much JSON waits for a consumer that does not read."""
    STUCK = "stuck"
    """The consumer took nothing for too long."""
    FAULT = "fault"
    """A defect of the gateway."""
    STOPPING = "stopping"
    """The gateway ends. Nothing is wrong with the consumer."""


class ObjectionError(StreamError):
    """A consumer broke a rule; `code` and text go into the `close` that ends its connection."""

    def __init__(self, code: CloseCode, text: str) -> None:
        super().__init__(text)
        self.code = code


def json_frame(kind: FrameKind, call: int, body: Mapping[str, Any]) -> bytes:
    """Encode a JSON frame. What JSON does not know is written as text."""
    return encode_frame(kind, call, orjson.dumps(body, default=_plain))


def gateway_hello_frame(instance: str, *, commands: bool) -> bytes:
    """What the gateway says first. `instance` differs from process to process."""
    hello = {
        "stream": STREAM_NAME,
        "version": STREAM_VERSION,
        "role": "gateway",
        "name": f"earhook/{__version__}",
        "instance": instance,
        "capabilities": ["resume", "commands"] if commands else ["resume"],
    }
    return json_frame(FrameKind.HELLO, CONNECTION, hello)


def open_frame(number: int, call: LiveCall, channels: tuple[int, ...], position: int) -> bytes:
    """Announce a call: its facts, personal ones included, and where its audio begins."""
    facts = call.facts.as_json(personal=True)
    facts["negotiated_channels"] = facts["channels"]
    facts["channels"] = [Channel(channel).word for channel in channels]
    facts["position"] = position
    return json_frame(FrameKind.OPEN, number, facts)


def call_close_frame(number: int, call: LiveCall, books: Books, end: int) -> bytes:
    """End a call: `end` is the position after its last sample, the books are of this reader."""
    outcome = call.outcome
    body = {
        "reason": "unknown" if outcome is None else outcome.reason,
        "position": end,
        "books": books_as_json(books),
    }
    return json_frame(FrameKind.CLOSE, number, body)


def connection_close_frame(code: CloseCode, message: str) -> bytes:
    """End the connection."""
    return json_frame(FrameKind.CLOSE, CONNECTION, {"code": code.value, "message": message})


def event_body(event: CallEvent) -> bytes:
    """The JSON of an `event`; the same for every consumer."""
    body = {"type": event.kind, "position": event.position, "details": dict(event.details)}
    if event.by != "gateway":
        body["by"] = event.by
    return orjson.dumps(body, default=_plain)


def subscribed_frame(calls: int) -> bytes:
    """Say that `subscribe` has been carried out: all calls that there were have been opened."""
    return json_frame(FrameKind.EVENT, CONNECTION, {"type": "subscribed", "calls": calls})


def read_object(body: bytes, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ObjectionError: It is none.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ObjectionError(CloseCode.BAD_MESSAGE, f"the body of {what} is not JSON") from None
    if not isinstance(value, dict):
        raise ObjectionError(CloseCode.BAD_MESSAGE, f"the body of {what} is no JSON object")
    return value


def read_consumer_hello(body: bytes) -> tuple[str, str | None]:
    """Read a consumer's `hello`.

    Returns:
        The consumer's name as it may be printed, and its token, if it shows one.

    Raises:
        ObjectionError: It is no hello of a consumer, or of no version that we speak.
    """
    hello = read_object(body, "hello")
    if hello.get("stream") != STREAM_NAME or hello.get("role") != "consumer":
        text = f'hello needs "stream": "{STREAM_NAME}" and "role": "consumer"'
        raise ObjectionError(CloseCode.BAD_MESSAGE, text)
    version = hello.get("version")
    if type(version) is not int or version < STREAM_VERSION:
        # A later consumer sees our version in our hello and speaks it, or leaves.
        text = f"this gateway speaks version {STREAM_VERSION}"
        raise ObjectionError(CloseCode.UNSUPPORTED_VERSION, text)
    name, token = hello.get("name", ""), hello.get("token")
    if not isinstance(name, str) or not isinstance(token, str | None):
        raise ObjectionError(CloseCode.BAD_MESSAGE, "name and token of hello are texts")
    return printable(name, 64), token


def read_subscribe(body: bytes) -> Subscription:
    """Read a consumer's `subscribe`.

    Raises:
        ObjectionError: It breaks a rule. An unknown key of the filter does too: left out,
            it would let more calls through than the consumer asked for.
    """
    subscribe = read_object(body, "subscribe")
    start = subscribe.get("start", Start.START.value)
    if start not in tuple(Start):
        raise ObjectionError(CloseCode.BAD_MESSAGE, 'start is "start" or "now"')
    return Subscription(
        filter=_read_filter(subscribe.get("filter", {})),
        start=Start(start),
        resume=_read_resume(subscribe.get("resume", {})),
        done=_read_words(subscribe.get("done", []), "done", most=1 << 16),
    )


def _read_filter(value: object) -> Filter:
    if not isinstance(value, dict):
        raise ObjectionError(CloseCode.BAD_MESSAGE, "filter is no object")
    unknown = value.keys() - _FILTER_KEYS
    if unknown:
        names = printable(", ".join(sorted(unknown)))
        raise ObjectionError(CloseCode.BAD_MESSAGE, f"filter has no key {names}")
    lowered = {
        name: _read_words(value.get(name, []), f"filter.{name}")
        for name in ("organizations", "conversations", "sessions")
    }
    return Filter(
        **lowered,
        keys=_read_words(value.get("keys", []), "filter.keys", fold=False),
        channels=_read_channels(value.get("channels", [])),
        share=_read_share(value.get("share")),
    )


def _read_share(value: object) -> Share | None:
    if value is None:
        return None
    if isinstance(value, dict) and value.keys() == {"number", "of"}:
        number, of = value["number"], value["of"]
        if type(number) is int and type(of) is int and 0 <= number < of <= MAX_SHARES:
            return Share(number, of)
    text = f"filter.share is an object of number and of: 0 <= number < of <= {MAX_SHARES}"
    raise ObjectionError(CloseCode.BAD_MESSAGE, text)


def _read_channels(value: object) -> tuple[int, ...]:
    words = _read_words(value, "filter.channels")
    try:
        channels = sorted(Channel.from_word(word) for word in words)
    except ValueError:
        text = 'filter.channels holds "external" and "internal" only'
        raise ObjectionError(CloseCode.BAD_MESSAGE, text) from None
    return tuple(channels) or tuple(Channel)


def _read_resume(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ObjectionError(CloseCode.BAD_MESSAGE, "resume is no object")
    for position in value.values():
        if type(position) is not int or not 0 <= position <= MAX_POSITION:
            text = f"positions in resume are whole numbers from 0 to {MAX_POSITION}"
            raise ObjectionError(CloseCode.BAD_MESSAGE, text)
    return {session.lower(): position for session, position in value.items()}


def _read_words(
    value: object, where: str, *, most: int = MAX_FILTER_VALUES, fold: bool = True
) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > most:
        raise ObjectionError(CloseCode.BAD_MESSAGE, f"{where} is no list of at most {most} texts")
    for word in value:
        if not isinstance(word, str) or not 0 < len(word) <= MAX_FILTER_VALUE_CHARACTERS:
            text = f"{where} holds texts of 1 to {MAX_FILTER_VALUE_CHARACTERS} characters"
            raise ObjectionError(CloseCode.BAD_MESSAGE, text)
    return frozenset(word.lower() if fold else word for word in value)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
