"""`earhook doctor`: exit codes, JSON, and what it must not say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from commands import Ended, earhook
from earhook.doctor import Step

from .certificates import LEAF, ROOT, issue
from .servers import closed_port
from .ward import API_KEY, SECRET, SECRET_BASE64, TOKEN, audiohook, gateway

earhook_doctor = partial(earhook, "doctor")
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def test_a_gateway_with_tls_to_the_last_sample(run: Run, tmp_path: Path) -> None:
    certificate, key = LEAF.write(tmp_path, LEAF.above[:-1])
    (tmp_path / "public.pem").write_bytes(ROOT.pem)
    (tmp_path / "key").write_text(f"{API_KEY}\n")
    (tmp_path / "secret").write_text(f"{SECRET_BASE64}\n")
    sink = f"unix:{tmp_path}/pcm.sock"

    async def scenario() -> Ended:
        tls = {"certificate": certificate, "private_key": key}
        sinks = [{"kind": "pcm-stream", "listen": sink, "token": TOKEN}]
        async with gateway(media={"tls": tls}, sinks=sinks) as running:
            return await earhook_doctor(
                f"wss://localhost:{running.media_port}/audiohook?ticket=canary-query",
                f"--api-key-file={tmp_path}/key", f"--secret-file={tmp_path}/secret",
                "--seconds", "0.4", "--verify", sink, "--json",
                SSL_CERT_FILE=str(tmp_path / "public.pem"), EARHOOK_PCM_TOKEN=TOKEN,
            )  # fmt: skip

    ended = run(scenario())
    assert ended.code == 0, ended
    assert ended.complaint == ""
    report = orjson.loads(ended.output)
    assert (report["ok"], report["faults"]) == (True, 0)
    assert report["url"].endswith("/audiohook?…")
    assert [finding["step"] for finding in report["findings"]] == list(Step)
    judged = {finding["step"]: finding["verdict"] for finding in report["findings"]}
    assert judged.pop("name") == "warning", "loopback is no address of the internet"
    assert set(judged.values()) == {"ok"}, judged
    for secret in (API_KEY, SECRET.decode(), SECRET_BASE64, TOKEN, "canary"):
        assert secret not in ended.output


def test_a_fault_ends_with_3_and_says_what_to_do(run: Run) -> None:
    ended = run(earhook_doctor(f"wss://localhost:{closed_port()}/audiohook"))
    assert ended.code == 3
    assert ended.complaint == ""
    assert "fault    tcp: " in ended.output
    assert "start the server" in ended.output
    assert "skipped  tls: no connection came about" in ended.output
    assert "1 to cure" in ended.output


def test_what_cannot_be_used_ends_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    (tmp_path / "half.pem").write_bytes(issue("half").pem)

    async def scenario() -> list[Ended]:
        return await asyncio.gather(
            earhook_doctor("ftp://x"),
            earhook_doctor("wss://user:canary-password@x/"),
            earhook_doctor("wss://x", "--organization-id", "x"),
            earhook_doctor("wss://x", "--token", TOKEN),
            earhook_doctor("wss://x", "--verify", "somewhere"),
            earhook_doctor("wss://x", f"--cafile={tmp_path}/none.pem",
                           f"--certificate={tmp_path}/half.pem"),
            earhook_doctor("https://x", f"--token-file={tmp_path}/absent"),
        )  # fmt: skip

    for ended in run(scenario()):
        assert ended.code == 1, ended
        assert ended.output == ""
        assert "to correct" in ended.complaint
        assert "Traceback" not in ended.complaint
        assert "canary" not in ended.complaint


def test_people_get_a_list(run: Run) -> None:
    async def scenario() -> Ended:
        async with gateway() as running:
            secret = {"EARHOOK_API_KEY": API_KEY, "EARHOOK_SECRET": SECRET_BASE64}
            return await earhook_doctor(audiohook(running), "--seconds", "0.2", **secret)

    ended = run(scenario())
    assert ended.code == 0, ended
    assert "ok       credentials: the signature was accepted" in ended.output
    assert API_KEY not in ended.output
