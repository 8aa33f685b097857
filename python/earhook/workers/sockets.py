"""Listening sockets, a set for each slot, kept open for ever by the process that made them.

The kernel spreads connections over all sockets of a port (SO_REUSEPORT, socket(7)). Those of a slot
whose worker is dead wait in its backlog until another one takes them, so nobody is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from earhook.config.schema import Configuration
from earhook.edge.accept import listen
from earhook.errors import ConfigurationError, ConfigurationFault

__all__ = ["SlotSockets", "close_slot", "listen_for_slots", "places_of"]

SlotSockets: TypeAlias = Mapping[str, Sequence[socket.socket]]
"""What one slot listens on, by door."""


def places_of(configuration: Configuration) -> dict[str, tuple[str, int]]:
    """Where every door of the workers is."""
    media, ingest, redirect = configuration.media, configuration.ingest, configuration.redirect
    places = {"media": (media.host, media.port)}
    if ingest is not None:
        places["ingest"] = (ingest.host, ingest.port)
    if redirect is not None:
        places["redirect"] = (redirect.host, redirect.port)
    return places


def listen_for_slots(configuration: Configuration, slots: int) -> list[SlotSockets]:
    """Listen at every door, once for each slot.

    Raises:
        ConfigurationError: With the faults of all doors; nothing is left open.
    """
    backlog = configuration.limits.connections.backlog
    made: list[dict[str, list[socket.socket]]] = [{} for _ in range(slots)]
    faults: list[ConfigurationFault] = []
    for door, (host, port) in places_of(configuration).items():
        try:
            free_port = _free_port(host, port, door)
            for slot in made:
                slot[door] = listen(host, free_port, backlog, door, reuse_port=True)
        except ConfigurationError as error:
            faults.extend(error.faults)
    if faults:
        for slot in made:
            close_slot(slot)
        raise ConfigurationError(faults)
    return list(made)


def close_slot(sockets: SlotSockets) -> None:
    """Nobody listens there any more; connections in its backlog are reset."""
    for listening in (one for door in sockets.values() for one in door):
        listening.close()


def _free_port(host: str, port: int, door: str) -> int:
    """The port, known to be free: with SO_REUSEPORT alone a stranger's would be shared.

    Raises:
        ConfigurationError: Somebody listens there.
    """
    tried = listen(host, port, 1, door)
    number = int(tried[0].getsockname()[1])
    for listening in tried:
        listening.close()
    return number
