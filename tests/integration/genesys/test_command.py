"""`earhook genesys` against the fake: what it prints, what it writes, how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from earhook.cli.main import app
from earhook.genesys import MonitorWish
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import OAuthClient

RUNNER = CliRunner()
CANARY = "canary-secret-71f0"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "URL", "CLIENT_ID", "CLIENT_SECRET", "PROXY"):
        monkeypatch.delenv(f"EARHOOK_GENESYS_{name}", raising=False)


async def earhook(scene: Any, *arguments: str, secret: str = CANARY) -> Any:
    environment = {
        "EARHOOK_GENESYS_URL": scene.fake.url,
        "EARHOOK_GENESYS_CLIENT_ID": scene.client.id,
        "EARHOOK_GENESYS_CLIENT_SECRET": secret,
        "NO_PROXY": "127.0.0.1",
    }
    words = ["genesys", *arguments]
    result = await asyncio.to_thread(RUNNER.invoke, app, words, env=environment)
    assert "canary" not in result.output
    return result


def test_the_networks_are_printed_and_written(run: Any, play: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.organization.ip_ranges += [
                {"cidr": "192.0.2.0/24", "service": service, "region": region}
                for service, region in [
                    ("audiohook", "eu-west-1"),
                    ("audio-connector", "eu-west-1"),
                    ("smtp", "eu-west-1"),
                ]
            ]
            shown = await earhook(scene, "ip-ranges")
            assert (shown.exit_code, shown.stdout) == (0, "192.0.2.0/24\n")
            as_json = await earhook(scene, "ip-ranges", "--json")
            assert len(json.loads(as_json.stdout)["ip_ranges"]) == 2
            file = tmp_path / "networks.txt"
            written = await earhook(scene, "ip-ranges", "-o", str(file))
            assert written.stdout == f"1 networks written to {file}\n"
            assert file.read_text().splitlines()[1:] == ["192.0.2.0/24"]
            # An answer without any network leaves the list as it was.
            empty = await earhook(scene, "ip-ranges", "-o", str(file), "--aws-region", "nowhere")
            assert empty.exit_code != 0
            assert "192.0.2.0/24" in file.read_text()

    run(story())
    assert [path.name for path in tmp_path.iterdir()] == ["networks.txt"]


def test_the_state_is_shown_and_decides_the_exit_code(run: Any, play: Any) -> None:
    wish = MonitorWish("mine", "wss://h.example/audiohook", Redacted("canary-key"))

    async def refuse(_endpoint: Any) -> str:
        return "handshake failed"

    async def story() -> None:
        async with play(client=OAuthClient(secret=CANARY, scopes=frozenset({"other"}))) as scene:
            made = await scene.cloud.integrations.provision(wish)
            calm = await earhook(scene, "status")
            assert calm.exit_code == 0
            assert "INACTIVE  mine" in calm.stdout
            assert "audiohooks: not seen" in calm.stdout
            assert "audiohook:read" in calm.stdout

            scene.fake.health.examine = refuse
            await scene.cloud.integrations.switch(made.id, "ENABLED")
            await scene.cloud.integrations.watch(made.id)
            bad = await earhook(scene, "status", "--json")
            assert bad.exit_code == 3
            report = json.loads(bad.stdout)
            assert report["integrations"][0]["reason"] == "handshake failed"
            assert not report["well"]

    run(story())


def test_a_refused_login_and_missing_options_are_told(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            refused = await earhook(scene, "status", secret="another")
            assert "check client id, secret and region" in str(refused.exception)

    run(story())
    bare = RUNNER.invoke(app, ["genesys", "status"])
    faults = getattr(bare.exception, "faults", ())
    assert [fault.where for fault in faults] == ["--region", "--client-id"]


def test_the_fake_is_served_until_it_is_interrupted() -> None:
    words = [sys.executable, "-m", "earhook", "genesys", "fake"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        lines = [served.stdout.readline().strip() for _ in range(3)]
        environment = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        shown = RUNNER.invoke(app, ["genesys", "ip-ranges"], env=environment)
        served.send_signal(signal.SIGINT)
        served.wait(20)
    assert (shown.exit_code, shown.stdout) == (0, "127.0.0.1/32\n")
    assert served.returncode == 0
