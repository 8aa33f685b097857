"""The health check that really connects: a probe over WebSocket, GET and POST over HTTPS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import aiohttp

from earhook.errors import EarhookError
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import CallSetup
from earhook.testing.sources import Source

from .health import Endpoint
from .socket_stream import credential_of

__all__ = ["Reach"]

LIMIT_SECONDS: Final = 5.0


class Reach:
    """Examines endpoints as the platform does. `fake.health.examine = Reach(trust)`.

    Args:
        trust: Who may vouch for an endpoint's certificate; None: this machine's authorities.
    """

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        self._trust = trust or ssl.create_default_context()

    async def __call__(self, endpoint: Endpoint) -> str:
        """Why it is not fit; empty: it is."""
        is_socket = endpoint.url.startswith("wss://")
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                return await (self._probe(endpoint) if is_socket else self._post(endpoint))
        except TimeoutError:
            return f"No answer within {LIMIT_SECONDS:g} s."
        except (EarhookError, aiohttp.ClientError, OSError, ValueError) as error:
            return f"The endpoint cannot be used: {error}"

    async def _probe(self, endpoint: Endpoint) -> str:
        setup = CallSetup.probe()
        plan = CallPlan(source=Source.silence(), setup=setup, credential=credential_of(endpoint))
        async with CallPeer.dial(endpoint.url, plan, self._trust) as peer:
            await peer.opened()
        outcome = peer.record.outcome
        return "" if outcome == "completed" else f"The connection probe ended so: {outcome}."

    async def _post(self, endpoint: Endpoint) -> str:
        connector = aiohttp.TCPConnector(ssl=self._trust)
        async with aiohttp.ClientSession(connector=connector) as session:
            for method in ("GET", "POST"):
                async with session.request(method, endpoint.url, allow_redirects=False) as answer:
                    if answer.status != 200:
                        return f"{method} is answered {answer.status}."
        return ""
