"""One worker of a test: an ordinary gateway with what it was given. `workers.py` starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import uvloop

from earhook.app.gateway import Gateway
from earhook.app.inherited import Inherited
from earhook.config.schema import Configuration
from earhook.control.board import Board
from earhook.control.claims import Claims
from earhook.control.lifecycle import Input
from earhook.control.replay_store import ReplayStore


async def main() -> None:
    given = json.loads(sys.argv[1])
    generation = given["generation"]
    inherited = Inherited(
        slot=generation,
        generation=generation,
        sockets={"ingest": [socket.socket(fileno=given["socket"])]},
        replay=ReplayStore.attach(given["replay"]),
        board=Board.attach(given["board"]),
        claims=Claims.attach(given["claims"], generation),
        private_directory=Path(given["directory"]),
    )
    gateway = Gateway(Configuration.model_validate(given["configuration"]), inherited=inherited)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, gateway.receive, Input.STOP)
    async with gateway:
        print("serving", flush=True)  # noqa: T201 - whoever started us waits for it
        await gateway.run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
