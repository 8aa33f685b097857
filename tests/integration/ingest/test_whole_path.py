"""A whole gateway: what is posted is recorded, sample for sample, however fast it comes."""

from __future__ import annotations

import json
import random
import time
import wave
from pathlib import Path
from typing import Any

import pytest

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.media.g711 import decode_g711
from earhook.testing.http_sender import HttpSender

TOKEN = "a-token-of-a-sender"
SECONDS = 12


def configuration(folder: Path, **ingest: Any) -> Configuration:
    door = {"host": "127.0.0.1", "port": 0, "plaintext": True}
    tokens = [{"name": "sender", "token": TOKEN}]
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "ingest": door | {"tokens": tokens} | ingest,
            "sinks": [{"kind": "recording", "directory": folder / "recordings"}],
        }
    )


def url(gateway: Gateway) -> str:
    return f"http://127.0.0.1:{gateway.ingest_port}/stream/v1/audiohook"


def recorded(folder: Path) -> tuple[bytes, dict[str, Any]]:
    (heard,) = folder.rglob("*.wav")
    (sidecar,) = folder.rglob("*.json")
    with wave.open(str(heard)) as file:
        return file.readframes(file.getnframes()), json.loads(sidecar.read_text())


@pytest.mark.parametrize("way", ["stream", "block"])
def test_a_file_sent_at_once_arrives_whole(run: Any, tmp_path: Path, way: str) -> None:
    codes = random.Random(way).randbytes(SECONDS * 16_000)

    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            kind = "audio/PCMA;rate=8000;channels=2"
            async with HttpSender(url=url(gateway), content_type=kind, token=TOKEN) as sender:
                began = time.monotonic()
                if way == "stream":
                    reply = await sender.stream([codes])
                else:
                    reply = await sender.block(codes, end=True)
                assert time.monotonic() - began < SECONDS / 4
            assert reply.json()["total_samples"] == SECONDS * 8000

    run(story())
    audio, sidecar = recorded(tmp_path)
    assert audio == decode_g711(codes, "PCMA")
    assert sidecar["gaps"] == []
    assert sidecar["call"]["codec"] == "PCMA"
    assert sidecar["state"] == "complete"


def test_a_suspect_call_is_marked_wherever_it_is_shown(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path)) as gateway:
            async with HttpSender(url=url(gateway), token=TOKEN) as sender:
                await sender.block(b"RIFF\0\0\0\0WAVEfmt " + bytes(8000))
                (call,) = gateway.view.calls(0, 10).calls
                assert (call["door"], call["suspicion"]) == ("ingest", "audio/wav")
                await sender.end()

    run(story())
    assert recorded(tmp_path)[1]["suspicion"] == "audio/wav"


def test_the_gateway_ends_calls_that_fall_silent(run: Any, until: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with Gateway(configuration(tmp_path, call_idle_seconds=0.2)) as gateway:
            async with HttpSender(url=url(gateway), token=TOKEN) as sender:
                await sender.block(bytes(160))
                assert gateway.hub.live_calls == 1
                await until(lambda: gateway.hub.live_calls == 0, 4.0)
            assert gateway.hub.snapshot().closed_calls == {"timed-out": 1}

    run(story())
