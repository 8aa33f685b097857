"""Serve the page with imagined calls: `python -m bench.console --calls 2000 --losing`."""

from __future__ import annotations

import argparse

from aiohttp import web

from .fake import FakeGateway

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--port", type=int, default=9091)
    parser.add_argument("--token")
    parser.add_argument("--losing", action="store_true", help="a sink loses audio")
    chosen = parser.parse_args()
    gateway = FakeGateway(chosen.calls, chosen.token, chosen.losing, listen=True)
    web.run_app(gateway.application(), host="127.0.0.1", port=chosen.port)
