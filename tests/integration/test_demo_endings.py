"""However `earhook demo` ends, it hangs up, cleans up, and leaves nobody behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from earhook.demo.posted import PostedCall, PostRefused
from earhook.demo.stage import Scene, Stage, staged
from earhook.demo.verdict import findings
from earhook.testing.http_sender import HttpSender, SenderReply
from earhook.testing.peer import CallPeer
from earhook.transport.dial import DialError

Run = Callable[[Coroutine[Any, Any, Any]], Any]
DEMO = (sys.executable, "-m", "earhook", "demo")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_hangs_up_when_told_to(run: Run, tmp_path: Path, number: signal.Signals) -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--calls", "2", "--recordings", "here",
            cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        await process.stdout.readline()
        process.send_signal(number)
        output, complaints = await process.communicate()
        assert (process.returncode, complaints) == (128 + number, b"")
        assert "✓ 3 of 3 calls were opened, held and closed" in output.decode()
        assert "✗" not in output.decode()

    run(scenario())
    assert list(tmp_path.glob("earhook-*")) == []


def test_the_analysis_does_not_outlive_a_demo_that_was_killed(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="it is not installed")

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            *DEMO, "--analyze", "--keep-open", "--calls", "1", "--recordings", "here",
            cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=PIPE, stderr=PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        while b"console" not in await process.stdout.readline():
            pass
        descriptor, gone = os.pidfd_open(analysis_of(process.pid)), asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        process.kill()
        await process.communicate()
        async with asyncio.timeout(60):
            await gone.wait()
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    run(scenario())


def analysis_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (analysis,) = [
        int(child)
        for child in children
        if b"analyze" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return analysis


def test_ctrl_c_while_a_command_is_imported_leaves_no_traceback(run: Run) -> None:
    program = """if True:
        import os, signal, sys
        class Finder:
            def find_spec(name, *rest):
                if name == "earhook.cli":
                    os.kill(os.getpid(), signal.SIGINT)
        sys.meta_path.insert(0, Finder)
        from earhook.__main__ import main
        main()
    """

    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, stdout=PIPE, stderr=PIPE
        )
        assert await process.communicate() == (b"", b"")
        assert process.returncode == -signal.SIGINT

    run(scenario())


@pytest.mark.parametrize("at", [1, 2, 3])
def test_what_was_begun_is_in_the_books_and_the_rest_is_not_placed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Hung up while a call is being placed: dialled and not yet open, or in its first block."""
    connect, send = CallPeer.connect, HttpSender.block

    async def scenario() -> Stage:
        async with staged(Scene(calls=2, seconds=30.0, recordings=tmp_path)) as stage:

            async def connect_and_hang_up(url: str, plan: Any) -> CallPeer:
                peer = await connect(url, plan)
                if len(stage.peers) == at - 1:
                    stage.hang_up()
                return peer

            async def send_and_hang_up(sender: HttpSender, block: bytes) -> SenderReply:
                if at == 3:
                    stage.hang_up()
                return await send(sender, block)

            monkeypatch.setattr(CallPeer, "connect", connect_and_hang_up)
            monkeypatch.setattr(HttpSender, "block", send_and_hang_up)
            await stage.play()
            await stage.settle()
        return stage

    stage = run(scenario())
    assert len(stage.peers) == at
    assert [finding.text for finding in findings(stage) if not finding.holds] == []


def test_a_pause_that_is_cut_short_is_in_the_books(
    run: Run, tmp_path: Path, until: Callable[..., Coroutine[Any, Any, None]]
) -> None:
    async def scenario() -> Stage:
        async with staged(Scene(calls=1, seconds=5.0, recordings=tmp_path)) as stage:
            playing = asyncio.create_task(stage.play())
            await until(lambda: any(peer.record.withheld for peer in stage.peers.values()))
            stage.hang_up()
            await playing
            await stage.settle()
        return stage

    verdict = list(findings(run(scenario())))
    assert [finding.text for finding in verdict if not finding.holds] == []
    assert any("is a gap, and silence in the file" in finding.text for finding in verdict)


def test_a_call_that_is_refused_is_placed_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def scenario() -> Stage:
        async with staged(Scene(calls=1, seconds=1.5, recordings=tmp_path)) as stage:
            refuse_first(monkeypatch, lambda: told.append(stage.trouble))
            await stage.play()
            await stage.settle()
        return stage

    stage = run(scenario())
    assert {text.split(";")[0] for text in told if text} == {
        "the gateway was busy and refused a call (503)",
        "the gateway was busy and refused a call (429)",
    }
    assert (len(stage.peers), stage.refusals, stage.trouble) == (2, 3, "")
    verdict = list(findings(stage))
    assert all(finding.holds for finding in verdict)
    assert "calls were refused 3 times and placed again" in verdict[0].text


def refuse_first(monkeypatch: pytest.MonkeyPatch, look: Callable[[], object]) -> None:
    """Let the gateway refuse a call over WebSocket twice, and one by POST once."""
    monkeypatch.setattr("earhook.demo.stage.AGAIN_SECONDS", 0.01)
    connect, begin = CallPeer.connect, PostedCall.begin
    refusals = {"connect": 2, "begin": 1}

    async def refusing_connect(url: str, plan: Any) -> CallPeer:
        look()
        refusals["connect"] -= 1
        if refusals["connect"] >= 0:
            raise DialError("http", "full", 503)
        return await connect(url, plan)

    async def refusing_begin(call: PostedCall) -> None:
        look()
        refusals["begin"] -= 1
        if refusals["begin"] >= 0:
            raise PostRefused(429, "busy")
        await begin(call)
        look()

    monkeypatch.setattr(CallPeer, "connect", refusing_connect)
    monkeypatch.setattr(PostedCall, "begin", refusing_begin)


def test_a_call_that_is_never_let_in_is_counted_and_explained(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earhook.demo.stage.PATIENCE_SECONDS", 0.0)

    async def refuse(_url: str, _plan: Any) -> CallPeer:
        raise DialError("http", "answered HTTP 503", 503)

    monkeypatch.setattr(CallPeer, "connect", refuse)

    async def scenario() -> Stage:
        async with staged(Scene(calls=1, seconds=1.5, recordings=tmp_path)) as stage:
            await stage.play()
            await stage.settle()
        return stage

    failed = [finding.text for finding in findings(run(scenario())) if not finding.holds]
    assert failed == [
        "1 call could not be placed: answered HTTP 503",
        "1 of 2 calls were opened, held and closed",
    ]
