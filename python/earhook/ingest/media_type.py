"""What a `Content-Type` says of a body (RFC 9110 §8.3.1). Pure.

The parameters are those of the registrations: RFC 4856 for PCMU and PCMA, RFC 2586 for L16,
RFC 7587 for Opus packets, RFC 7845 for Opus in Ogg. The decoder follows this header and never
the payload.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from earhook.media.intake import StreamFormat

__all__ = ["ACCEPTED_TYPES", "Unsupported", "read_media_type"]

ACCEPTED_TYPES: Final = (
    "audio/PCMU",
    "audio/PCMA",
    "audio/L16",
    "audio/opus",
    "audio/ogg;codecs=opus",
)
"""What a sender may send, as `Accept-Post` lists it."""

OPUS_RATE: Final = 48_000
"""The clock of Opus, whatever was recorded or is played (RFC 7587 §4.1)."""


class Unsupported(StrEnum):
    """Why a `Content-Type` is not taken. The words go to the sender."""

    MISSING = "missing"
    MALFORMED = "malformed"
    TYPE = "type"
    RATE = "rate"
    CHANNELS = "channels"
    CODECS = "codecs"


def read_media_type(value: str | None) -> StreamFormat | Unsupported:
    """Read a `Content-Type`.

    Args:
        value: The header's value; None if there is none. Several lines of it, joined with
            commas, are malformed.
    """
    if value is None:
        return Unsupported.MISSING
    matched = _TYPE.match(value)
    if matched is None:
        return Unsupported.MALFORMED
    parameters = _read_parameters(value, matched.end())
    if parameters is None:
        return Unsupported.MALFORMED
    read = _READERS.get(matched[0].lower())
    return Unsupported.TYPE if read is None else read(parameters)


def _read_parameters(text: str, start: int) -> dict[str, str] | None:
    """Parameters by lower-case name; None if they are malformed or one is repeated.

    One at a time and never back: no text takes more than one pass.
    """
    parameters: dict[str, str] = {}
    while start < len(text):
        matched = _PARAMETER.match(text, start)
        if matched is None:
            return None
        start = matched.end()
        name, token, quoted = matched.groups()
        if name is None:
            continue  # RFC 9110 §5.6.6: a semicolon may be followed by nothing
        if name.lower() in parameters:
            return None
        parameters[name.lower()] = _ESCAPED.sub(r"\1", quoted) if token is None else token
    return parameters


def _read_g711(codec: str) -> Callable[[dict[str, str]], StreamFormat | Unsupported]:
    def read(parameters: dict[str, str]) -> StreamFormat | Unsupported:
        return _linear(codec, parameters.get("rate", "8000"), parameters)

    return read


def _read_l16(parameters: dict[str, str]) -> StreamFormat | Unsupported:
    # RFC 2586 §3 and RFC 4856 §2.1.14: without a rate there is no telling what L16 is.
    return _linear("L16BE", parameters.get("rate", ""), parameters)


def _linear(codec: str, rate: str, parameters: dict[str, str]) -> StreamFormat | Unsupported:
    if rate not in _RATES:
        return Unsupported.RATE
    channels = _CHANNELS.get(parameters.get("channels", "1"))
    if channels is None:
        return Unsupported.CHANNELS
    return StreamFormat(codec, channels, int(rate))


def _read_opus(parameters: dict[str, str]) -> StreamFormat | Unsupported:
    """`rate`, if it is there, is that of the recording or of the clock: both say nothing."""
    assumed = "2" if parameters.get("sprop-stereo") == "1" else "1"
    channels = _CHANNELS.get(parameters.get("channels", assumed))
    if channels is None:
        return Unsupported.CHANNELS
    return StreamFormat("OPUS", channels, OPUS_RATE)


def _read_ogg(parameters: dict[str, str]) -> StreamFormat | Unsupported:
    if parameters.get("codecs", "").strip().lower() != "opus":
        return Unsupported.CODECS
    channels = _CHANNELS.get(parameters.get("channels", "1"))
    if channels is None:
        return Unsupported.CHANNELS
    return StreamFormat("OGG", channels, OPUS_RATE)


_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105 - a rule of grammar
_QUOTED: Final = r'"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+)"'
_TYPE: Final = re.compile(f"{_TOKEN}/{_TOKEN}")
_PARAMETER: Final = re.compile(rf"[ \t]*+;[ \t]*+(?:({_TOKEN})=(?:({_TOKEN})|{_QUOTED}))?+[ \t]*+")
_ESCAPED: Final = re.compile(r"\\(.)")
_RATES: Final = frozenset(
    {"8000", "11025", "12000", "16000", "22050", "24000", "32000", "44100", "48000"}
)
_CHANNELS: Final = {"1": 1, "2": 2}
_READERS: Final[dict[str, Callable[[dict[str, str]], StreamFormat | Unsupported]]] = {
    "audio/pcmu": _read_g711("PCMU"),
    "audio/pcma": _read_g711("PCMA"),
    "audio/l16": _read_l16,
    "audio/opus": _read_opus,
    "audio/ogg": _read_ogg,
}
