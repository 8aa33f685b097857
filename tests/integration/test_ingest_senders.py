"""Who may send over HTTPS, on real connections: expiry, rotation, signatures, and a reload."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import ec

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.protocol.signing import RequestToSign, production_parameters, sign
from earhook.testing.http_sender import HttpSender, SenderReply
from earhook.testing.peer import CallPeer, CallPlan
from earhook.testing.peer_setup import PeerCredential
from earhook.testing.sources import Source

SECRET = b"0123456789abcdef0123456789abcdef"
OLD, NEW, OTHER = "old-token-0123456789", "new-token-0123456789", "other-token-012345678"
ORGANIZATION = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
BLOCK = b"\xff" * 800
SHORT_BLOCK = b"\xff" * 80
"""So short that hundreds of them in a second are not much faster than real time."""
CHALLENGE = 'Bearer realm="earhook", error="invalid_token"'
KEY = ec.generate_private_key(ec.SECP256R1())


class House:
    """A gateway with both doors, whose configuration the test changes."""

    def __init__(self, directory: Path, authority: trustme.CA) -> None:
        self.directory = directory
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(directory / "crt"))
        issued.private_key_pem.write_to_path(str(directory / "key"))
        entry = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        (directory / "jwks").write_text(json.dumps({"keys": [entry]}))
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)
        self.tokens = [{"name": "a", "token": OLD}, {"name": "b", "token": OTHER}]
        self.gateway: Gateway

    def configuration(self) -> Configuration:
        tls = {"certificate": self.directory / "crt", "private_key": self.directory / "key"}
        issuer = {
            "name": "idp",
            "issuer": "idp",
            "audience": "earhook",
            "algorithms": ["ES256"],
            "jwks_file": self.directory / "jwks",
            "leeway_seconds": 0.0,
        }
        host = "127.0.0.1"
        return Configuration.model_validate(
            {
                "media": {"host": host, "port": 0, "tls": tls},
                "ingest": {
                    "host": host,
                    "port": 0,
                    "tokens": self.tokens,
                    "issuers": [issuer],
                },
                "admin": {"port": 0},
                "signature": {"replay": "enforce"},
                "keys": [{"api_key": "k", "secrets": [base64.b64encode(SECRET).decode()]}],
            }
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gateway]:
        async with Gateway(self.configuration(), reread=self.configuration) as gateway:
            self.gateway = gateway
            yield gateway

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.gateway.ingest_port}/stream/v1/audiohook"

    def sender(self, token: str | None, **more: Any) -> HttpSender:
        return HttpSender(url=self.url, token=token, tls=self.trust, **more)

    def serve(self, *tokens: str) -> bool:
        self.tokens = [{"name": "a", "token": token} for token in tokens]
        return self.gateway.reload()


@pytest.fixture
def house(tmp_path: Path, certificate_authority: trustme.CA) -> House:
    return House(tmp_path, certificate_authority)


def web_token(lifetime_seconds: float) -> str:
    exp = time.time() + lifetime_seconds
    return jwt.encode({"iss": "idp", "aud": "earhook", "exp": exp, "sub": "s"}, KEY, "ES256")


def test_a_token_that_expires_between_two_posts_is_renewed_on_the_same_connection(
    run: Any, house: House
) -> None:
    async def story() -> None:
        async with house.open(), house.sender(web_token(1.0)) as sender:
            connection, replies = sender.connection, list[SenderReply]()
            while not replies or replies[-1].status == 200:
                replies.append(await sender.block(BLOCK))
            refused, sent = replies[-1], len(replies) - 1
            assert (refused.status, refused.headers["www-authenticate"]) == (401, CHALLENGE)
            assert refused.headers.get("connection", "") != "close"
            sender.token, sender.sequence = web_token(60), sent
            going_on = await sender.block(BLOCK)
            assert going_on.status == 200
            assert going_on.json()["position"] == (sent + 1) * len(BLOCK)
            assert sender.connection is connection
            assert house.gateway.hub.snapshot().opened_calls == 1

    run(story())


def test_a_long_request_that_began_authorised_runs_on(
    run: Any, house: House, until: Callable[..., Any]
) -> None:
    async def story() -> None:
        async with (
            house.open() as gateway,
            house.sender(OLD) as sender,
            sender.streaming() as stream,
        ):
            await stream.send(BLOCK)
            await until(lambda: gateway.hub.snapshot().opened_calls)
            assert house.serve(NEW)
            await stream.send(BLOCK)
            reply = await stream.finish()
            assert reply.status == 200
            assert reply.json()["position"] == 2 * len(BLOCK)
            assert (await sender.block(BLOCK)).status == 401

    run(story())


def test_nobody_takes_over_a_call_of_somebody_else(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), house.sender(OLD) as sender:
            assert (await sender.block(BLOCK)).status == 200
            async with house.sender(OTHER, session_id=sender.session_id) as thief:
                assert (await thief.block(BLOCK, sequence=1)).status == 403
            assert (await sender.block(BLOCK)).json()["position"] == 2 * len(BLOCK)

    run(story())


def signed(sender: HttpSender, nonce: str) -> dict[str, str]:
    fields = [
        ("Audiohook-Organization-Id", ORGANIZATION),
        ("Audiohook-Session-Id", sender.session_id),
        ("Audiohook-Correlation-Id", ORGANIZATION),
        ("X-API-KEY", "k"),
    ]
    host = sender.url.split("/")[2]
    request = RequestToSign("/stream/v1/audiohook", host, fields)
    parameters = production_parameters("k", nonce, int(time.time()))
    return dict([*fields, *sign(request, SECRET, parameters)])


def test_the_audiohook_signature_opens_this_door_too_and_once(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), house.sender(None) as sender:
            used = signed(sender, secrets.token_urlsafe(16))
            sender.headers = used
            assert (await sender.block(BLOCK)).status == 200
            again = await sender.block(BLOCK)
            assert again.status == 401
            assert "www-authenticate" in again.headers
            sender.headers = signed(sender, secrets.token_urlsafe(16))
            assert (await sender.block(BLOCK, sequence=1)).status == 200
            sender.headers = {**used, "Signature": used["Signature"][::-1]}
            assert (await sender.block(BLOCK, sequence=2)).status == 401

    run(story())


def test_rotation_at_more_than_100_requests_a_second_refuses_nobody(
    run: Any, house: House, until: Callable[..., Any]
) -> None:
    """Old, both, new; the removed token is dead from the reload on, and calls go on."""

    async def story() -> None:
        async with house.open() as gateway:
            url = f"wss://127.0.0.1:{gateway.media_port}/audiohook"
            plan = CallPlan(source=Source.random("a"), credential=PeerCredential("k", SECRET))
            async with CallPeer.dial(url, plan, house.trust) as peer, house.sender(OLD) as sender:
                await peer.opened()
                statuses: Counter[int] = Counter()
                began = time.monotonic()

                async def keep_sending() -> None:
                    while True:
                        statuses[(await sender.block(SHORT_BLOCK)).status] += 1

                sending = asyncio.create_task(keep_sending())
                for step in (
                    lambda: house.serve(OLD, NEW),
                    lambda: setattr(sender, "token", NEW) is None,
                    lambda: house.serve(NEW),
                ):
                    more = statuses[200] + 60
                    await until(lambda more=more: statuses[200] >= more)
                    assert step()
                more = statuses[200] + 60
                await until(lambda: statuses[200] >= more)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                assert set(statuses) == {200}
                assert statuses[200] / (time.monotonic() - began) > 100
                async with house.sender(OLD) as late:
                    assert (await late.block(BLOCK)).status == 401
                await peer.reached(peer.position + 800)

    run(story())


def test_a_bad_reload_changes_no_credential_and_no_limit(run: Any, house: House) -> None:
    async def story() -> None:
        async with house.open(), house.sender(OLD) as sender:
            (house.directory / "jwks").write_text("{}")
            assert not house.serve(NEW)
            assert (await sender.block(BLOCK)).status == 200
            async with house.sender(web_token(60)) as issued:
                assert (await issued.block(BLOCK)).status == 200
            async with house.sender(NEW) as early:
                assert (await early.block(BLOCK)).status == 401

    run(story())
