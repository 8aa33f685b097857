"""Every command of `docs/howto/send-over-https.md`, run as it stands against a whole gateway."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import shutil
import sys
import wave
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.media.g711 import decode_g711
from earhook.media.wav import WavFormat, read_header

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto" / "send-over-https.md"
SPEECH = ROOT / "python" / "earhook" / "demo" / "speech.wav"
OPUS = ROOT / "rust" / "earhook-audio" / "tests" / "data" / "mono.opus"
RECIPES = dict(
    re.findall(
        r"<!-- recipe: (\w+) -->\n```sh\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
)
TOKEN = "a-token-of-the-first-sender"
SECONDS = 4
SAMPLES = SECONDS * 8000
BLOCK = 1600


class Ran(NamedTuple):
    """What came of a recipe: its answers, and the recording of the only call."""

    text: str
    answers: list[dict[str, Any]]
    external: bytes
    internal: bytes
    sidecar: dict[str, Any]


def call_codes() -> bytes:
    """The customer's side of the demo's conversation, as it lies in the file."""
    with SPEECH.open("rb") as file:
        header = read_header(file)
        assert header.format == WavFormat("PCMU", 2, 8000)
        file.seek(header.audio_offset)
        return file.read(2 * SAMPLES)[::2]


CODES = call_codes()
PCM = decode_g711(CODES, "PCMU")


def configuration(folder: Path, authority: trustme.CA) -> Configuration:
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    (folder / "payload.key").write_bytes(base64.b64encode(bytes(range(32))))
    (folder / "payload.key").chmod(0o600)
    (folder / "call.ulaw").write_bytes(CODES)
    shutil.copy(OPUS, folder / "call.opus")
    tls = {"certificate": folder / "certificate.pem", "private_key": folder / "key.pem"}
    return Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0},
            "admin": {"port": 0},
            "ingest": {
                "host": "127.0.0.1",
                "port": 0,
                "tls": tls,
                "tokens": [{"name": "first-sender", "token": TOKEN}],
                "encryption_keys": [{"key_id": "2026-01", "key_file": folder / "payload.key"}],
            },
            "sinks": [
                {"kind": "recording", "directory": folder / "recordings"},
                {"kind": "pcm-stream", "listen": f"unix:{folder}/pcm.sock"},
            ],
        }
    )


@asynccontextmanager
async def gateway_in(folder: Path, authority: trustme.CA) -> Any:
    async with Gateway(configuration(folder, authority)) as gateway:
        yield gateway
    snapshot = gateway.hub.snapshot()
    assert snapshot.unbalanced_calls == 0


async def run_recipe(name: str, folder: Path, authority: trustme.CA) -> Ran:
    async with gateway_in(folder, authority) as gateway:
        environment = os.environ | {
            "URL": f"https://localhost:{gateway.ingest_port}/stream/v1/audiohook",
            "TOKEN": TOKEN,
            "CURL_CA_BUNDLE": str(folder / "authority.pem"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "no_proxy": "localhost",
        }
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", RECIPES[name]),
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await shell.communicate()
        assert shell.returncode == 0, f"{name}: {said.decode()} {wrong.decode()}"
    text = said.decode()
    answers = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return Ran(text, answers, *recorded(folder / "recordings"))


def recorded(folder: Path) -> tuple[bytes, bytes, dict[str, Any]]:
    sidecars = list(folder.rglob("*.json"))
    if not sidecars:
        return b"", b"", {}
    assert len(sidecars) == 1
    (heard,) = folder.rglob("*.wav")
    with wave.open(str(heard)) as file:
        assert (file.getnchannels(), file.getframerate()) == (2, 8000)
        frames = memoryview(file.readframes(file.getnframes())).cast("h")
    return bytes(frames[::2]), bytes(frames[1::2]), json.loads(sidecars[0].read_text())


def check_check(ran: Ran) -> None:
    assert ran.text.startswith("HTTP/1.1 200")
    assert "Strict-Transport-Security" in ran.text
    assert ran.sidecar == {}


def check_whole(ran: Ran) -> None:
    assert ran.external == PCM
    assert not any(ran.internal)
    assert ran.sidecar["state"] == "complete"
    assert ran.sidecar["reason"] == "completed"
    assert ran.sidecar["call"]["key"] == "first-sender"
    assert ran.answers[-1]["total_samples"] == SAMPLES
    assert ran.answers[-1]["ended"] is True


def check_ogg(ran: Ran) -> None:
    (answer,) = ran.answers
    assert answer["total_samples"] * 2 == len(ran.external)
    assert len(set(memoryview(ran.external).cast("h"))) > 100, "it is no silence"
    assert ran.sidecar["state"] == "complete"


def check_connection(ran: Ran) -> None:
    assert ran.external == PCM
    assert [answer["sequence"] for answer in ran.answers] == list(range(SAMPLES // BLOCK))
    assert all(answer["accepted_samples"] == BLOCK for answer in ran.answers)
    assert len({answer["conversation"] for answer in ran.answers}) == 1


def check_gap(ran: Ran) -> None:
    first, missing, rest = (
        PCM[2 * BLOCK * number : 2 * BLOCK * (number + 1)] for number in range(3)
    )
    assert ran.external == first + bytes(len(missing)) + rest
    gaps = [(answer["gap_samples"], answer["duplicate"]) for answer in ran.answers]
    assert gaps == [(0, False), (BLOCK, False), (0, True)]
    assert "missing" in json.dumps(ran.sidecar)


def check_ids(ran: Ran) -> None:
    assert (ran.internal, any(ran.external)) == (PCM, False)
    call = ran.sidecar["call"]
    assert call["organization"] == "d7934305-0972-4844-938e-9060eef73d05"
    assert call["conversation"] == "090eaa2f-72fa-480a-83e0-8667ff89c0ec"
    assert call["session"] == "6f1f8e0a-6f0c-4b6e-9a53-0c3f5b1a2d4e"
    assert ran.answers[0]["correlation"] == "e160e428-53e2-487c-977d-96989bf5c99d"


CHECKS: dict[str, Callable[[Ran], None]] = {
    "check": check_check,
    "stream": check_whole,
    "ogg": check_ogg,
    "blocks": check_whole,
    "connection": check_connection,
    "gap": check_gap,
    "encrypted": check_whole,
    "ids": check_ids,
}


def test_every_command_of_the_page_is_run() -> None:
    assert shutil.which("curl"), "curl is needed: apt-get install curl"
    assert RECIPES.keys() == CHECKS.keys()
    assert PAGE.read_text().count("```sh") == len(RECIPES)


@pytest.mark.parametrize("name", CHECKS)
def test_recipe(run: Any, name: str, tmp_path: Path, certificate_authority: trustme.CA) -> None:
    CHECKS[name](run(run_recipe(name, tmp_path, certificate_authority)))
