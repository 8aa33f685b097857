"""Both dialects against a real gateway: what the fake platform probes is what we serve."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.genesys import AudioHookWish, MonitorWish, examine_endpoint
from earhook.genesys.errors import NotReached
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import Reach
from integration.genesys.world import tls_door

SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def configuration(directory: Path, authority: trustme.CA) -> Configuration:
    door = tls_door(directory, authority)
    return Configuration.model_validate(
        {
            "media": door,
            "ingest": {**door, "tokens": [{"name": "t", "token": "0123456789abcdef" * 3}]},
            "admin": {"port": 0},
            "keys": [{"api_key": "k", "secrets": [SECRET]}],
            "sinks": [{"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"}],
        }
    )


def test_what_is_provisioned_is_probed_and_reported(
    run: Any, play: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    trust = ssl.create_default_context()
    certificate_authority.configure_trust(trust)
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca")

    async def story() -> None:
        async with (
            Gateway(configuration(tmp_path, certificate_authority)) as gateway,
            play() as scene,
        ):
            scene.fake.health.examine = Reach(trust)
            url = f"wss://localhost:{gateway.media_port}/audiohook"
            wish = MonitorWish("good", url, Redacted("k"), Redacted(SECRET))
            good = await scene.cloud.integrations.provision(wish)
            assert (await scene.cloud.integrations.enable(good.id)).reported_state == "ACTIVE"

            wrong = base64.b64encode(b"another secret of thirty-two byte").decode()
            bad = await scene.cloud.integrations.provision(
                replace(wish, name="bad", client_secret=Redacted(wrong))
            )
            with pytest.raises(NotReached, match="401"):
                await scene.cloud.integrations.enable(bad.id)

            async def check(endpoint: str) -> Any:
                return await examine_endpoint(endpoint, tmp_path / "ca")

            scene.cloud.audiohooks._check = check
            ingest = f"https://localhost:{gateway.ingest_port}"
            hook = AudioHookWish("good", f"{ingest}/stream/v1/audiohook")
            assert (await scene.cloud.audiohooks.provision(hook)).status == "ENABLED"
            unfit = replace(hook, name="bad", destination_url=f"{ingest}/nowhere")
            with pytest.raises(NotReached, match="answers 404"):
                await scene.cloud.audiohooks.provision(unfit)

    run(story())
