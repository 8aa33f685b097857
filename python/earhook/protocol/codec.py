"""Bytes from the peer to messages, and our messages to bytes.

Lenient in, strict out: unknown fields and unknown types pass, a broken envelope does not
(AudioHook protocol §12); what we write holds the fields of the protocol and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson

from earhook.errors import ProtocolViolation
from earhook.ids import SessionId, is_uuid

from .bodies import read_body
from .json_text import WireObject, read_object, whole_number
from .messages import (
    SERVER_TYPES,
    ClientMessage,
    Disconnect,
    Entity,
    EventBatch,
    MediaOffer,
    Opened,
    Reconnect,
    ServerBody,
)
from .position import format_samples, parse_samples

__all__ = ["VERSION", "decode_client", "encode_entity", "encode_event", "encode_server"]

VERSION: Final = "2"


def decode_client(text: bytes | bytearray | memoryview) -> ClientMessage:
    """Read one text frame of the peer.

    The envelope must be right in every field; of the bodies only `open` is fatal when its
    parameters are wrong (AudioHook protocol §4.1, §12). `text` is not kept.

    Raises:
        ProtocolViolation: The session cannot go on; the text names the rule and holds
            nothing of the message.
    """
    envelope = read_object(text)
    if envelope.get("version") != VERSION:
        raise ProtocolViolation('version is not "2"')
    session_id = envelope.get("id")
    if not isinstance(session_id, str) or not is_uuid(session_id):
        raise ProtocolViolation("id is not a UUID")
    parameters = envelope.get("parameters")
    if not isinstance(parameters, dict):
        raise ProtocolViolation("parameters is not an object")
    type_name = envelope.get("type")
    if not isinstance(type_name, str):
        raise ProtocolViolation("type is not a string")
    return ClientMessage(
        SessionId(session_id),
        _sequence_number(envelope, "seq"),
        _sequence_number(envelope, "serverseq"),
        _position(envelope),
        read_body(type_name, parameters),
    )


def encode_server(session_id: SessionId, seq: int, clientseq: int, body: ServerBody) -> bytes:
    """Write one text frame of ours; `parameters` is always there, empty or not."""
    return _envelope(session_id, seq, clientseq, SERVER_TYPES[type(body)], _parameters(body))


def encode_event(
    session_id: SessionId, seq: int, clientseq: int, entities: Sequence[bytes]
) -> bytes:
    """Write an `event` of entities that `encode_entity` wrote earlier, at least one."""
    fragments = [orjson.Fragment(entity) for entity in entities]
    return _envelope(session_id, seq, clientseq, SERVER_TYPES[EventBatch], {"entities": fragments})


def encode_entity(entity: Entity) -> bytes:
    """Write one entity ahead of time, so that its size is known.

    Raises:
        ProtocolViolation: It is not JSON.
    """
    try:
        return orjson.dumps({"type": entity.type, "data": entity.data})
    except TypeError:
        raise ProtocolViolation("an entity is not JSON") from None


def _envelope(
    session_id: SessionId, seq: int, clientseq: int, type_name: str, parameters: WireObject
) -> bytes:
    return orjson.dumps(
        {
            "version": VERSION,
            "type": str(type_name),
            "id": session_id,
            "seq": seq,
            "clientseq": clientseq,
            "parameters": parameters,
        }
    )


def _sequence_number(envelope: WireObject, name: str) -> int:
    number = whole_number(envelope.get(name))
    if number is None:
        raise ProtocolViolation(f"{name} is not a whole number")
    return number


def _position(envelope: WireObject) -> int:
    text = envelope.get("position")
    position = parse_samples(text) if isinstance(text, str) else None
    if position is None:
        raise ProtocolViolation("position is not a duration")
    return position


def _parameters(body: ServerBody) -> dict[str, Any]:
    match body:
        case Opened():
            return _opened_parameters(body)
        case Disconnect():
            written: dict[str, Any] = {"reason": body.reason.value}
            if body.info is not None:
                written["info"] = body.info
            if body.output_variables is not None:
                written["outputVariables"] = dict(body.output_variables)
            return written
        case EventBatch():
            return {"entities": [orjson.Fragment(encode_entity(item)) for item in body.entities]}
        case Reconnect():
            return {} if body.info is None else {"info": body.info}
        case _:
            return {}


def _opened_parameters(opened: Opened) -> dict[str, Any]:
    written: dict[str, Any] = {"media": []}
    if opened.media is not None:
        written["media"] = [_offer_parameters(opened.media)]
        written["startPaused"] = opened.start_paused
    if opened.discard_to is not None:
        written["discardTo"] = format_samples(opened.discard_to)
    if opened.supported_languages is not None:
        written["supportedLanguages"] = list(opened.supported_languages)
    return written


def _offer_parameters(offer: MediaOffer) -> dict[str, Any]:
    """Write a media object in the order and with exactly the fields that peers offer."""
    return {
        "type": "audio",
        "format": offer.codec.value,
        "channels": [channel.value for channel in offer.channels],
        "rate": offer.rate,
    }
