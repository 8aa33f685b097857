"""The fake as a server: real HTTP or HTTPS on loopback."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web

from earhook.clock import Clock, SystemClock

from .asked import Asked, Route
from .audiohooks import FakeAudioHooks
from .by_hand import ByHand
from .conversations import Destinations, FakeConversations
from .gate import Gate, LoginRefusal
from .health import Health
from .integrations import FakeIntegrations
from .operations_log import OperationsLog
from .organization import Conversation, LifeCycle, OAuthClient, Organization
from .queues import FakeQueues
from .refusal import Refusal
from .streams import Streams

__all__ = ["FakeGenesys", "Mishap"]

_KEPT_REQUESTS = 10_000
_SHUTDOWN_SECONDS = 2.0
Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that goes wrong with the next request that fits.

    Attributes:
        status: What is answered; 0: nothing, the connection is cut.
        method: Only a request of this method; empty: any.
        path: Only a request whose path ends so.
        is_done: Whether the request is carried out all the same.
        headers: More headers.
        body: What is answered.
    """

    status: int = 503
    method: str = ""
    path: str = ""
    is_done: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def fits(self, method: str, path: str) -> bool:
        """Whether it happens to that request."""
        return self.method in {"", method} and path.endswith(self.path)


class FakeGenesys:
    """A Genesys Cloud of one organization, login host and API in one.

        async with FakeGenesys().served() as fake:
            ...  # fake.url

    Args:
        clock: Time, for tokens, rate limits and health checks. Audio goes by the machine's.

    Attributes:
        organization: Everything it knows.
        gate: Tokens and rate limits.
        health: Health checks.
        integrations: Its integrations dialect, to make it awkward.
        audiohooks: Its AudioHooks dialect.
        queues: To make some.
        conversations: To begin and to move them.
        streams: The audio that they cause, and how it travels.
        mishaps: What goes wrong next, each once, in order.
        requests: Method and path of the latest requests.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.organization = Organization()
        self.gate = Gate(self.organization, clock)
        self.health = Health(clock)
        log = OperationsLog(self.organization, clock)
        self.streams = Streams(self.organization.id, log)
        house = (self.organization, self.health, log, self.streams.withdraw)
        self.integrations = FakeIntegrations(*house)
        self.audiohooks = FakeAudioHooks(*house)
        self.queues = FakeQueues(self.organization)
        destinations = Destinations(
            self.queues.is_monitored, self.integrations.monitors, self.audiohooks.destination
        )
        self.conversations = FakeConversations(self.organization, self.streams, destinations)
        by_hand = ByHand(self.organization, self.conversations, self.queues, self.streams)
        self.mishaps: deque[Mishap] = deque()
        self.requests: deque[tuple[str, str]] = deque(maxlen=_KEPT_REQUESTS)
        self.url = ""
        self._by_hand = by_hand.routes()
        self._routes = [
            *self.integrations.routes(),
            *self.audiohooks.routes(),
            *self.conversations.routes(),
            *self.queues.routes(),
            *log.routes(),
        ]

    def add_client(self, client: OAuthClient | None = None) -> OAuthClient:
        """Let an OAuth client in; one that may do everything, if none is given."""
        client = client or OAuthClient()
        self.organization.clients[client.id] = client
        return client

    def begin_conversation(self, state: LifeCycle = LifeCycle.ALERTING) -> Conversation:
        """A customer calls, through no queue; see `FakeConversations.begin`."""
        return self.conversations.begin(state=state)

    @asynccontextmanager
    async def served(self, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Self]:
        """Serve on loopback as long as the context lasts; at its end every stream is ended."""
        application = web.Application(middlewares=[self._around])
        application.router.add_post("/oauth/token", self._log_in)
        for route in self._routes:
            application.router.add_route(route.method, route.path, self._answering(route))
        for route in self._by_hand:
            application.router.add_route(route.method, route.path, self._playing(route))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            scheme = "http" if tls is None else "https"
            self.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            # In this order: no request can begin a stream that nobody ends.
            await runner.cleanup()
            await self.streams.stop()

    @web.middleware
    async def _around(self, request: web.Request, handler: Answering) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        await self.health.settle()
        mishap = next((one for one in self.mishaps if one.fits(request.method, request.path)), None)
        if mishap is not None:
            self.mishaps.remove(mishap)
            if mishap.is_done:
                await self._safely(request, handler)
            if not mishap.status:
                if request.transport is not None:
                    request.transport.abort()
                raise ConnectionResetError
            return web.Response(status=mishap.status, headers=mishap.headers, body=mishap.body)
        return await self._safely(request, handler)

    async def _safely(self, request: web.Request, answer: Answering) -> web.StreamResponse:
        try:
            return await answer(request)
        except Refusal as refusal:
            return _json(refusal.status, refusal.body, refusal.headers)
        except LoginRefusal as refusal:
            return _json(refusal.status, refusal.body)

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        authorization = request.headers.get("Authorization", "")
        return _json(200, self.gate.log_in(authorization, form))

    def _answering(self, route: Route) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            authorization = request.headers.get("Authorization", "")
            self.gate.admit(authorization, route.permissions, route.scopes)
            return await _answered(request, route)

        return answer

    def _playing(self, route: Route) -> Answering:
        async def answer(request: web.Request) -> web.StreamResponse:
            if "Origin" in request.headers:
                raise Refusal(403, "not.authorized", "No page of a browser plays the platform.")
            return await _answered(request, route)

        return answer


async def _answered(request: web.Request, route: Route) -> web.StreamResponse:
    asked = Asked(
        request.match_info.get("id", ""),
        request.query,
        _body(await request.read()),
        request.path,
    )
    found = await route.answer(asked)
    return web.Response(status=204) if found is None else _json(200, found)


def _body(content: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(content) if content else {}
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Refusal(400, "bad.request", "The body is no JSON object.")
    return value


def _json(
    status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> web.StreamResponse:
    correlation = {"ININ-Correlation-Id": "fake-correlation"}
    return web.Response(
        status=status,
        body=orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE),
        content_type="application/json",
        headers={**correlation, **(headers or {})},
    )
