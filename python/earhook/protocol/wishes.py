"""Checking and encoding what the house wishes to send, before it touches the session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from earhook.errors import CommandRefused, ProtocolViolation

from .codec import encode_entity
from .commands import Disconnect, Drain, RelayEvent
from .entities import Transcript, check_entity, transcript_entity
from .events import Ending
from .messages import Channel, DisconnectReason
from .opening import Parting
from .playback import Playback
from .settings import Product

__all__ = ["check_audio", "encode_entities", "parting_of"]

MAX_INFO_CHARACTERS: Final = 256
MAX_VARIABLES_BYTES: Final = 32 * 1024


def encode_entities(command: RelayEvent, channels: Sequence[Channel]) -> list[bytes]:
    """Write the entities of a command for the wire.

    Raises:
        CommandRefused: There are none, or one of them may not be sent (§5.13, §6).
    """
    if not command.entities:
        # An empty list crashes the vendor's own client.
        raise CommandRefused("an event needs at least one entity")
    encoded = []
    for item in command.entities:
        entity = transcript_entity(item, channels) if isinstance(item, Transcript) else item
        check_entity(entity, len(channels))
        try:
            encoded.append(encode_entity(entity))
        except ProtocolViolation as fault:
            raise CommandRefused(str(fault)) from None
    return encoded


def parting_of(command: Disconnect | Drain, product: Product) -> Parting:
    """Turn a wish for the end into what is sent and remembered.

    Raises:
        CommandRefused: Output variables for a product that has none, or not string to
            string, or too large (§5.7).
    """
    if isinstance(command, Drain):
        # A bot's flow must take its failure path; for a monitored call the end is no fault.
        is_bot = product is Product.CONNECTOR
        reason = DisconnectReason.ERROR if is_bot else DisconnectReason.COMPLETED
        detail = "the gateway is shutting down"
        return Parting(reason, Ending.DISCONNECTED, detail, detail)
    variables = command.output_variables
    if variables is not None:
        _check_variables(variables, product)
    info = None if command.info is None else command.info[:MAX_INFO_CHARACTERS]
    if info is not None and not _is_json(info):
        raise CommandRefused("the info of a disconnect is not valid text")
    detail = f"disconnect: {command.reason.value}"
    return Parting(command.reason, Ending.DISCONNECTED, detail, info, variables)


def check_audio(product: Product, playback: Playback, audio: bytes = b"") -> None:
    """Make sure that audio may be sent to the caller.

    Raises:
        CommandRefused: Not an Audio Connector, whose peers alone bear binary frames (§9.5);
            or not whole samples; or no room for it.
    """
    if product is not Product.CONNECTOR:
        raise CommandRefused("audio can be sent to Audio Connector sessions only")
    if not playback.is_whole(audio):
        raise CommandRefused("the audio is not a whole number of samples")
    if not playback.fits(audio):
        raise CommandRefused("too much audio waits to be sent already")


def _check_variables(variables: Mapping[str, str], product: Product) -> None:
    if product is not Product.CONNECTOR:
        raise CommandRefused("output variables exist in Audio Connector sessions only")
    texts = [*variables.keys(), *variables.values()]
    if not all(isinstance(text, str) and _is_json(text) for text in texts):
        raise CommandRefused("output variables map strings to strings")
    if len(orjson.dumps(dict(variables))) > MAX_VARIABLES_BYTES:
        raise CommandRefused("the output variables are too large")


def _is_json(text: str) -> bool:
    """Whether text survives UTF-8: a lone surrogate does not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
