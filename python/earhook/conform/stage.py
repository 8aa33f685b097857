"""What all checks of a run share: the server, who asks, how long we wait, what we heard."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from earhook.clock import SystemClock
from earhook.protocol.signing import RequestToSign, production_parameters, sign
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, PeerCredential, Product

from .call import Call
from .verdicts import Broken, NotApplicable, NotReached
from .wire import Answer, RawSocket, request_bytes, websocket_headers

__all__ = ["Headers", "Patience", "Stage", "Target", "Welcome", "fresh_uuid", "group_bytes"]

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the server may take (AudioHook protocol §11.1), and how long silence is silence.

    Attributes:
        open_seconds: From `open` to `opened`.
        prompt_seconds: The same, where it is still good.
        pong_seconds: From `ping` to `pong`, and to any other answer.
        close_seconds: From `close` to `closed`.
        refusal_seconds: What a refusal takes at least (§2.1), less the grain of timers.
        quiet_seconds: What does not come in this time does not come.
        end_seconds: How long to wait for what the server ends by itself.
        clause_seconds: The longest that one check may last.
    """

    open_seconds: float = 5.0
    prompt_seconds: float = 1.0
    pong_seconds: float = 5.0
    close_seconds: float = 10.0
    refusal_seconds: float = 0.45
    quiet_seconds: float = 0.5
    end_seconds: float = 15.0
    clause_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """The server and who dials it.

    Attributes:
        organization_id: For keys that are bound to one; None makes one up.
        verifies: Whether the TLS certificate is checked.
    """

    url: str
    credential: PeerCredential | None = None
    ssl_context: ssl.SSLContext | None = None
    product: Product = "monitor"
    organization_id: str | None = None
    verifies: bool = True


@dataclass(frozen=True, slots=True)
class Welcome:
    """How a server took an upgrade request and the `open` behind it.

    Attributes:
        kind: `accepted`; `refused` by HTTP 4xx or a `disconnect` `unauthorized`; or `other`.
        text: The same in words.
        call: The session, where the upgrade was answered with 101.
        seconds: From the request to its answer.
    """

    kind: str
    text: str
    answer: Answer
    call: Call | None
    seconds: float


@dataclass(slots=True)
class Stage:
    """A run against one server.

    Attributes:
        calls: Every session of the run, for the clauses that judge all of them.
    """

    target: Target
    patience: Patience = field(default_factory=Patience)
    calls: list[Call] = field(default_factory=list)
    _model: asyncio.Task[Call] | None = None
    _refusals: dict[str, asyncio.Task[Welcome]] = field(default_factory=dict)

    # -- what goes into a request

    def setup(self, **fields: Any) -> CallSetup:  # noqa: ANN401 - fields of CallSetup
        """A fresh call of the product that the server is for."""
        if self.target.organization_id is not None:
            fields.setdefault("organization_id", self.target.organization_id)
        if self.target.product == "audio-connector":
            return CallSetup.audio_connector(**fields)
        return CallSetup(product=self.target.product, **fields)

    def probe(self, **fields: Any) -> CallSetup:  # noqa: ANN401 - fields of CallSetup
        """A fresh connection probe."""
        if self.target.organization_id is not None:
            fields.setdefault("organization_id", self.target.organization_id)
        return CallSetup.probe(**fields)

    def headers(
        self, setup: CallSetup, credential: PeerCredential | None = None, url: str | None = None
    ) -> Headers:
        """The headers of a good request, in the shape of production."""
        return upgrade_headers(
            url or self.target.url,
            setup,
            credential or self.target.credential,
            SystemClock().wall_seconds(),
            base64.b64encode(os.urandom(18)).decode("ascii"),
        )

    @property
    def key(self) -> PeerCredential:
        """The API key that was given.

        Raises:
            NotApplicable: None was.
        """
        if self.target.credential is None:
            raise NotApplicable("no --api-key was given")
        return self.target.credential

    @property
    def secret(self) -> bytes:
        """The client secret that was given.

        Raises:
            NotApplicable: None was.
        """
        if self.key.secret is None:
            raise NotApplicable("no --secret was given, so nothing is signed")
        return self.key.secret

    def signed(
        self,
        setup: CallSetup,
        change: Callable[[dict[str, int | str]], object] | None = None,
        secret: bytes | None = None,
        **form: Any,  # noqa: ANN401 - keyword arguments of `sign`
    ) -> Headers:
        """Good headers but for the signature: `change` may edit its parameters in place."""
        own = self.secret
        nonce = base64.b64encode(os.urandom(18)).decode("ascii")
        created = int(SystemClock().wall_seconds())
        parameters: dict[str, int | str] = dict(
            production_parameters(self.key.api_key, nonce, created)
        )
        if change is not None:
            change(parameters)
        bare = self.unsigned(setup)
        request = RequestToSign(self.path, dict(bare)["Host"], bare)
        return bare + sign(request, secret or own, tuple(parameters.items()), **form)

    def unsigned(self, setup: CallSetup) -> Headers:
        """Good headers with the key alone."""
        return self.headers(setup, PeerCredential(self.key.api_key))

    @property
    def path(self) -> str:
        """The request target."""
        return _target(self.target.url)

    # -- requests

    async def dial(self) -> RawSocket:
        """A connection. Raises NotReached."""
        return await RawSocket.dial(
            self.target.url, self.target.ssl_context, self.patience.open_seconds
        )

    async def request(
        self, headers: Headers, target: str | None = None, pieces: int = 1
    ) -> tuple[RawSocket, Answer]:
        """Send an upgrade request with these headers besides those of WebSocket."""
        key = RawSocket.fresh_key()
        given = {name.lower() for name, _ in headers}
        missing = [each for each in websocket_headers(key) if each[0].lower() not in given]
        whole = request_bytes(target or self.path, headers + missing)
        step = -(-len(whole) // pieces)
        parts = [whole[at : at + step] for at in range(0, len(whole), step)]
        socket = await self.dial()
        answer = await socket.ask(parts, key, self.patience.open_seconds * 2)
        return socket, answer

    @asynccontextmanager
    async def upgraded(
        self, setup: CallSetup, headers: Headers | None = None
    ) -> AsyncIterator[Call]:
        """A session before its `open`.

        Raises:
            NotReached: The server did not upgrade.
        """
        socket, answer = await self.request(headers or self.headers(setup))
        if answer.status != 101:
            socket.abort()
            raise NotReached(f"the upgrade was not accepted: {answer}")
        call = Call(socket, setup)
        self.calls.append(call)
        try:
            yield call
        finally:
            await call.finish()

    @asynccontextmanager
    async def opened(self, setup: CallSetup | None = None) -> AsyncIterator[Call]:
        """A session that has been opened.

        Raises:
            NotReached: The server did not open it.
        """
        async with self.upgraded(setup or self.setup()) as call:
            call.open()
            try:
                # Twice the time, so that a slow server fails only the clause about slowness.
                await call.must_hear("opened", self.patience.open_seconds * 2)
            except Broken as broken:
                raise NotReached(f"the session was not opened: {broken}") from None
            yield call

    async def knock(self, setup: CallSetup, headers: Headers, target: str | None = None) -> Welcome:
        """Find out whether a request is let in, whichever way it would be refused."""
        socket, answer = await self.request(headers, target)
        if answer.status != 101:
            socket.abort()
            kind = "refused" if 400 <= answer.status < 500 else "other"
            return Welcome(kind, str(answer), answer, None, answer.seconds)
        call = Call(socket, setup)
        self.calls.append(call)
        try:
            call.open()
            wanted = ("opened", "disconnect")
            first = await call.until(
                lambda: next((each for each in call.heard if each.type in wanted), None),
                self.patience.open_seconds * 2,
            )
            return await self._judge(call, answer, first.type if first else "")
        finally:
            await call.finish()

    async def _judge(self, call: Call, answer: Answer, first: str) -> Welcome:
        seconds = answer.seconds
        if first == "opened":
            return Welcome("accepted", "it was let in: `opened`", answer, call, seconds)
        told = call.what_came(0, self.patience.open_seconds * 2)
        reasons = [each.parameters.get("reason") for each in call.all_of("disconnect")]
        if reasons[:1] == ["unauthorized"]:
            call.say("close", {"reason": "disconnect"})
            await call.hears("closed", self.patience.close_seconds)
            return Welcome("refused", told, answer, call, seconds)
        return Welcome("other", f"101, then {told}", answer, call, seconds)

    # -- shared by several checks

    async def model_call(self) -> Call:
        """The transcript of one ordinary call; it is made once a run.

        Raises:
            NotReached: It was not opened.
        """
        if self._model is None:
            self._model = asyncio.ensure_future(self._play_model())
        return await asyncio.shield(self._model)

    async def _play_model(self) -> Call:
        patience = self.patience
        async with self.opened() as call:
            try:
                for _ in range(3):
                    self.stream(call, 1600)
                for rtt in ({}, {"rtt": "PT0.0125S"}):
                    before = len(call.heard)
                    call.say("ping", rtt)
                    await call.must_hear("pong", patience.pong_seconds, before)
                self.stream(call, 800)
                call.say("close", {"reason": "end"})
                await call.must_hear("closed", patience.close_seconds)
                await asyncio.sleep(patience.quiet_seconds)
            except Broken:
                pass  # other clauses say so; what was heard until then is judged
        return call

    async def needs(self, *kinds: str) -> None:
        """Make sure that an ordinary call gets such answers, or a check blames the wrong thing.

        Raises:
            NotReached: It did not.
        """
        call = await self.model_call()
        for kind in kinds:
            if not call.all_of(kind):
                raise NotReached(f"an ordinary call gets no `{kind}` either")

    def stream(self, call: Call, samples: int) -> None:
        """Send one frame of silence in the negotiated media; nothing if none was chosen."""
        size = group_bytes(call)
        if size:
            call.send_audio(b"\xff" * (samples * size), samples)

    async def refusal(self, name: str) -> Welcome:
        """How the server takes a bad request of the named kind; asked once a run.

        Raises:
            NotApplicable: That kind cannot be made from what was given.
        """
        if name not in self._refusals:
            setup = self.setup()
            headers = self._bad_headers(name, setup)
            self._refusals[name] = asyncio.ensure_future(self.knock(setup, headers))
        return await asyncio.shield(self._refusals[name])

    def _bad_headers(self, name: str, setup: CallSetup) -> Headers:
        if name == "unknown key":
            stranger = base64.b64encode(os.urandom(18)).decode("ascii")
            return self.headers(setup, PeerCredential(stranger, self.key.secret and os.urandom(32)))
        if name == "expired":
            return self.signed(setup, _expire)
        return self.signed(setup, secret=os.urandom(32))

    def with_query(self, query: str) -> str:
        """The URL with more query."""
        parts = urlsplit(self.target.url)
        joined = "&".join(filter(None, (parts.query, query)))
        return urlunsplit(parts._replace(query=joined))


def _expire(parameters: dict[str, int | str]) -> None:
    created = int(parameters["created"])
    parameters.update(created=created - 120, expires=created - 110)


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def group_bytes(call: Call) -> int:
    """Bytes of one sample of every channel in the media that the server chose; 0 for none."""
    media = call.opened.parameters.get("media") if call.opened else None
    if not isinstance(media, list) or not media or not isinstance(media[0], dict):
        return 0
    channels = media[0].get("channels")
    count = len(channels) if isinstance(channels, Sequence) else 0
    return count * (2 if media[0].get("format") == "L16" else 1)


def fresh_uuid() -> str:
    """A UUID in lower case."""
    return str(uuid.uuid4())
