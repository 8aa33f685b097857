"""What the console costs the gateway: `python -m bench.console.server [--calls 2000]`.

A gateway without peers: its calls are opened at the hub, and each gets a frame five times a second
and an event every other second. Then the CPU time of this process is taken: without the console,
with it and no page open, and with a page open that watches 40 rows and one call, in turns.
The page is another process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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


async def measure(calls: int, seconds: float, *, console: bool) -> dict[str, float]:
    sections = {
        "media": {"host": "127.0.0.1", "port": 0, "max_calls": calls},
        "admin": {"port": 0},
        "ring": {"budget_mib": 1024},
        "console": {"enabled": console},
        "log": {"level": "error"},
    }
    async with Gateway(Configuration.model_validate(sections)) as gateway:
        live = open_calls(gateway, calls)
        feeding = asyncio.create_task(feed_calls(gateway, live))
        await asyncio.sleep(2.0)
        found = {"no page": await cpu_share(seconds)}
        if console:
            arguments = ["-m", "bench.console.server", "--page", str(gateway.admin_port)]
            page = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, live[0].facts.session_id, stdout=asyncio.subprocess.PIPE
            )
            assert page.stdout is not None
            await page.stdout.readline()
            await asyncio.sleep(2.0)
            found["a page"] = await cpu_share(seconds)
            page.terminate()
            found["bytes a second"] = float((await page.stdout.read()).split()[-1])
            await page.wait()
        feeding.cancel()
    return found


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
        print("ready", flush=True)  # noqa: T201
        received, began = 0, time.monotonic()
        async for message in feed:
            received += len(message.data)
            seconds = time.monotonic() - began
            print(round(received / seconds), flush=True)  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--page", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.page:
        uvloop.run(look(int(arguments.page[0]), arguments.page[1]))
        return
    result: dict[str, Any] = {"calls": arguments.calls, "seconds": arguments.seconds}
    for name, console in (("without console", False), ("with console", True)):
        result[name] = uvloop.run(measure(arguments.calls, arguments.seconds, console=console))
    with_it = result["with console"]
    result["a page costs"] = with_it["a page"] - with_it["no page"]
    result["no page costs"] = with_it["no page"] - result["without console"]["no page"]
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
