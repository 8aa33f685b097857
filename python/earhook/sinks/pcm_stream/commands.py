"""What consumers may ask of a call: `command` frames read into values of the protocol. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from earhook.errors import CommandRefused
from earhook.media.g711 import encode_g711
from earhook.protocol.commands import (
    BargeIn,
    Command,
    Disconnect,
    Finish,
    Pause,
    Play,
    RelayEvent,
    Resume,
)
from earhook.protocol.messages import DisconnectReason, Entity

from .results import RESULTS

__all__ = ["COMMANDS", "WORDS", "Order", "read_command", "read_order", "result_body"]

MAX_ENTITIES: Final = 256
MAX_OUTPUT_VARIABLES: Final = 256


@dataclass(frozen=True, slots=True)
class Order:
    """The envelope of a `command`: what is asked, of which call, and the consumer's number."""

    word: str
    id: str | int | None
    session: str | None
    body: Mapping[str, Any]


def read_order(body: Mapping[str, Any]) -> Order:
    """Read the envelope.

    Raises:
        CommandRefused: `command`, `id` or `session` are not what they must be.
    """
    word, identifier, session = body.get("command"), body.get("id"), body.get("session")
    if not isinstance(word, str) or word not in WORDS:
        raise CommandRefused(f"command is one of {', '.join(WORDS)}")
    if isinstance(identifier, bool) or not isinstance(identifier, str | int | None):
        raise CommandRefused("id is a text or a whole number")
    if isinstance(identifier, str) and len(identifier) > 64:
        raise CommandRefused("id has at most 64 characters")
    if not isinstance(session, str | None):
        raise CommandRefused("session is a text")
    return Order(word, identifier, session, body)


def read_command(order: Order, codec: str) -> Command:
    """Read what is asked of the session.

    Args:
        order: The envelope with its body; the word is one of `COMMANDS`.
        codec: Of the call that is meant; audio to play is brought into it.

    Raises:
        CommandRefused: The body is not what the command asks for.
    """
    return COMMANDS[order.word](order.body, codec)


def result_body(order: Order, refusal: CommandRefused | None) -> dict[str, Any]:
    """The JSON of the `event` that answers a command."""
    result: dict[str, Any] = {
        "type": "command_result",
        "id": order.id,
        "command": order.word,
        "ok": refusal is None,
    }
    if refusal is not None:
        result["message"] = str(refusal)
    return result


def _disconnect(body: Mapping[str, Any], _codec: str) -> Command:
    reason = body.get("reason", DisconnectReason.COMPLETED.value)
    if reason not in tuple(DisconnectReason):
        raise CommandRefused(f"reason is one of {', '.join(DisconnectReason)}")
    text, variables = body.get("info"), body.get("output_variables")
    if not isinstance(text, str | None):
        raise CommandRefused("info is a text")
    if variables is not None and not _is_text_to_text(variables):
        raise CommandRefused("output_variables is an object of texts")
    return Disconnect(DisconnectReason(reason), text, variables)


def _event(body: Mapping[str, Any], _codec: str) -> Command:
    entities = body.get("entities")
    if not isinstance(entities, list) or not 0 < len(entities) <= MAX_ENTITIES:
        raise CommandRefused(f"entities is a list of 1 to {MAX_ENTITIES}")
    return RelayEvent(tuple(_entity(entity) for entity in entities))


def _entity(entity: object) -> Entity:
    if not isinstance(entity, dict) or not isinstance(entity.get("type"), str):
        raise CommandRefused('an entity is an object with "type" and "data"')
    return Entity(entity["type"], entity.get("data"))


def _play(body: Mapping[str, Any], codec: str) -> Command:
    encoding = body.get("encoding", "pcm")
    if encoding not in ("pcm", "wire"):
        raise CommandRefused('encoding is "pcm" or "wire"')
    try:
        audio = base64.b64decode(body.get("audio", ""), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise CommandRefused("audio is not base64") from None
    if not audio:
        raise CommandRefused("audio is empty")
    return Play(audio if encoding == "wire" else _encode(audio, codec))


def _encode(pcm: bytes, codec: str) -> bytes:
    if len(pcm) % 2:
        raise CommandRefused("audio of encoding pcm has two bytes per sample")
    if codec in ("PCMU", "PCMA"):
        return encode_g711(pcm, codec)
    if codec == "L16BE":
        swapped = bytearray(len(pcm))
        swapped[0::2], swapped[1::2] = pcm[1::2], pcm[0::2]
        return bytes(swapped)
    return pcm


def _is_text_to_text(value: object) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= MAX_OUTPUT_VARIABLES
        and all(isinstance(text, str) for text in value.values())
    )


COMMANDS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Command]]] = {
    "pause": lambda _body, _codec: Pause(),
    "resume": lambda _body, _codec: Resume(),
    "disconnect": _disconnect,
    "event": _event,
    "play": _play,
    "barge_in": lambda _body, _codec: BargeIn(),
    "finish": lambda _body, _codec: Finish(),
}
"""Every command that a session carries out, by its word."""

WORDS: Final = (*COMMANDS, RESULTS)
"""Every command. Results are for whoever listens; the session never hears of them."""
