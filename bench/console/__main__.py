"""The page with imagined calls, to be looked at or measured.

`python -m bench.console serve --calls 2000 --losing` · `python -m bench.console frames`
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from aiohttp import web

from . import frames
from .fake import FakeGateway


async def serve(chosen: argparse.Namespace) -> None:
    """Until it is interrupted; the first line printed is where."""
    gateway = FakeGateway(chosen.calls, chosen.token, chosen.losing, listen=True)
    runner = web.AppRunner(gateway.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", chosen.port).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serving = commands.add_parser("serve", help="show it at http://127.0.0.1:9091/")
    serving.add_argument("--calls", type=int, default=400)
    serving.add_argument("--port", type=int, default=9091)
    serving.add_argument("--token")
    serving.add_argument("--losing", action="store_true", help="a sink loses audio")
    measuring = commands.add_parser("frames", help="frames per second in headless Chromium")
    measuring.add_argument("--calls", type=int, nargs="+", default=[200, 2000, 4000])
    measuring.add_argument("--seconds", type=int, default=frames.SECONDS)
    chosen = parser.parse_args()
    if chosen.command == "frames":
        sys.exit(frames.main(chosen.calls, chosen.seconds))
    asyncio.run(serve(chosen))
