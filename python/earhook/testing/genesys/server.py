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
from .audiohooks import FakeAudioHooks, FakeConversations, FakeQueues
from .gate import Gate, LoginRefusal
from .health import Health
from .integrations import FakeIntegrations
from .operations_log import OperationsLog
from .organization import Conversation, LifeCycle, OAuthClient, Organization
from .refusal import Refusal

__all__ = ["FakeGenesys", "Mishap"]

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
        clock: Time, for tokens, rate limits and health checks.

    Attributes:
        organization: Everything it knows.
        gate: Tokens and rate limits.
        health: Health checks.
        integrations: Its integrations dialect, to make it awkward.
        mishaps: What goes wrong next, each once, in order.
        requests: Method and path of every request so far.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.organization = Organization()
        self.gate = Gate(self.organization, clock)
        self.health = Health(clock)
        log = OperationsLog(self.organization, clock)
        self.integrations = FakeIntegrations(self.organization, self.health, log)
        self.mishaps: deque[Mishap] = deque()
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self._routes = [
            *self.integrations.routes(),
            *FakeAudioHooks(self.organization, self.health, log).routes(),
            *FakeConversations(self.organization).routes(),
            *FakeQueues(self.organization).routes(),
            *log.routes(),
        ]

    def add_client(self, client: OAuthClient | None = None) -> OAuthClient:
        """Let an OAuth client in; one that may do everything, if none is given."""
        client = client or OAuthClient()
        self.organization.clients[client.id] = client
        return client

    def begin_conversation(self, state: LifeCycle = LifeCycle.ALERTING) -> Conversation:
        """A customer calls."""
        conversation = Conversation(state=state)
        self.organization.conversations[conversation.id] = conversation
        return conversation

    @asynccontextmanager
    async def served(self, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Self]:
        """Serve on loopback as long as the context lasts."""
        application = web.Application(middlewares=[self._around])
        application.router.add_post("/oauth/token", self._log_in)
        for route in self._routes:
            application.router.add_route(route.method, route.path, self._answering(route))
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
            scheme = "http" if tls is None else "https"
            self.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

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
            asked = Asked(
                request.match_info.get("id", ""),
                request.query,
                _body(await request.read()),
                request.path,
            )
            found = await route.answer(asked)
            return web.Response(status=204) if found is None else _json(200, found)

        return answer


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
        body=orjson.dumps(body),
        content_type="application/json",
        headers={**correlation, **(headers or {})},
    )
