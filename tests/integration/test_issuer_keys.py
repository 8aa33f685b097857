"""Keys of an issuer over real TLS: its rotation refuses nobody, its outage changes nothing."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from earhook.control.authentication import Authenticator
from earhook.control.credentials import read_keyring
from earhook.control.doorkeeper import IngestDoorkeeper, read_bearer_tokens
from earhook.control.settings import SignatureAndReplaySettings
from earhook.edge.request import RequestHead
from earhook.ingest.credential_settings import IssuerSettings
from earhook.ingest.credentials import Accepted, IngestRequest, Verdict
from earhook.testing.clock import ManualClock


class Provider:
    """An identity provider: signs tokens, and publishes its keys."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.fetches = 0
        self.is_down = False
        self.port = 0

    def rotate(self, kid: str) -> None:
        self.keys = {kid: ec.generate_private_key(ec.SECP256R1())}

    def token(self, clock: ManualClock, audience: str = "earhook") -> str:
        ((kid, key),) = self.keys.items()
        claims = {"iss": "idp", "aud": audience, "exp": clock.wall_seconds() + 3600, "sub": "s"}
        return jwt.encode(claims, key, "ES256", {"kid": kid})

    async def answer(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        if self.is_down:
            return web.Response(status=503)
        to_jwk = jwt.algorithms.ECAlgorithm.to_jwk
        keys = [
            {**to_jwk(key.public_key(), as_dict=True), "kid": kid} for kid, key in self.keys.items()
        ]
        return web.Response(text=json.dumps({"keys": keys}))

    @asynccontextmanager
    async def served(self, authority: trustme.CA) -> AsyncIterator[None]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        application = web.Application()
        application.router.add_get("/{any}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


class House:
    """A doorkeeper that believes a provider."""

    def __init__(self, provider: Provider, authorities: Path) -> None:
        self.clock = ManualClock()
        self.provider, self.authorities = provider, authorities
        tokens = read_bearer_tokens([], [self.issuer()], self.clock)
        authenticator = Authenticator(read_keyring([]), SignatureAndReplaySettings())
        self.doorkeeper = IngestDoorkeeper(tokens, authenticator, self.clock)

    def issuer(self, path: str = "keys", audience: str = "earhook") -> IssuerSettings:
        return IssuerSettings(
            name="idp",
            issuer="idp",
            audience=audience,
            algorithms=("ES256",),
            jwks_url=f"https://127.0.0.1:{self.provider.port}/{path}",
            jwks_ca=self.authorities,
        )

    async def ask(self, token: str) -> Verdict:
        shown = (("Authorization", f"Bearer {token}"),)
        request = IngestRequest(RequestHead("POST", b"/", 1, shown, {}), "192.0.2.1")
        return await self.doorkeeper.judge(request, self.clock.wall_seconds())

    async def lets_in(self, token: str) -> bool:
        return isinstance(await self.ask(token), Accepted)


@asynccontextmanager
async def house(authority: trustme.CA, directory: Path) -> AsyncIterator[tuple[House, Provider]]:
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    provider = Provider()
    provider.rotate("first")
    async with provider.served(authority):
        made = House(provider, directory / "ca.pem")
        made.doorkeeper.start()
        yield made, provider
        await made.doorkeeper.stop()
        assert len(asyncio.all_tasks()) == 1


def test_the_first_request_waits_for_the_first_keys_and_a_rotation_refuses_nobody(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(certificate_authority, tmp_path) as (made, provider):
            old = provider.token(made.clock)
            assert await asyncio.gather(*(made.lets_in(old) for _ in range(50))) == [True] * 50
            assert provider.fetches == 1
            made.clock.advance(60)
            provider.rotate("second")
            new = provider.token(made.clock)
            assert await made.lets_in(old)  # nobody has said yet that its key is gone
            assert await asyncio.gather(*(made.lets_in(new) for _ in range(50))) == [True] * 50
            assert not await made.lets_in(old)
            assert provider.fetches == 2

    run(story())


def test_an_outage_of_the_issuer_changes_nothing(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(certificate_authority, tmp_path) as (made, provider):
            token = provider.token(made.clock)
            assert await made.lets_in(token)
            provider.is_down = True
            stranger = Provider()
            stranger.rotate("made up")
            made.clock.advance(60)
            assert not await made.lets_in(stranger.token(made.clock))
            assert provider.fetches == 2
            assert await made.lets_in(token)
            assert await made.lets_in(provider.token(made.clock))
            (issuer,) = made.doorkeeper.tokens.issuers
            assert getattr(issuer.keys, "failures") == 1  # noqa: B009

    run(story())


def test_a_reload_keeps_the_keys_of_the_same_place_and_fetches_those_of_another(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with house(certificate_authority, tmp_path) as (made, provider):
            keeper, token = made.doorkeeper, provider.token(made.clock)
            assert await made.lets_in(token)
            keeper.prepare([], [made.issuer(audience="other")])()
            assert not await made.lets_in(token)
            assert await made.lets_in(provider.token(made.clock, "other"))
            assert provider.fetches == 1
            keeper.prepare([], [made.issuer(path="moved")])()
            assert await made.lets_in(token)
            assert provider.fetches == 2
            keeper.prepare([], [])()
            assert not await made.lets_in(token)

    run(story())
