"""`earhook call` against a gateway: what it sends, what it says, how it ends."""

from __future__ import annotations

import asyncio
import base64
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme

from commands import Ended, earhook
from earhook.app import Gateway
from earhook.config.schema import Configuration
from earhook.media.wav import WavFormat, build_header

earhook_call = partial(earhook, "call")
Run = Callable[[Coroutine[Any, Any, Any]], Any]
KEY, SECRET = secrets.token_urlsafe(16), base64.b64encode(secrets.token_bytes(32)).decode()


@asynccontextmanager
async def gateway(tls: dict[str, Path] | None = None, **media: Any) -> AsyncIterator[str]:
    configuration = Configuration.model_validate(
        {
            "media": {"host": "127.0.0.1", "port": 0, "tls": tls, **media},
            "admin": {"port": 0},
            "keys": [{"api_key": KEY, "secrets": [SECRET]}],
        }
    )
    async with Gateway(configuration) as running:
        scheme = "ws" if tls is None else "wss"
        yield f"{scheme}://localhost:{running.media_port}/audiohook"


@pytest.fixture
def wav(tmp_path: Path) -> str:
    audio = bytes(2 * 2 * 8000)
    path = tmp_path / "silence.wav"
    path.write_bytes(build_header(WavFormat("L16", 2, 16_000), len(audio)) + audio)
    return str(path)


def test_a_call_from_a_file_shows_its_ladder(run: Run, wav: str, tmp_path: Path) -> None:
    for name, text in (("key", KEY), ("secret", SECRET)):
        (tmp_path / name).write_text(f"{text}\n")
    files = f"--api-key-file={tmp_path}/key", f"--secret-file={tmp_path}/secret"

    async def scenario() -> Ended:
        async with gateway() as url:
            return await earhook_call(url, wav, *files, "--speed", "5")

    ended = run(scenario())
    assert ended.code == 0, ended
    order = ["open ──▶", "◀── opened", "audio ══▶", "close ──▶", "◀── closed", "went as it should"]
    places = [ended.output.index(word) for word in order]
    assert places == sorted(places)
    assert "0.500 s" in ended.output, "16,000 Hz is resampled: 8,000 samples are half a second"
    assert KEY not in ended.output
    assert SECRET not in ended.output


def test_json_says_all_of_it(run: Run, wav: str) -> None:
    conversation = "3c9a4b1e-5d27-4c66-9f10-6f0f2b7c1a55"

    async def scenario() -> Ended:
        async with gateway() as url:
            return await earhook_call(
                url, wav, "--json", "--conversation-id", conversation, "--seconds", "0.3",
                EARHOOK_API_KEY=KEY, EARHOOK_SECRET=SECRET,
            )  # fmt: skip

    ended = run(scenario())
    report = orjson.loads(ended.output)
    assert ended.code == 0
    assert report["ok"] is True
    assert report["conversation"] == conversation
    assert report["samples_sent"] == report["position"] == 2400
    assert report["opened_seconds"] > 0
    assert [rung["type"] for rung in report["ladder"]] == [
        "open",
        "opened",
        "audio",
        "close",
        "closed",
    ]


def test_a_probe(run: Run) -> None:
    async def scenario() -> Ended:
        async with gateway() as url:
            return await earhook_call(url, "--probe", EARHOOK_API_KEY=KEY, EARHOOK_SECRET=SECRET)

    ended = run(scenario())
    assert ended.code == 0
    assert "probe" in ended.output
    assert "══▶" not in ended.output


def test_tls_is_verified(
    run: Run, wav: str, tmp_path: Path, certificate_authority: trustme.CA
) -> None:
    certificate = certificate_authority.issue_cert("localhost")
    files = {"certificate": tmp_path / "crt", "private_key": tmp_path / "key"}
    files["certificate"].write_bytes(b"".join(b.bytes() for b in certificate.cert_chain_pems))
    files["private_key"].write_bytes(certificate.private_key_pem.bytes())
    authority = tmp_path / "ca"
    authority.write_bytes(certificate_authority.cert_pem.bytes())
    signed = {"EARHOOK_API_KEY": KEY, "EARHOOK_SECRET": SECRET}

    async def scenario() -> list[Ended]:
        async with gateway(files) as url:
            brief = url, wav, "--seconds", "0.1"
            return [
                await earhook_call(*brief, **signed),
                await earhook_call(*brief, "--cafile", str(authority), **signed),
                await earhook_call(*brief, "--insecure", **signed),
            ]

    unknown, trusted, insecure = run(scenario())
    assert unknown.code == 1
    assert "--cafile" in unknown.complaint
    assert (trusted.code, insecure.code) == (0, 0)


def test_what_goes_wrong_is_explained(run: Run, wav: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway() as url:
            refused = await earhook_call(url, wav, "--api-key", KEY, "--secret", "AAAA")
            assert refused.code == 1
            assert "401" in refused.complaint
            assert "clocks" in refused.complaint
        nobody = await earhook_call(url, wav)
        assert nobody.code == 1
        assert "connection refused" in nobody.complaint
        missing = await earhook_call(url, str(tmp_path / "none.wav"))
        assert missing.code == 1
        assert "No such file" in missing.complaint
        faulty = await earhook_call(
            url, wav, "--api-key", KEY, "--secret", "?", "--conversation-id", "x"
        )
        assert faulty.code == 1
        assert "base64" in faulty.complaint
        for ended in (refused, nobody, missing, faulty):
            assert "Traceback" not in ended.complaint
            assert ended.output == ""

    run(scenario())


def test_a_refusal_inside_the_session_is_a_failed_call(run: Run, wav: str) -> None:
    async def scenario() -> Ended:
        async with gateway(refusal="disconnect") as url:
            return await earhook_call(url, wav, "--api-key", KEY)

    ended = run(scenario())
    assert ended.code == 3
    assert "reason unauthorized" in ended.output


def test_ctrl_c_hangs_up(run: Run) -> None:
    async def scenario() -> None:
        async with gateway() as url:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "earhook", "call", url,
                env={"PATH": "/usr/bin", "EARHOOK_API_KEY": KEY, "EARHOOK_SECRET": SECRET},
                stdout=PIPE, stderr=PIPE,
            )  # fmt: skip
            assert process.stdout is not None
            shown = b""
            while b"opened" not in shown:
                shown += await process.stdout.readline()
            process.send_signal(signal.SIGINT)
            output, complaint = await process.communicate()
        assert process.returncode == 130
        assert complaint == b""
        assert "◀── closed" in output.decode()

    run(scenario())
