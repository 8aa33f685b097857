"""The admin port. Everything it serves stands here.

- `GET /livez`: 200 while the event loop turns. Restart the process when this fails.
- `GET /readyz`: 200 while new calls are welcome and every sink works, otherwise 503 with the
  names of the checks that fail; `?verbose` shows all checks with their details.
- `GET /metrics`: figures for Prometheus.
- `GET /api/v1/calls`: live calls as JSON, the oldest first; `?limit=` (100) and `?offset=`.
- `GET /api/v1/sinks`: the ways out and their books as JSON.

- `/` and more below `/api/v1`: the console (docs/reference/console-feed.md).

With a token set, all but `/livez`, plain `/readyz` and the files of the console's page ask for
`Authorization: Bearer …`. Without one only loopback is listened on, and a `Host` that is not
loopback is refused, so that no web page in a browser on this machine reads it under a name of its
own. What a browser asks for on behalf of another origin's page is refused in any case.

It takes no more than 256 connections, and 64 of an address: their file descriptors are those that
calls need. Who takes no answer, or sends more than anybody has to say, gives its place up.

Several worker processes have one admin port, and it answers for all of them. Where one of them
does not answer within a second, `/api/v1/…` says `"unheard_workers": [slot, …]`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from earhook.address import is_loopback
from earhook.edge.caps import Strangers
from earhook.edge.settings import ConnectionLimits
from earhook.errors import ConfigurationError
from earhook.ops.logging import get_logger

from .admin_connection import HEADERS, AdminConnection
from .admin_guard import AdminGuard
from .credentials import read_token
from .settings import AdminSettings

__all__ = ["AdminServer", "AdminView", "CallList", "Check", "Pages", "SinkList"]

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that readiness depends on. `detail` says what, where and what to do."""

    name: str
    passes: bool
    detail: str = ""


class CallList(NamedTuple):
    """Live calls as JSON values: nothing personal.

    Attributes:
        total: How many there are.
        calls: Some of them, the oldest first.
        unheard: Slots of the workers that did not answer; their calls are missing.
    """

    total: int
    calls: Sequence[dict[str, Any]]
    unheard: Sequence[int] = ()


class SinkList(NamedTuple):
    """The ways out as JSON values. `unheard` as in `CallList`."""

    sinks: Sequence[dict[str, Any]]
    unheard: Sequence[int] = ()


class AdminView(Protocol):
    """What the admin port shows. All of it answers within a second or so."""

    async def checks(self) -> Sequence[Check]:
        """What readiness depends on."""
        ...

    async def calls(self, offset: int, limit: int) -> CallList:
        """Live calls: `limit` at most, without the `offset` oldest ones."""
        ...

    async def sinks(self) -> SinkList:
        """The ways out."""
        ...

    async def registry(self) -> CollectorRegistry:
        """What `/metrics` exports; to be encoded at once."""
        ...


class Pages(Protocol):
    """More to be served at the same port, to whoever the port serves."""

    def routes(self) -> Sequence[web.RouteDef]:
        """What is asked for where."""
        ...

    def token_set(self, *, asked: bool) -> None:
        """From now on a token is asked for, or none; whoever is connected has shown another."""
        ...

    async def stop(self) -> None:
        """Say goodbye to whoever is connected."""
        ...


class AdminServer:
    """Serves an `AdminView` over HTTP.

    Args:
        settings: Where to listen.
        token: What to ask for; None only on loopback.
        view: What to show.
        pages: What is served beside it.
    """

    def __init__(
        self,
        settings: AdminSettings,
        token: str | None,
        view: AdminView,
        pages: Pages | None = None,
    ) -> None:
        self._settings = settings
        self._guard = AdminGuard(token)
        self._view = view
        self._pages = pages
        if pages is not None:
            pages.token_set(asked=token is not None)
        self._runner: web.AppRunner | None = None
        self._listening: list[asyncio.Server] = []

    def prepare(self, settings: AdminSettings) -> Callable[[], None]:
        """Read the token again; it is asked for when what is returned is called.

        Raises:
            ConfigurationError: It cannot be read, or the port in use would stand open without it.
        """
        token = read_token(settings)
        if token is None and not is_loopback(self._settings.host):
            what = f"the admin port listens on {self._settings.host}, which needs a token"
            remedy = "keep the token until the restart that moves the port to 127.0.0.1"
            raise ConfigurationError.of("admin.token_file", what, remedy)
        return lambda: self._replace_token(token)

    @property
    def port(self) -> int:
        """The port listened on. Only after `start`."""
        if not self._listening:
            raise RuntimeError("the admin server has not been started")
        return int(self._listening[0].sockets[0].getsockname()[1])

    def descriptors(self) -> list[int]:
        """Of what it listens on, for another program that goes on with it."""
        return [one.fileno() for listening in self._listening for one in listening.sockets]

    async def start(self, sockets: Sequence[socket.socket] = ()) -> None:
        """Listen.

        Args:
            sockets: Listening already; the server closes them when it stops. Left out: it makes
                its own.

        Raises:
            ConfigurationError: The address cannot be listened on.
        """
        application = web.Application(
            middlewares=[_plain_errors, self._guard.check], client_max_size=1024
        )
        application.router.add_get("/livez", self._live)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/api/v1/calls", self._calls)
        application.router.add_get("/api/v1/sinks", self._sinks)
        if self._pages is not None:
            application.router.add_routes(self._pages.routes())
        application.on_response_prepare.append(_without_banner)
        runner = web.AppRunner(application, shutdown_timeout=0.5)
        await runner.setup()
        server, places = runner.server, Strangers(_PLACES)
        assert server is not None  # set up just now
        host, port = self._settings.host, self._settings.port
        create_server = partial(
            asyncio.get_running_loop().create_server, lambda: AdminConnection(server, places)
        )
        try:
            if sockets:
                self._listening = [await create_server(sock=one, backlog=128) for one in sockets]
            else:
                self._listening = [await create_server(host, port, backlog=128)]
        except OSError as error:
            await runner.cleanup()
            # asyncio wraps the system's words into a sentence of its own.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else str(error.strerror)
            what = f"cannot listen on {host}:{port}: {reason}"
            remedy = "choose another port or address, or stop what listens there"
            raise ConfigurationError.of("admin.port", what, remedy) from error
        self._runner = runner
        logger.info("admin.listening", host=host, port=self.port)

    async def stop(self) -> None:
        """Close the listener and what is connected to it."""
        for listening in self._listening:
            listening.close()
        self._listening = []
        if self._pages is not None:
            await self._pages.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _replace_token(self, token: str | None) -> None:
        if self._guard.replace(token) and self._pages is not None:
            self._pages.token_set(asked=token is not None)

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _ready(self, request: web.Request) -> web.Response:
        checks = await self._view.checks()
        failing = [check.name for check in checks if not check.passes]
        text = f"not ready: {', '.join(failing)}\n" if failing else "ready\n"
        if "verbose" in request.query:
            text = "".join(f"{_as_line(check)}\n" for check in checks) + text
        return web.Response(text=text, status=503 if failing else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get("Accept", "")
        encode, content_type = choose_encoder(accept)
        body = encode(await self._view.registry())
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _calls(self, request: web.Request) -> web.Response:
        limit = _number(request, "limit", 100, 1000)
        offset = _number(request, "offset", 0, 1_000_000)
        found = await self._view.calls(offset, limit)
        return _json({"total": found.total, "calls": found.calls, **_missing(found.unheard)})

    async def _sinks(self, _request: web.Request) -> web.Response:
        found = await self._view.sinks()
        return _json({"sinks": found.sinks, **_missing(found.unheard)})


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or len(text) > 7 or int(text) > most:
        raise web.HTTPBadRequest(text=f"{name} must be a number up to {most}\n")
    return int(text)


def _as_line(check: Check) -> str:
    detail = f": {check.detail}" if check.detail else ""
    return f"[{'+' if check.passes else '-'}] {check.name}{detail}"


def _missing(slots: Sequence[int]) -> dict[str, Sequence[int]]:
    """Named only where somebody is missing: an answer without it is whole."""
    return {"unheard_workers": slots} if slots else {}


def _json(value: object) -> web.Response:
    body = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, content_type="application/json")


@web.middleware
async def _plain_errors(request: web.Request, handler: _Answer) -> web.StreamResponse:
    """Fixed bodies for whatever goes wrong; no text of an exception leaves the process."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        refusal.content_type = "text/plain"
        raise
    except Exception:
        logger.exception("admin.failed", path=request.path)
        return web.Response(status=500, text="internal error\n")


async def _without_banner(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "earhook"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


_PLACES: Final = ConnectionLimits(unproven=256, unproven_per_address=64)

_Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
