"""`earhook genesys plan … destroy` against the fake: what is printed, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from earhook.app import Gateway
from earhook.cli.main import app
from earhook.config.schema import Configuration
from earhook.genesys import AudioHookWish
from earhook.testing.genesys import FakeGenesys, LifeCycle, OAuthClient, Reach
from integration.genesys.world import tls_door

RUNNER = CliRunner()
CANARY = "canary-oauth-secret"
HOOK = AudioHookWish("hook", "https://h.example/ingest")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGION", "URL", "CLIENT_ID", "CLIENT_SECRET", "PROXY", "FILE"):
        monkeypatch.delenv(f"EARHOOK_GENESYS_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def environment(fake: Any) -> dict[str, str]:
    client = fake.add_client(OAuthClient("by-hand", CANARY))
    return {
        "EARHOOK_GENESYS_URL": fake.url,
        "EARHOOK_GENESYS_CLIENT_ID": client.id,
        "EARHOOK_GENESYS_CLIENT_SECRET": CANARY,
    }


async def earhook(scene: Any, *words: str, answer: str = "") -> Any:
    """Run a command in this process; no secret is in whatever it says."""
    result = await asyncio.to_thread(
        RUNNER.invoke, app, ["genesys", *words], env=environment(scene.fake), input=answer
    )
    assert "canary" not in f"{result.output}{result.exception}"
    return result


def test_the_whole_way_against_a_real_gateway_as_a_process(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    trust = ssl.create_default_context()
    certificate_authority.configure_trust(trust)
    certificate_authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async def story() -> None:
        fake = FakeGenesys()
        fake.health.examine = Reach(trust)
        fake.health.after_seconds = 0.0
        prepared = _prepare(tmp_path, certificate_authority)
        async with Gateway(prepared) as gateway, fake.served():
            _describe(tmp_path, gateway.media_port or 0, gateway.ingest_port or 0)

            async def earhook(*words: str) -> tuple[int, dict[str, Any]]:
                return await asyncio.to_thread(_process, tmp_path, environment(fake), words)

            ends = ("--watch-seconds", "0.5", "--endpoint-cafile", str(tmp_path / "ca.pem"))
            code, plan = await earhook("plan", "--json")
            assert code == 3
            planned = [(one["action"], one["name"]) for one in plan["changes"]]
            code, applied = await earhook("apply", "--json", *ends)
            assert code == 0, applied
            assert [(one["action"], one["name"]) for one in applied["outcomes"]] == planned
            code, probed = await earhook("probe", "--json", *ends)
            assert code == 0, probed
            platform = [one["platform"] for one in probed["probed"]]
            assert platform == ["reports ACTIVE", "reports ENABLED"]
            code, seen = await earhook("status", "--json", "--file", str(tmp_path / "genesys.toml"))
            assert (code, seen["well"], seen["changes"]) == (0, True, [])
            assert seen["room_for_integrations"] == 4
            code, gone = await earhook("destroy", "--yes", "--json")
            assert (code, gone["gone"]) == (0, True)
            assert not fake.organization.integrations
            assert not fake.organization.credentials
            assert not fake.organization.audiohooks

    run(story())


def _process(
    directory: Path, variables: dict[str, str], words: tuple[str, ...]
) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "earhook", "genesys", *words],
        env={
            **os.environ,
            **variables,
            "EARHOOK_GENESYS_FILE": str(directory / "genesys.toml"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    keys = [path.read_text().strip() for path in (directory / "keys").iterdir()]
    assert not any(key in done.stdout + done.stderr for key in (CANARY, *keys))
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _prepare(directory: Path, authority: trustme.CA) -> Configuration:
    """A gateway that reads the keys which were made for the description."""
    _describe(directory, 1, 1)
    made = RUNNER.invoke(app, ["genesys", "keys", str(directory / "genesys.toml")])
    assert made.exit_code == 0
    door = tls_door(directory, authority)
    key = {
        "api_key_file": directory / "keys/api-key",
        "secret_files": [directory / "keys/secret"],
    }
    return Configuration.model_validate(
        {
            "media": door,
            "ingest": {**door, "tokens": [{"name": "t", "token": "0123456789abcdef" * 3}]},
            "admin": {"port": 0},
            "keys": [key],
            "sinks": [{"kind": "pcm-stream", "listen": f"unix:{directory}/pcm.sock"}],
        }
    )


def _describe(directory: Path, media_port: int, ingest_port: int) -> None:
    (directory / "genesys.toml").write_text(
        f"""
        [[integrations]]
        name = "monitor"
        connection_uri = "wss://localhost:{media_port}/audiohook"
        api_key_file = "keys/api-key"
        client_secret_file = "keys/secret"
        [[audiohooks]]
        name = "hook"
        destination_url = "https://localhost:{ingest_port}/stream/v1/audiohook"
        """
    )


def test_a_plan_is_shown_to_people_and_faults_of_both_sides_at_once(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            file = str(describe())
            shown = await earhook(scene, "plan", file)
            assert shown.exit_code == 3
            for part in ("+ create integration 'monitor'", "connection_uri", "> enable audiohook"):
                assert part in shown.stdout
            assert not scene.fake.organization.integrations

    run(story())
    broken = describe()
    broken.write_text('regoin = "canary"\n' + broken.read_text())
    bare = RUNNER.invoke(app, ["genesys", "plan", str(broken)])
    where = [fault.where for fault in getattr(bare.exception, "faults", ())]
    assert where == ["regoin", "--client-id"]
    assert "canary" not in str(bare.exception)


def test_destroying_asks_and_no_leaves_everything(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            await scene.cloud.audiohooks.create(HOOK)
            file = str(describe(integrations=""))
            refused = await earhook(scene, "destroy", file, answer="n\n")
            assert refused.exit_code == 1
            assert "hook" in refused.output
            assert scene.fake.organization.audiohooks
            agreed = await earhook(scene, "destroy", file, answer="y\n")
            assert agreed.exit_code == 0
            assert not scene.fake.organization.audiohooks
            nothing = await earhook(scene, "destroy", file)
            assert (nothing.exit_code, nothing.stdout) == (0, "nothing of it is there\n")

    run(story())


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (LifeCycle.ALERTING, 3),
        (LifeCycle.CONNECTED, 0),
        (LifeCycle.HELD, 0),
        (LifeCycle.DISCONNECTING, 3),
        (LifeCycle.DISCONNECTED, 3),
    ],
)
def test_binding_depends_on_the_state_of_the_conversation(
    run: Any, play: Any, state: LifeCycle, code: int
) -> None:
    async def story() -> None:
        async with play() as scene:
            made = await scene.cloud.audiohooks.create(HOOK)
            await scene.cloud.audiohooks.write(made.id, HOOK, "ENABLED")
            conversation = scene.fake.begin_conversation(state)
            bound = await earhook(scene, "bind", conversation.id, "--json")
            assert bound.exit_code == code
            told = json.loads(bound.stdout)
            assert told["state"] == state
            assert told["bound"] is (code == 0)
            assert conversation.bound == ([made.id] if code == 0 else [])
            assert scene.sent("POST", "/events") == (1 if code == 0 else 0)

    run(story())


def test_binding_says_what_is_missing(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            conversation = scene.fake.begin_conversation(LifeCycle.CONNECTED)
            nothing = await earhook(scene, "bind", conversation.id)
            assert "there is none yet" in str(nothing.exception)
            made = await scene.cloud.audiohooks.create(HOOK)
            disabled = await earhook(scene, "bind", conversation.id)
            assert disabled.exit_code == 3
            assert "is DISABLED" in disabled.stderr
            await scene.cloud.audiohooks.write(made.id, HOOK, "ENABLED")
            nobody = await earhook(scene, "bind", made.id, "--json")
            assert nobody.exit_code == 3
            conversation.conflicts = 9
            lasting = await earhook(scene, "bind", conversation.id, "--conflict-seconds", "0")
            assert lasting.exit_code == 3
            assert "the conflict has lasted" in lasting.stderr

    run(story())


def test_binding_waits_for_the_connection_and_sits_out_a_conflict(
    run: Any, until: Any, play: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            made = await scene.cloud.audiohooks.create(HOOK)
            await scene.cloud.audiohooks.write(made.id, HOOK, "ENABLED")
            conversation = scene.fake.begin_conversation()
            conversation.conflicts = 1
            binding = asyncio.create_task(
                earhook(scene, "bind", conversation.id, "--wait-connected")
            )
            await until(lambda: scene.sent("GET", conversation.id))
            assert not scene.sent("POST", "/events"), "nothing is bound before it is connected"
            conversation.state = LifeCycle.CONNECTED
            bound = await binding
            assert bound.exit_code == 0
            assert bound.stdout == f"bound hook to {conversation.id}, which is connected\n"
            assert scene.sent("POST", "/events") == 2
            assert "… binding hook" in bound.stderr

    run(story())


def test_authorities_that_cannot_be_read_are_told_by_their_option(
    run: Any, play: Any, describe: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        async with play() as scene:
            nowhere = ("--endpoint-cafile", str(tmp_path / "nowhere"))
            result = await earhook(scene, "apply", str(describe()), *nowhere)
            (fault,) = getattr(result.exception, "faults", ())
            assert fault.where == "--endpoint-cafile"

    run(story())


def test_recording_is_paused_and_resumed(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            conversation = scene.fake.begin_conversation(LifeCycle.CONNECTED)
            paused = await earhook(scene, "pause", conversation.id)
            assert (paused.exit_code, conversation.recording) == (0, "PAUSED")
            resumed = await earhook(scene, "resume", conversation.id, "--json")
            assert json.loads(resumed.stdout)["recording"] == conversation.recording == "ACTIVE"
            conversation.state = LifeCycle.DISCONNECTED
            over = await earhook(scene, "pause", conversation.id)
            assert over.exit_code == 3
            nobody = await earhook(scene, "resume", "00000000-0000-4000-8000-000000000000")
            assert nobody.exit_code == 3

    run(story())


def test_watching_tells_lines_and_ends_as_it_saw(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            await scene.cloud.audiohooks.create(HOOK)
            span = ("--every", "0.05", "--seconds", "0.1")
            calm = await earhook(scene, "watch", "--json", *span)
            assert calm.exit_code == 0
            (line,) = calm.stdout.splitlines()
            told = json.loads(line)
            assert (told["kind"], told["state"], told["title"]) == (
                "audiohooks",
                "DISABLED",
                "hook",
            )
            (hook,) = scene.fake.organization.audiohooks.values()
            hook["statusReason"] = "no answer\x1b[31m"
            bad = await earhook(scene, "watch", *span)
            assert bad.exit_code == 3
            assert "no answer" in bad.stdout
            assert "\x1b" not in bad.stdout

    run(story())


def test_files_are_written_without_asking_anybody(tmp_path: Path) -> None:
    example = RUNNER.invoke(app, ["genesys", "example"])
    file = tmp_path / "genesys.toml"
    file.write_text(example.stdout)
    gateway = tmp_path / "earhook.toml"
    gateway.write_text("")
    for expected in (["earhook"], []):
        words = ["genesys", "keys", str(file), "--gateway", str(gateway), "--json"]
        made = RUNNER.invoke(app, words)
        assert made.exit_code == 0
        told = json.loads(made.stdout)
        assert told["gateway_keys_added"] == expected
        assert len(told["made"]) == 2 * len(expected)
    module = tmp_path / "module"
    written = RUNNER.invoke(app, ["genesys", "terraform", str(file), "-o", str(module)])
    assert written.exit_code == 0
    assert sorted(path.name for path in module.iterdir()) == [
        *("main.tf", "outputs.tf", "variables.tf", "versions.tf")
    ]
    secrets = [path.read_text().strip() for path in (tmp_path / "keys").iterdir()]
    assert not any(one in path.read_text() for path in module.iterdir() for one in secrets)
    again = RUNNER.invoke(app, ["genesys", "terraform", str(file), "-o", str(module)])
    assert again.exit_code == 1


@pytest.mark.parametrize(
    "command", ["plan", "apply", "probe", "destroy", "status", "bind", "pause", "resume", "watch"]
)
def test_every_command_says_how_it_ends(command: str) -> None:
    page = RUNNER.invoke(app, ["genesys", command, "--help"]).stdout
    assert "Ends with 0" in page
    assert "--json" in page
