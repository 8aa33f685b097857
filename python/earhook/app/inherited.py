"""What a gateway is given by the process that started it, where it is one of several workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from earhook.control.board import Board
    from earhook.control.claims import Claims
    from earhook.control.replay_store import ReplayStore

__all__ = ["Inherited"]


@dataclass(frozen=True, slots=True)
class Inherited:
    """One worker's part of what all workers share.

    Attributes:
        slot: Its place among the workers, from 0.
        generation: Its number, which no other worker ever had or will have.
        sockets: Listening sockets by door (`media`, `ingest`, `redirect`); the gateway closes
            them when it accepts no more.
        replay: Used signatures.
        board: What every worker has live, so that limits hold for the sum.
        claims: Which worker has which session.
        private_directory: For sockets between the workers; nobody else may enter it.
    """

    slot: int
    generation: int
    sockets: Mapping[str, Sequence[socket.socket]]
    replay: ReplayStore
    board: Board
    claims: Claims
    private_directory: Path
