"""What the Genesys side says and what it accepts, checked more strictly than any server needs.

Nothing here is shared with the gateway's own messages on purpose: a fault in how the gateway
writes a message must not be excused by the same fault in how the peer reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson

from earhook.ids import is_uuid

__all__ = [
    "Envelope",
    "Objection",
    "ServerMessage",
    "Terms",
    "duration_of_samples",
    "duration_of_seconds",
    "encode_message",
    "read_server_message",
    "samples_of_duration",
]

RATE: Final = 8000
LIMIT_CHARACTERS: Final = 65_535
"""Genesys refuses longer text messages with error 413 (AudioHook protocol §11.3)."""


class ServerMessage(NamedTuple):
    """One valid message of the server."""

    type: str
    seq: int
    clientseq: int
    parameters: Mapping[str, Any]


class Objection(Exception):
    """The server broke a rule.

    Attributes:
        code: What the peer reports in its `error` message.
        fatal: Whether the peer ends the call over it.
    """

    def __init__(self, code: int, text: str, *, fatal: bool = True) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fatal = fatal


class Terms(NamedTuple):
    """What a server message is checked against: the state of the conversation so far."""

    session_id: str
    last_server_seq: int
    last_clientseq: int
    last_client_seq: int
    offers: Sequence[Mapping[str, Any]]
    selected_channels: int
    asked_languages: bool
    takes_variables: bool


class Envelope(NamedTuple):
    """What every client message carries beside its type and parameters."""

    session_id: str
    seq: int
    position: int
    serverseq: int


def encode_message(kind: str, parameters: Mapping[str, Any], envelope: Envelope) -> bytes:
    """One client message, in the key order of real traffic (AudioHook protocol §4.1)."""
    return orjson.dumps(
        {
            "version": "2",
            "id": envelope.session_id,
            "type": kind,
            "seq": envelope.seq,
            "position": duration_of_samples(envelope.position),
            "parameters": parameters,
            "serverseq": envelope.serverseq,
        }
    )


def read_server_message(text: bytes, terms: Terms) -> ServerMessage:
    """Check one text message of the server from the envelope to the last parameter.

    Raises:
        Objection: A rule was broken; the text names it.
    """
    if len(text) > LIMIT_CHARACTERS and len(text.decode(errors="replace")) > LIMIT_CHARACTERS:
        raise Objection(413, "message too large")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Objection(400, f"not JSON: {error}") from None
    if not isinstance(message, dict):
        raise Objection(400, "not a JSON object")
    _check_envelope(message, terms)
    check = _PARAMETERS.get(message["type"])
    if check is None:
        raise Objection(400, f"unknown message type {message['type']!r}")
    check(message["parameters"], terms)
    return ServerMessage(
        message["type"], message["seq"], message["clientseq"], message["parameters"]
    )


def duration_of_samples(samples: int) -> str:
    """Stream time as Genesys writes it: `PT0.0S`, `PT12.345S`. Exact."""
    whole, rest = divmod(samples, RATE)
    return _trimmed(f"{whole}.{rest * 125:06d}")


def duration_of_seconds(seconds: float) -> str:
    """A measured time with nine decimals at most, never with an exponent."""
    return _trimmed(f"{max(seconds, 0.0):.9f}")


def samples_of_duration(text: object) -> int:
    """Whole samples within a duration.

    Raises:
        Objection: `text` is no duration of the protocol's grammar (§4.3).
    """
    if not isinstance(text, str) or _DURATION.fullmatch(text) is None:
        raise Objection(400, f"not a duration: {text!r}")
    return int(Decimal(text[2:-1]) * RATE)


def _trimmed(decimal: str) -> str:
    trimmed = decimal.rstrip("0")
    return f"PT{trimmed}0S" if trimmed.endswith(".") else f"PT{trimmed}S"


_ENVELOPE: Final = {"version", "id", "type", "seq", "clientseq", "parameters"}
_DURATION: Final = re.compile(r"PT(?:\d*\.)?\d+S", re.ASCII)
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9-]{2,35}", re.ASCII)


def _check_envelope(message: dict[str, Any], terms: Terms) -> None:
    if missing := _ENVELOPE - message.keys():
        raise Objection(400, f"missing {', '.join(sorted(missing))}")
    if extra := message.keys() - _ENVELOPE:
        raise Objection(400, f"unknown field {', '.join(sorted(extra))}")
    if message["version"] != "2":
        raise Objection(400, f"version is {message['version']!r}, not '2'")
    if message["id"] != terms.session_id:
        raise Objection(400, "session identifier mismatch")
    if not isinstance(message["type"], str):
        raise Objection(400, "type is no string")
    if not isinstance(message["parameters"], dict):
        raise Objection(400, "parameters is no object")
    _check_numbers(message["seq"], message["clientseq"], terms)


def _check_numbers(seq: object, clientseq: object, terms: Terms) -> None:
    if type(seq) is not int or type(clientseq) is not int:
        raise Objection(400, "seq or clientseq is no integer")
    if seq != terms.last_server_seq + 1:
        expected = terms.last_server_seq + 1
        raise Objection(400, f"expected sequence {expected} but received sequence {seq}")
    if not terms.last_clientseq <= clientseq <= terms.last_client_seq:
        raise Objection(
            400, f"clientseq {clientseq} not in {terms.last_clientseq}..{terms.last_client_seq}"
        )


def _check_fields(
    value: Mapping[str, Any], required: Mapping[str, type], optional: Mapping[str, type]
) -> None:
    for name, kind in required.items():
        if name not in value:
            raise Objection(400, f"parameter {name} is missing")
        _check_type(name, value[name], kind)
    for name, given in value.items():
        if name not in required and name not in optional:
            raise Objection(400, f"unrecognized field {name!r}")
        if name in optional:
            _check_type(name, given, optional[name])


def _check_type(name: str, value: object, kind: type) -> None:
    right = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
    if not right and not (kind is float and type(value) is int):
        raise Objection(400, f"{name} is no {kind.__name__}")


def _nothing(parameters: Mapping[str, Any], _terms: Terms) -> None:
    _check_fields(parameters, {}, {})


def _opened(parameters: Mapping[str, Any], terms: Terms) -> None:
    optional = {"discardTo": str, "startPaused": bool}
    if terms.asked_languages:
        optional["supportedLanguages"] = list
    _check_fields(parameters, {"media": list}, optional)
    media = parameters["media"]
    if len(media) > 1:
        raise Objection(400, "More than one media selected")
    if media and not any(_same(media[0], offer) for offer in terms.offers):
        raise Objection(400, "Selected media not one of the offered")
    if "discardTo" in parameters:
        samples_of_duration(parameters["discardTo"])
    for language in parameters.get("supportedLanguages", ()):
        _check_language(language)


def _same(selected: object, offer: Mapping[str, Any]) -> bool:
    # Types count too: in Python 8000 == 8000.0 and 1 == True.
    return selected == offer and orjson.dumps(
        selected, option=orjson.OPT_SORT_KEYS
    ) == orjson.dumps(dict(offer), option=orjson.OPT_SORT_KEYS)


def _disconnect(parameters: Mapping[str, Any], terms: Terms) -> None:
    optional: dict[str, type] = {"info": str}
    if terms.takes_variables:
        optional["outputVariables"] = dict
    _check_fields(parameters, {"reason": str}, optional)
    if parameters["reason"] not in {"completed", "unauthorized", "error"}:
        raise Objection(400, f"disconnect reason {parameters['reason']!r}")
    for name, value in parameters.get("outputVariables", {}).items():
        _check_type(f"outputVariables.{name}", value, str)


def _reconnect(parameters: Mapping[str, Any], _terms: Terms) -> None:
    _check_fields(parameters, {}, {"info": str})


def _event(parameters: Mapping[str, Any], terms: Terms) -> None:
    _check_fields(parameters, {"entities": list}, {})
    if not parameters["entities"]:
        raise Objection(500, "event without entities")
    for entity in parameters["entities"]:
        if not isinstance(entity, dict) or entity.keys() != {"type", "data"}:
            raise Objection(400, "an entity is {type, data}")
        _check_type("entity.type", entity["type"], str)
        if entity["type"] == "transcript":
            _transcript(entity["data"], terms)
        elif entity["type"] == "barge_in" and entity["data"] != {}:
            raise Objection(400, "barge_in carries no data")


def _transcript(transcript: object, terms: Terms) -> None:
    if not isinstance(transcript, dict):
        raise Objection(400, "transcript is no object")
    _check_fields(
        transcript,
        {"id": str, "channelId": int, "isFinal": bool, "alternatives": list},
        {"offset": str, "duration": str},
    )
    if not is_uuid(transcript["id"]):
        raise Objection(400, "transcript.id is no UUID")
    if not 0 <= transcript["channelId"] < max(terms.selected_channels, 1):
        raise Objection(400, "transcript.channelId is no index into the selected channels")
    _check_durations(transcript)
    for alternative in transcript["alternatives"]:
        _check_type("alternative", alternative, dict)
        _check_fields(
            alternative, {"confidence": float, "interpretations": list}, {"languages": list}
        )
        _check_confidence(alternative["confidence"])
        for language in alternative.get("languages", ()):
            _check_language(language)
        for interpretation in alternative["interpretations"]:
            _interpretation(interpretation)


def _interpretation(interpretation: object) -> None:
    if not isinstance(interpretation, dict):
        raise Objection(400, "interpretation is no object")
    _check_fields(interpretation, {"type": str, "transcript": str}, {"tokens": list})
    if interpretation["type"] not in {"display", "normalized"}:
        raise Objection(400, f"interpretation type {interpretation['type']!r}")
    for token in interpretation.get("tokens", ()):
        _check_type("token", token, dict)
        _check_fields(
            token,
            {"type": str, "value": str, "confidence": float, "offset": str, "duration": str},
            {"language": str},
        )
        _check_confidence(token["confidence"])
        _check_durations(token)


def _check_durations(value: Mapping[str, Any]) -> None:
    for name in ("offset", "duration"):
        if name in value:
            samples_of_duration(value[name])


def _check_confidence(value: float) -> None:
    if not 0 <= value <= 1:
        raise Objection(400, f"confidence {value} not in 0..1")


def _check_language(value: object) -> None:
    if not isinstance(value, str) or _LANGUAGE.fullmatch(value) is None:
        raise Objection(400, f"not a language: {value!r}")


_PARAMETERS: Final[dict[str, Callable[[Mapping[str, Any], Terms], None]]] = {
    "opened": _opened,
    "pong": _nothing,
    "closed": _nothing,
    "pause": _nothing,
    "resume": _nothing,
    "updated": _nothing,
    "disconnect": _disconnect,
    "event": _event,
    "reconnect": _reconnect,
}
