"""What the console costs the gateway: `python -m bench.console.server [--calls 2000]`.

A gateway without peers: its calls are opened at the hub, and each gets a frame five times a second
and an event every other second. The CPU time of this process is taken with no page open, and with
one that watches 40 rows and one call, in turns; the page is another process. Beside it stands what
an event costs while no page is open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.ids import ConversationId, CorrelationId, KeyName, OrganizationId, SessionId
from earhook.media.format import MediaFormat
from earhook.sinks.base import CallEvent, CallFacts, LiveCall

RESULT = Path("bench/results/console.json")
FRAME = bytes(range(128, 256)) * 25
TICKS_A_SECOND = 50
FRAMES_A_SECOND = 5


class Door:
    """Nobody sends commands."""

    def submit(self, command: Any) -> None: ...


def open_calls(gateway: Gateway, count: int) -> list[LiveCall]:
    def some() -> str:
        return str(uuid.uuid4())

    return [
        gateway.hub.open(
            CallFacts(
                session_id=SessionId(some()),
                organization_id=OrganizationId(some()),
                conversation_id=ConversationId(some()),
                correlation_id=CorrelationId(some()),
                key_name=KeyName("bench"),
                media=MediaFormat("PCMU", (0, 1)),
                opened_wall_seconds=time.time(),
            ),
            Door(),
        )
        for _ in range(count)
    ]


async def feed_calls(gateway: Gateway, calls: list[LiveCall]) -> None:
    """Frames and events, evenly spread, for ever."""
    loop = asyncio.get_running_loop()
    due, share, at = loop.time(), len(calls) * FRAMES_A_SECOND // TICKS_A_SECOND, 0
    while True:
        for call in (calls[(at + step) % len(calls)] for step in range(share)):
            call.pipeline.push(FRAME)
            at += 1
            if at % 10 == 0:
                end = call.pipeline.position
                details = {"channel": "external", "start": max(0, end - 12_000), "end": end}
                gateway.hub.publish(call, CallEvent("speech", end, details))
        due += 1 / TICKS_A_SECOND
        await asyncio.sleep(max(0.0, due - loop.time()))


async def cpu_share(seconds: float) -> float:
    began, used = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - used) / (time.monotonic() - began)


async def measure(calls: int, seconds: float, rounds: int) -> dict[str, Any]:
    sections = {
        "media": {"host": "127.0.0.1", "port": 0, "max_calls": calls},
        "admin": {"port": 0},
        "ring": {"budget_mib": 1024},
        "log": {"level": "error"},
    }
    async with Gateway(Configuration.model_validate(sections)) as gateway:
        live = open_calls(gateway, calls)
        feeding = asyncio.create_task(feed_calls(gateway, live))
        await asyncio.sleep(2.0)
        without, with_page, received = [], [], 0.0
        for _ in range(rounds):
            without.append(await cpu_share(seconds))
            page = await open_page(gateway, live[0])
            await asyncio.sleep(2.0)
            with_page.append(await cpu_share(seconds))
            page.terminate()
            assert page.stdout is not None
            received = float((await page.stdout.read()).split()[-1])
            await page.wait()
            await asyncio.sleep(1.0)
        feeding.cancel()
        event_seconds = board_seconds(gateway, live)
    costs = [two - one for one, two in zip(without, with_page, strict=True)]
    return {
        "calls": calls,
        "cores_without_a_page": without,
        "cores_with_a_page": with_page,
        "a_page_costs_cores": statistics.median(costs),
        "bytes_a_second": received,
        "microseconds_of_an_event": event_seconds * 1e6,
    }


def board_seconds(gateway: Gateway, calls: list[LiveCall], rounds: int = 10) -> float:
    """What the board itself costs for an event, with no page open."""
    assert gateway.board is not None
    details = {"channel": "external", "start": 0, "end": 12_000}
    began = time.thread_time()
    for number in range(rounds):
        for call in calls:
            gateway.board.publish(call, CallEvent("speech", number, details))
    return (time.thread_time() - began) / (rounds * len(calls))


async def open_page(gateway: Gateway, call: LiveCall) -> asyncio.subprocess.Process:
    """A page in another process, that has what it wants for the first time."""
    arguments = ["-m", "bench.console.server", "--page", str(gateway.admin_port)]
    page = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, call.facts.session_id, stdout=asyncio.subprocess.PIPE
    )
    assert page.stdout is not None
    await page.stdout.readline()
    return page


async def look(port: int, session: str) -> None:
    """Be a page, and say what it gets."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"http://127.0.0.1:{port}/api/v1/feed", max_msg_size=0) as feed,
    ):
        first = await feed.receive_json()
        while first["type"] != "calls":
            first = await feed.receive_json()
        watched = [row["number"] for row in first["added"][:40]]
        await feed.send_json({"watch": watched, "open": session})
        print("ready", flush=True)
        received, began = 0, time.monotonic()
        async for message in feed:
            received += len(message.data)
            seconds = time.monotonic() - began
            print(round(received / seconds), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.page:
        uvloop.run(look(int(arguments.page[0]), arguments.page[1]))
        return
    result = uvloop.run(measure(arguments.calls, arguments.seconds, arguments.rounds))
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
