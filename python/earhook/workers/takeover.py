"""Handing everything to another program in this same process, and taking it over there.

The process executes its own command line again (execve(2)): its number, its children, its sockets
and its memory stay, its code is new. What there is, is described in a piece of memory. Signals
wait meanwhile, so none of them falls into a gap.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final, NoReturn

import orjson

from earhook.control.board import Board
from earhook.control.claims import Claims
from earhook.control.replay_store import ReplayStore

from .shared import Tables
from .sockets import SlotSockets
from .succession import TAKEOVER

__all__ = [
    "TAKEOVER_VERSION",
    "Estate",
    "SittingWorker",
    "execute_again",
    "listen_to_signals",
    "take_over",
]

TAKEOVER_VERSION: Final = 1
"""Of the description below. A program of another version has to be started afresh."""


@dataclass(frozen=True, slots=True)
class SittingWorker:
    """A worker that the program before us has started.

    Attributes:
        generation: Its number.
        pid: Its process.
        slot: Its place, if it has one.
        standing: Where it is in its life.
        serves: Whether it has served.
        channel: Its frozen channel.
    """

    generation: int
    pid: int
    slot: int | None
    standing: str
    serves: bool
    channel: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Estate:
    """All that goes from one program to the next, as plain values; descriptors are numbers.

    Attributes:
        directory: The private directory.
        sockets: By slot and door.
        tables: In the order of `Tables.descriptors`.
        admin: What the admin port listens on.
        next_generation: The number of the next worker.
        workers: Everybody whose process runs.
        relay: What the keeper of the relay wants to know again.
        counted: What the parent's front has counted.
    """

    directory: str
    sockets: list[dict[str, list[int]]]
    tables: list[int]
    admin: list[int]
    next_generation: int
    workers: list[SittingWorker]
    relay: dict[str, Any]
    counted: dict[str, Any]

    def slot_sockets(self) -> list[SlotSockets]:
        """The listening sockets; to be asked once."""
        return [
            {door: [socket.socket(fileno=one) for one in found] for door, found in slot.items()}
            for slot in self.sockets
        ]

    def shared_tables(self) -> Tables:
        """The tables; to be asked once."""
        replay, board, claims = self.tables
        return Tables(ReplayStore.attach(replay), Board.attach(board), Claims.join(claims))

    def admin_sockets(self) -> list[socket.socket]:
        """What the admin port listens on; to be asked once."""
        return [socket.socket(fileno=one) for one in self.admin]

    def descriptors(self) -> list[int]:
        """All that have to stay open."""
        doors = [found for slot in self.sockets for found in slot.values()]
        relay = self.relay["descriptors"]
        channels = [worker.channel["descriptor"] for worker in self.workers]
        return [
            *(one for found in doors for one in found),
            *self.tables,
            *self.admin,
            *channels,
            *relay,
        ]


def execute_again(estate: Estate) -> NoReturn:
    """Become the new program.

    Raises:
        OSError: There is none. Everything is as it was.
    """
    content = orjson.dumps({"version": TAKEOVER_VERSION, **asdict(estate)})
    memory = os.memfd_create("earhook-takeover")
    kept = [memory, *estate.descriptors()]
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        os.pwrite(memory, content, 0)
        for descriptor in kept:
            os.set_inheritable(descriptor, True)
        environment = {**os.environ, TAKEOVER: str(memory)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
    finally:
        for descriptor in kept:
            os.set_inheritable(descriptor, False)
        os.close(memory)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def take_over() -> Estate | None:
    """What the program before us has left; None: there was none. To be asked once.

    Signals wait until `listen_to_signals`.
    """
    number = os.environ.pop(TAKEOVER, None)
    if number is None:
        return None
    memory = int(number)
    content = orjson.loads(os.pread(memory, os.fstat(memory).st_size, 0))
    os.close(memory)
    content.pop("version")
    workers = [SittingWorker(**worker) for worker in content.pop("workers")]
    estate = Estate(workers=workers, **content)
    for descriptor in estate.descriptors():
        os.set_inheritable(descriptor, False)
    return estate


def listen_to_signals() -> None:
    """Those that have come since the old program ceased to listen come now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)
