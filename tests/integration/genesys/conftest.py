"""A fake Genesys Cloud and a client of it, on a clock that only naps move."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from earhook.genesys import (
    AccountSettings,
    Finding,
    GenesysCloud,
    NetworkSettings,
    Timing,
    custom_region,
)
from earhook.testing import ManualClock
from earhook.testing.genesys import FakeGenesys, OAuthClient

SECRET = "canary-secret-71f0"


@dataclass
class Scene:
    """A fake, a client of it, and how long the client has napped."""

    fake: FakeGenesys
    cloud: GenesysCloud
    clock: ManualClock
    client: OAuthClient
    naps: list[float] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    while_napping: Callable[[], None] = lambda: None

    async def nap(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.clock.advance(seconds)
        self.while_napping()

    async def check(self, _url: str) -> list[Finding]:
        return self.findings

    def sent(self, method: str, end: str = "") -> int:
        """How many requests of a method came whose path ends so."""
        return sum(m == method and path.endswith(end) for m, path in self.fake.requests)


Play = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture
def play() -> Play:
    @asynccontextmanager
    async def playing(
        scopes: tuple[str, ...] = (), client: OAuthClient | None = None, **settings: Any
    ) -> AsyncIterator[Scene]:
        clock = ManualClock()
        fake = FakeGenesys(clock)
        client = fake.add_client(client or OAuthClient(secret=SECRET))
        secret = SecretStr(client.secret)
        account = AccountSettings(client_id=client.id, client_secret=secret, scopes=scopes)
        settings.setdefault("network", NetworkSettings(use_environment_proxies=False))
        async with fake.served():
            scene = Scene(fake, None, clock, client)  # type: ignore[arg-type]
            scene.cloud = GenesysCloud(
                custom_region(fake.url, fake.url),
                account,
                timing=Timing(clock, scene.nap, lambda: 0.5),
                check=scene.check,
                **settings,
            )
            async with scene.cloud:
                yield scene

    return playing


API_KEY = "canary-api-key"
CLIENT_SECRET = base64.b64encode(b"canary-secret-of-32-bytes-in-all").decode()
ENCRYPTION_KEY = base64.b64encode(b"canary-encryption-key-of-32-byte").decode()
Describe = Callable[..., Path]


@pytest.fixture
def describe(tmp_path: Path) -> Describe:
    """Writes a description of one integration, one AudioHook and some queues, and their keys."""

    def describing(
        integrations: str = INTEGRATION, audiohooks: str = AUDIOHOOK, queues: tuple[str, ...] = ()
    ) -> Path:
        keys = tmp_path / "keys"
        keys.mkdir(exist_ok=True)
        (keys / "api-key").write_text(f"{API_KEY}\n")
        (keys / "secret").write_text(f"{CLIENT_SECRET}\n")
        (keys / "encryption-key").write_text(f"{ENCRYPTION_KEY}\n")
        file = tmp_path / "genesys.toml"
        named = f"monitored_queues = {list(queues)}\n"
        file.write_text(named + textwrap.dedent(integrations) + textwrap.dedent(audiohooks))
        return file

    return describing


INTEGRATION = """
    [[integrations]]
    name = "monitor"
    connection_uri = "wss://gateway.example/audiohook"
    notes = "ours"
    api_key_file = "keys/api-key"
    client_secret_file = "keys/secret"
    [integrations.custom_config]
    tenant = "blue"
"""
AUDIOHOOK = """
    [[audiohooks]]
    name = "hook"
    destination_url = "https://gateway.example/ingest"
    description = "for people"
    encryption_key_file = "keys/encryption-key"
"""
