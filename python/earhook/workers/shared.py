"""What all workers share, and how it travels: as descriptors beside the message `serve`."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from earhook.app.inherited import Inherited
from earhook.config.checks.machine import most_calls
from earhook.config.schema import Configuration
from earhook.control.board import Board
from earhook.control.claims import Claims
from earhook.control.replay_store import ReplayStore
from earhook.sinks.pcm_stream.settings import PcmStreamSettings

from .channel import Message
from .relay.terms import private_sink, relayed_sinks
from .shares import share_of
from .sockets import SlotSockets

__all__ = [
    "Tables",
    "for_worker",
    "private_files",
    "relayed_paths",
    "serve_message",
    "take_inheritance",
]

TABLES = ("replay", "board", "claims")


@dataclass(frozen=True, slots=True)
class Tables:
    """Pieces of memory that every worker sees."""

    replay: ReplayStore
    board: Board
    claims: Claims

    @classmethod
    def create(cls, configuration: Configuration) -> Self:
        """Make them, of the size that the configuration asks for."""
        return cls(
            ReplayStore.create(configuration.signature.replay_capacity),
            Board.create(),
            Claims.create(most_calls(configuration) * _CLAIMS_PER_CALL + _REMEMBERED_CLAIMS),
        )

    def descriptors(self) -> list[int]:
        """In the order of `TABLES`."""
        return [self.replay.fileno(), self.board.fileno(), self.claims.fileno()]


def serve_message(
    slot: int, generation: int, sockets: SlotSockets, tables: Tables, directory: Path
) -> tuple[dict[str, Any], list[int]]:
    """Body and descriptors that tell a worker all but its configuration."""
    doors = [[door, len(listening)] for door, listening in sockets.items()]
    descriptors = [one.fileno() for listening in sockets.values() for one in listening]
    body = {
        "slot": slot,
        "generation": generation,
        "doors": doors,
        "private_directory": str(directory),
    }
    return body, [*descriptors, *tables.descriptors()]


def take_inheritance(message: Message) -> Inherited:
    """What a worker was told by such a message; it owns all of it."""
    body, given = message.body, iter(message.descriptors)
    sockets = {
        door: [socket.socket(fileno=next(given)) for _ in range(count)]
        for door, count in body["doors"]
    }
    generation = body["generation"]
    return Inherited(
        slot=body["slot"],
        generation=generation,
        sockets=sockets,
        replay=ReplayStore.attach(next(given)),
        board=Board.attach(next(given)),
        claims=Claims.attach(next(given), generation),
        private_directory=Path(body["private_directory"]),
    )


def for_worker(
    configuration: Configuration, generation: int, slots: int, directory: Path
) -> Configuration:
    """What one of several workers is to serve.

    Its share of what is divided; and where consumers of a PCM stream would connect, the relay does
    in their place, on a socket of the private directory.
    """
    paths = relayed_paths(configuration, generation, directory)
    sinks = tuple(
        private_sink(sink, str(paths[sink.name]))
        if isinstance(sink, PcmStreamSettings) and sink.name in paths
        else sink
        for sink in configuration.sinks
    )
    return share_of(configuration, slots).model_copy(update={"sinks": sinks})


def relayed_paths(
    configuration: Configuration, generation: int, directory: Path
) -> dict[str, Path]:
    """Where the relay finds the PCM streams of a worker, by the name of the sink."""
    return {
        sink.name: directory / f"pcm-{generation}-{number}.sock"
        for number, sink in enumerate(relayed_sinks(configuration.sinks))
    }


def private_files(generation: int, directory: Path) -> list[Path]:
    """What a worker may have left behind in the private directory."""
    patterns = (f"pcm-{generation}-*.sock", f"ingest-{generation}.sock")
    return [file for pattern in patterns for file in directory.glob(pattern)]


_CLAIMS_PER_CALL = 2
"""Of a live call that is posted: that it is live, and where it is."""
_REMEMBERED_CLAIMS = 100_000
"""Of posted calls that have ended. Ten workers that remember as many as they do at most."""
