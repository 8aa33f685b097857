"""Reading `parameters`: one small reader for each type of message from the peer.

Only `open` is fatal when its parameters are wrong; a reader answers None where they say
nothing that can be used (AudioHook protocol §12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from earhook.errors import ProtocolViolation
from earhook.ids import ConversationId, OrganizationId, SessionId, is_uuid

from .json_text import WireObject, whole_number
from .messages import (
    Channel,
    ClientBody,
    ClientType,
    Close,
    CloseReason,
    Codec,
    ContinuedSession,
    Discarded,
    Dtmf,
    MediaOffer,
    Open,
    Participant,
    Paused,
    PeerErrorReport,
    Ping,
    PlaybackCompleted,
    PlaybackStarted,
    Resumed,
    Span,
    Unknown,
    Unusable,
    Update,
)
from .position import SAMPLE_RATE, parse_nanoseconds, parse_samples

__all__ = ["read_body"]

MAX_OFFERS: Final = 16
MAX_CONTINUED: Final = 16


def read_body(type_name: str, parameters: WireObject) -> ClientBody:
    """Read the parameters of one message.

    Raises:
        ProtocolViolation: It is an `open` that cannot be understood.
    """
    read = _BODIES.get(type_name)
    if read is None:
        return Unknown()
    return read(parameters) or Unusable(ClientType(type_name))


def _open(parameters: WireObject) -> Open:
    media = parameters.get("media")
    if not isinstance(media, list):
        raise ProtocolViolation("open: media is not an array")
    offers = [offer for offer in map(_offer, media[:MAX_OFFERS]) if offer is not None]
    return Open(
        organization_id=OrganizationId(_required_uuid(parameters, "organizationId")),
        conversation_id=ConversationId(_required_uuid(parameters, "conversationId")),
        participant=_participant(parameters.get("participant")),
        offers=tuple(offers),
        language=_language(parameters.get("language")),
        wants_languages=parameters.get("supportedLanguages") is True,
        continued_sessions=_continued(parameters.get("continuedSessions")),
        custom_config=_object(parameters.get("customConfig")),
        input_variables=_variables(parameters.get("inputVariables")),
    )


def _offer(media: object) -> MediaOffer | None:
    """An offer that we could accept, or None: formats unknown to us may come one day."""
    if not isinstance(media, dict) or media.get("type") != "audio":
        return None
    codec, channels, rate = media.get("format"), media.get("channels"), media.get("rate")
    if codec not in _CODECS or whole_number(rate) != SAMPLE_RATE:
        return None
    if not isinstance(channels, list) or channels not in _CHANNEL_LISTS:
        return None
    return MediaOffer(Codec(codec), tuple(Channel(channel) for channel in channels))


def _participant(value: object) -> Participant:
    if not isinstance(value, dict):
        raise ProtocolViolation("open: participant is not an object")
    texts = []
    for name in ("ani", "aniName", "dnis"):
        text = value.get(name)
        if not isinstance(text, str):
            raise ProtocolViolation(f"open: participant.{name} is not a string")
        texts.append(text)
    return Participant(_required_uuid(value, "id"), *texts)


def _required_uuid(parameters: WireObject, name: str) -> str:
    value = parameters.get(name)
    if not isinstance(value, str) or not is_uuid(value):
        raise ProtocolViolation(f"open: {name} is not a UUID")
    return value


def _language(value: object) -> str | None:
    return value if isinstance(value, str) and _LANGUAGE.fullmatch(value) else None


def _continued(value: object) -> tuple[ContinuedSession, ...]:
    items = value[:MAX_CONTINUED] if isinstance(value, list) else []
    sessions = [_continued_session(item) for item in items if isinstance(item, dict)]
    return tuple(session for session in sessions if session is not None)


def _continued_session(item: WireObject) -> ContinuedSession | None:
    session_id = item.get("id")
    serverseq = whole_number(item.get("serverseq"))
    clientseq = whole_number(item.get("clientseq"))
    if not isinstance(session_id, str) or not is_uuid(session_id):
        return None
    if serverseq is None or clientseq is None:
        return None
    return ContinuedSession(SessionId(session_id), serverseq, clientseq)


def _object(value: object) -> WireObject | None:
    return value if isinstance(value, dict) else None


def _variables(value: object) -> Mapping[str, str] | None:
    if not isinstance(value, dict):
        return None
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _ping(parameters: WireObject) -> Ping:
    return Ping(_nanoseconds(parameters.get("rtt")))


def _nanoseconds(value: object) -> int | None:
    return parse_nanoseconds(value) if isinstance(value, str) else None


def _close(parameters: WireObject) -> Close:
    reason = parameters.get("reason")
    return Close(CloseReason(reason) if reason in _CLOSE_REASONS else CloseReason.OTHER)


def _span(parameters: WireObject) -> Span | None:
    start, discarded = parameters.get("start"), parameters.get("discarded")
    if not isinstance(start, str) or not isinstance(discarded, str):
        return None
    start_samples, discarded_samples = parse_samples(start), parse_samples(discarded)
    if start_samples is None or discarded_samples is None:
        return None
    return Span(start_samples, discarded_samples)


def _resumed(parameters: WireObject) -> Resumed:
    # Without usable figures it still means that audio flows: ignoring it would lose the
    # rest of the call.
    return Resumed(_span(parameters))


def _discarded(parameters: WireObject) -> Discarded | None:
    span = _span(parameters)
    return None if span is None else Discarded(span)


def _update(parameters: WireObject) -> Update:
    return Update(_language(parameters.get("language")))


def _error(parameters: WireObject) -> PeerErrorReport | None:
    code, text = whole_number(parameters.get("code")), parameters.get("message")
    if code is None or not isinstance(text, str):
        return None
    return PeerErrorReport(code, text, _nanoseconds(parameters.get("retryAfter")))


def _dtmf(parameters: WireObject) -> Dtmf | None:
    digit = parameters.get("digit")
    return Dtmf(digit) if isinstance(digit, str) and _DIGIT.fullmatch(digit) else None


_BODIES: Final[Mapping[str, Callable[[WireObject], ClientBody | None]]] = {
    ClientType.OPEN: _open,
    ClientType.PING: _ping,
    ClientType.CLOSE: _close,
    ClientType.PAUSED: lambda _: Paused(),
    ClientType.RESUMED: _resumed,
    ClientType.DISCARDED: _discarded,
    ClientType.UPDATE: _update,
    ClientType.ERROR: _error,
    ClientType.DTMF: _dtmf,
    ClientType.PLAYBACK_STARTED: lambda _: PlaybackStarted(),
    ClientType.PLAYBACK_COMPLETED: lambda _: PlaybackCompleted(),
}

_CODECS: Final = [codec.value for codec in Codec]
_CHANNEL_LISTS: Final = [
    ["external", "internal"],
    ["internal", "external"],
    ["external"],
    ["internal"],
]
_CLOSE_REASONS: Final = ["end", "error", "disconnect", "reconnect"]
# Wider than any BCP 47 tag in use; real tags come in lower case (§4.3).
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9-]{2,35}")
_DIGIT: Final = re.compile(r"[0-9*#A-Da-d]")
