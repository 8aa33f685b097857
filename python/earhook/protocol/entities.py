"""What an `event` may carry (AudioHook protocol §6): built from values, checked when relayed.

Unknown entity types pass as they are; of the known ones only sound ones leave the house.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from earhook.errors import CommandRefused
from earhook.ids import is_uuid

from .messages import Channel, Entity, JsonObject, JsonValue
from .position import format_samples, parse_nanoseconds

__all__ = [
    "BARGE_IN",
    "Alternative",
    "Disposition",
    "Token",
    "Transcript",
    "bot_turn_response",
    "check_entity",
    "transcript_entity",
]

BARGE_IN: Final = Entity("barge_in", {})
"""Makes the peer drop every byte of our audio that it has buffered (§6.3)."""


@dataclass(frozen=True, slots=True)
class Token:
    """One word. `start` is a position, so paused and discarded spans count."""

    value: str = field(repr=False)
    confidence: float
    start: int
    samples: int
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """One reading of an utterance."""

    confidence: float
    text: str = field(repr=False)
    tokens: tuple[Token, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """One utterance, partial or final; both share an id (§6.1)."""

    id: str
    channel: Channel
    is_final: bool
    alternatives: tuple[Alternative, ...]
    start: int | None = None
    samples: int | None = None


class Disposition(StrEnum):
    """How a bot understood a turn (§6.4)."""

    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    MATCH = "match"


def transcript_entity(transcript: Transcript, channels: Sequence[Channel]) -> Entity:
    """Write a transcript for the wire, where a channel is its index in the chosen media.

    Raises:
        CommandRefused: The session has no such channel.
    """
    if transcript.channel not in channels:
        raise CommandRefused(f"the session carries no {transcript.channel} channel")
    entity: dict[str, JsonValue] = {
        "id": transcript.id,
        "channelId": list(channels).index(transcript.channel),
        "isFinal": transcript.is_final,
        "alternatives": [_alternative(item) for item in transcript.alternatives],
    }
    if transcript.start is not None:
        entity["offset"] = format_samples(transcript.start)
    if transcript.samples is not None:
        entity["duration"] = format_samples(transcript.samples)
    return Entity("transcript", entity)


def bot_turn_response(
    disposition: Disposition, text: str | None = None, confidence: float | None = None
) -> Entity:
    """Write what a bot made of the caller's turn, for the peer's execution history."""
    turn: dict[str, JsonValue] = {"disposition": disposition.value}
    if text is not None:
        turn["text"] = text
    if confidence is not None:
        turn["confidence"] = confidence
    return Entity("bot_turn_response", turn)


def check_entity(entity: Entity, channel_count: int) -> None:
    """Make sure an entity may be sent.

    Raises:
        CommandRefused: It breaks §6; the text names the rule, and nothing of the content.
    """
    if not entity.type:
        raise CommandRefused("an entity has no type")
    check = _CHECKS.get(entity.type)
    if check is None:
        return
    if not isinstance(entity.data, Mapping):
        raise CommandRefused(f"the data of a {entity.type} is no object")
    check(entity.data, channel_count)


def _alternative(alternative: Alternative) -> JsonValue:
    interpretation: dict[str, JsonValue] = {"type": "display", "transcript": alternative.text}
    if alternative.tokens:
        interpretation["tokens"] = [_token(token) for token in alternative.tokens]
    written: dict[str, JsonValue] = {
        "confidence": alternative.confidence,
        "interpretations": [interpretation],
    }
    if alternative.languages:
        written["languages"] = list(alternative.languages)
    return written


def _token(token: Token) -> JsonValue:
    written: dict[str, JsonValue] = {
        "type": "word",
        "value": token.value,
        "confidence": token.confidence,
        "offset": format_samples(token.start),
        "duration": format_samples(token.samples),
    }
    if token.language is not None:
        written["language"] = token.language
    return written


def _check_transcript(entity: JsonObject, channel_count: int) -> None:
    identifier, channel = entity.get("id"), entity.get("channelId")
    _require(isinstance(identifier, str) and is_uuid(identifier), "a transcript's id is no UUID")
    _require(
        type(channel) is int and 0 <= channel < channel_count,
        "a transcript's channelId is no index into the session's channels",
    )
    _require(isinstance(entity.get("isFinal"), bool), "a transcript does not say isFinal")
    _check_spans(entity, required=False)
    alternatives = entity.get("alternatives")
    for alternative in _objects(alternatives, "a transcript's alternatives are no list"):
        _check_confidence(alternative)
        interpretations = alternative.get("interpretations")
        for item in _objects(interpretations, "an alternative has no interpretations"):
            _check_interpretation(item)


def _check_interpretation(item: JsonObject) -> None:
    _require(item.get("type") == "display", "an interpretation's type is not display")
    _require(isinstance(item.get("transcript"), str), "an interpretation has no transcript")
    for token in _objects(item.get("tokens", ()), "an interpretation's tokens are no list"):
        _require(token.get("type") == "word", "a token's type is not word")
        _require(isinstance(token.get("value"), str), "a token has no value")
        _check_confidence(token)
        _check_spans(token, required=True)


def _check_bot_turn(entity: JsonObject, _channel_count: int) -> None:
    known = [disposition.value for disposition in Disposition]
    _require(entity.get("disposition") in known, "a bot_turn_response has no known disposition")
    _require(isinstance(entity.get("text", ""), str), "a bot_turn_response's text is no text")
    if "confidence" in entity:
        _check_confidence(entity)


def _check_barge_in(entity: JsonObject, _channel_count: int) -> None:
    _require(not entity, "a barge_in carries nothing")


def _check_confidence(entity: JsonObject) -> None:
    confidence = entity.get("confidence")
    is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    _require(is_number and 0 <= confidence <= 1, "a confidence is not between 0 and 1")  # type: ignore[operator]


def _check_spans(entity: JsonObject, *, required: bool) -> None:
    for name in ("offset", "duration"):
        if name not in entity and not required:
            continue
        text = entity.get(name)
        is_duration = isinstance(text, str) and parse_nanoseconds(text) is not None
        _require(is_duration, f"an {name} is no duration")


def _objects(value: JsonValue, rule: str) -> Sequence[JsonObject]:
    if not isinstance(value, list | tuple):
        raise CommandRefused(rule)
    objects = [item for item in value if isinstance(item, Mapping)]
    _require(len(objects) == len(value), rule)
    return objects


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise CommandRefused(rule)


_CHECKS: Final[Mapping[str, Callable[[JsonObject, int], None]]] = {
    "transcript": _check_transcript,
    "barge_in": _check_barge_in,
    "bot_turn_response": _check_bot_turn,
}
