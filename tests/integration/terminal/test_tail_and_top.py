"""`earhook tail` and `earhook top` beside a gateway with a call."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from commands import earhook
from earhook.errors import OperatorError
from earhook.terminal.admin_port import AdminAddress, PortLost
from earhook.terminal.tail import Wanted, follow_port, follow_stream
from earhook.terminal.top import first_picture
from integration.console.conftest import TOKEN, House, house

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Until = Callable[..., Coroutine[Any, Any, None]]
SIZE = {"TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
GUARDED: dict[str, Any] = {"admin": {"port": 0, "token": TOKEN}}


def address(home: House, token: str | None = None) -> AdminAddress:
    return AdminAddress(f"http://127.0.0.1:{home.gateway.admin_port}", token)


def test_tail_tells_one_call_to_its_end_and_ends_with_it(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer, other = await home.call("a"), await home.call("b")
            session, told = peer.setup.session_id, list[Mapping[str, Any]]()
            wanted = Wanted((session[:8].upper(),), history=True)
            following = asyncio.create_task(follow_port(address(home), wanted, told.append))
            await peer.reached(8000)
            peer.close()
            await following
            other.close()
        assert {event["session"] for event in told} == {session}
        assert (told[0]["type"], told[-1]["type"]) == ("opened", "closed")

    run(story())


def test_tail_tells_only_the_types_that_are_asked_for(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            conversation, told = peer.setup.conversation_id, list[Mapping[str, Any]]()
            wanted = Wanted((conversation,), frozenset({"dtmf"}))
            following = asyncio.create_task(follow_port(address(home), wanted, told.append))
            # It must have been connected: what happened before is not told.
            while not told:
                peer.press("7")
                await peer.reached(peer.position + 800)
            peer.close()
            await following
        assert {event["type"] for event in told} == {"dtmf"}
        assert {event["details"]["digit"] for event in told} == {"•"}

    run(story())


def test_a_call_that_has_ended_is_told_from_what_is_kept(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            peer.press("7")
            await peer.reached(8000)
            peer.close()
            await peer.finished()
            session, told = peer.setup.session_id, list[Mapping[str, Any]]()
            await follow_port(address(home), Wanted((session,), history=True), told.append)
            kinds = [event["type"] for event in told]
            assert (kinds[0], kinds[-1]) == ("opened", "closed")
            assert "dtmf" in kinds
            with pytest.raises(OperatorError, match="has ended"):
                await follow_port(address(home), Wanted((session,)), told.append)

    run(story())


def test_tail_of_a_pcm_stream_is_not_masked(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            told = list[Mapping[str, Any]]()
            wanted = Wanted((peer.setup.session_id,))
            stream = f"unix:{tmp_path}/pcm.sock"
            following = asyncio.create_task(follow_stream(stream, None, wanted, told.append))
            while not any(event["type"] == "dtmf" for event in told):
                peer.press("7")
                await peer.reached(peer.position + 800)
            peer.close()
            await following
        digits = [event["details"]["digit"] for event in told if event["type"] == "dtmf"]
        assert digits[0] == "7"
        assert told[-1]["type"] == "closed"

    run(story())


def test_a_call_that_is_not_there_is_said_so(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            for call in ("zz", "00000000-0000-4000-8000-000000000000"):
                with pytest.raises(OperatorError, match="no live call begins with"):
                    await follow_port(address(home), Wanted((call,)), print)
            with pytest.raises(OperatorError, match="whole session id"):
                await follow_stream("unix:/x", None, Wanted(("zz",)), print)

    run(story())


def test_top_knows_what_the_api_knows(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peers = [await home.call(seed) for seed in "abc"]
            live = await first_picture(address(home), meters=True)
            listed = await home.json("/api/v1/calls")
            assert live.totals["live"] == listed["total"] == 3
            rows = {row.session: row.as_json() for row in live.rows.values()}
            for call in listed["calls"]:
                shared = rows[call["session"]].keys() & {"conversation", "key", "codec", "opened"}
                assert len(shared) == 4
                assert all(rows[call["session"]][key] == call[key] for key in shared)
            for peer in peers:
                peer.close()

    run(story())


def test_a_token_is_asked_for_and_shown(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, **GUARDED) as home:
            for token, words in ((None, "asks for a token"), ("wrong", "not the token")):
                for asking in (
                    first_picture(address(home, token)),
                    follow_port(address(home, token), Wanted(), print),
                ):
                    with pytest.raises(OperatorError, match=words):
                        await asking
            assert (await first_picture(address(home, TOKEN))).totals["live"] == 0
            shown = await earhook(
                "top", "--json", "--admin", address(home).url, EARHOOK_ADMIN_TOKEN=TOKEN
            )
            assert orjson.loads(shown.output)["calls"] == []

    run(story())


def test_a_console_that_is_switched_off_is_said_so(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path, console={"enabled": False}) as home:
            with pytest.raises(OperatorError, match=r"is \[console\] enabled"):
                await first_picture(address(home))
            with pytest.raises(OperatorError, match=r"is \[console\] enabled"):
                await follow_port(address(home), Wanted(), print)

    run(story())


def test_no_gateway_is_said_so_without_a_traceback(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(PortLost, match="refused"):
            await first_picture(AdminAddress("http://127.0.0.1:1"))
        for command in ("top", "tail"):
            ended = await earhook(command, "--admin", "127.0.0.1:1")
            assert (ended.code, ended.output) == (1, "")
            assert "no admin port answers" in ended.complaint
            assert "Traceback" not in ended.complaint
        ended = await earhook("top", "--admin", "ftp://x")
        assert ended.code == 1
        assert "http://host:port" in ended.complaint

    run(story())


def test_tail_writes_json_lines_and_takes_ctrl_c(run: Run, tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            call = peer.setup.session_id
            command = (sys.executable, "-m", "earhook", "tail", call, "--history", "--admin")
            process = await asyncio.create_subprocess_exec(
                *command, address(home).url, stdout=PIPE, stderr=PIPE
            )
            assert process.stdout is not None
            line = orjson.loads(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, complaint = await process.communicate()
            peer.close()
        assert (line["type"], line["session"]) == ("opened", peer.setup.session_id)
        assert (process.returncode, complaint) == (130, b"")

    run(story())


@pytest.mark.parametrize(("key", "code"), [(b"q", 0), (b"\x03", 130)])
def test_top_gives_the_terminal_back(run: Run, tmp_path: Path, key: bytes, code: int) -> None:
    async def story() -> None:
        async with house(tmp_path) as home:
            peer = await home.call()
            process, ours = await in_terminal("top", "--admin", address(home).url)
            shown = await _seen(ours, peer.setup.session_id[:8].encode())
            assert b"\x1b[?1049h" in shown
            os.write(ours, key)
            await process.wait()
            assert process.returncode == code
            assert b"\x1b[?1049l" in os.read(ours, 65_536)
            os.close(ours)
            peer.close()

    run(story())


async def in_terminal(*arguments: str) -> tuple[asyncio.subprocess.Process, int]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LEADER, *arguments, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, env={**os.environ, **SIZE},
    )  # fmt: skip
    os.close(theirs)
    return process, ours


async def _seen(descriptor: int, wanted: bytes) -> bytes:
    loop, seen = asyncio.get_running_loop(), b""
    while wanted not in seen:
        seen += await loop.run_in_executor(None, os.read, descriptor, 65_536)
    return seen


_LEADER = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C is for whom the terminal belongs to
from earhook.cli import main
sys.argv = ["earhook", *sys.argv[1:]]
main()
"""
