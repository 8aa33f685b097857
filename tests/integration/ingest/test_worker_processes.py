"""Calls over several worker processes: kills, stops, drains, and who is first."""

from __future__ import annotations

import asyncio
import signal
import uuid
from pathlib import Path
from typing import Any

from earhook.hub.claims import posted_name
from earhook.testing.http_sender import HttpConnection, SenderReply

from .asking import PATH, SESSION
from .test_passing import END, codes, end_of, lane, numbered
from .workers import TOKEN, Crew, crew

UNNUMBERED = {key: value for key, value in numbered(0).items() if key != "earhook-sequence"}
SHOWN = {"authorization": f"Bearer {TOKEN}"}


async def block(connection: HttpConnection, number: int, session: str = SESSION) -> SenderReply:
    headers = numbered(number) | SHOWN | {"audiohook-session-id": session}
    return await connection.ask("POST", PATH, headers, codes(number, 1600))


async def end(connection: HttpConnection) -> SenderReply:
    return await connection.ask("POST", PATH, END | SHOWN)


def lanes(*numbers: int) -> bytes:
    return b"".join(lane(codes(number, 1600)) for number in numbers)


def test_a_call_over_two_processes_is_one_recording(run: Any, tmp_path: Path) -> None:
    async def story(workers: Crew) -> None:
        ways = [await workers.connect(generation) for generation in (1, 2)]
        for number in range(20):
            status, told = end_of(await block(ways[number % 2], number))
            assert (status, told["position"]) == (200, 1600 * (number + 1))
        assert end_of(await end(ways[1]))[1]["total_samples"] == 32_000
        for way in ways:
            status, told = end_of(await block(way, 19))
            assert (status, told["duplicate"]) == (200, True)
            assert end_of(await block(way, 20))[0] == 410

    with crew(tmp_path) as workers:
        run(workers.hear(story))
        for generation in (1, 2):
            workers.signal(generation, signal.SIGTERM)
            assert workers.leave(generation) == 0
        assert workers.recorded(1) == [lanes(*range(20))]
        assert workers.recorded(2) == []


def test_when_the_owner_is_killed_the_session_begins_anew_elsewhere(
    run: Any, tmp_path: Path
) -> None:
    async def story(workers: Crew) -> None:
        first, other = await workers.connect(1), await workers.connect(2)
        assert (await block(first, 0)).status == 200
        assert (await block(other, 1)).status == 200
        # In the middle of a block that is being passed on.
        headers = numbered(2) | SHOWN | {"Content-Length": "1600"}
        lines = [f"POST {PATH} HTTP/1.1", "Host: a", *(f"{k}: {v}" for k, v in headers.items())]
        middle = await workers.connect(2)
        middle._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + codes(2, 1600)[:800])
        await until_busy(other)
        workers.kill(1)
        lost = await middle.answer()
        assert (lost.status, lost.json()) == (503, {"error": "owner-lost"})
        assert lost.headers["retry-after"] == "1"
        # Nobody has been told of the death but by the kernel.
        status, told = end_of(await block(other, 2))
        assert (status, told["position"], told["gap_samples"]) == (200, 1600, 0)
        assert workers.claims.clear(1) == 0, "it has another owner already"
        assert workers.claims.owner(posted_name(SESSION)) == 2
        assert (await block(other, 3)).status == 200
        assert end_of(await end(other))[1]["total_samples"] == 3200

    with crew(tmp_path) as workers:
        run(workers.hear(story))
        workers.signal(2, signal.SIGTERM)
        assert workers.leave(2) == 0
        assert workers.recorded(2) == [lanes(2, 3)]


def test_an_owner_that_stands_still_is_waited_for(run: Any, tmp_path: Path) -> None:
    async def story(workers: Crew) -> None:
        first, other = await workers.connect(1), await workers.connect(2)
        assert (await block(first, 0)).status == 200
        workers.signal(1, signal.SIGSTOP)
        waiting = asyncio.create_task(block(other, 1))
        # The one that passes on has time for others meanwhile.
        fresh = await workers.connect(2)
        for number in range(20):
            assert (await block(fresh, number, str(uuid.UUID(int=number)))).status == 200
        assert not waiting.done()
        workers.signal(1, signal.SIGCONT)
        assert end_of(await waiting)[1]["position"] == 3200
        assert end_of(await end(other))[1]["total_samples"] == 3200

    with crew(tmp_path) as workers:
        run(workers.hear(story))


def test_an_owner_that_drains_is_passed_to_until_its_call_ends(
    run: Any, until: Any, tmp_path: Path
) -> None:
    async def story(workers: Crew) -> None:
        first, other = await workers.connect(1), await workers.connect(2)
        assert (await block(first, 0)).status == 200
        workers.signal(1, signal.SIGTERM)
        for number in range(1, 10):
            assert (await block(other, number)).status == 200
        assert workers.processes[1].poll() is None
        assert end_of(await end(other))[1]["total_samples"] == 16_000
        await until(lambda: workers.processes[1].poll() is not None)
        # What it remembered has gone with it.
        status, told = end_of(await block(other, 0))
        assert (status, told["duplicate"], told["position"]) == (200, False, 1600)

    with crew(tmp_path) as workers:
        run(workers.hear(story))
        assert workers.leave(1) == 0
        assert workers.recorded(1) == [lanes(*range(10))]


def test_who_passes_on_a_stream_drains_after_it(run: Any, until: Any, tmp_path: Path) -> None:
    """The front has no call of its own; a stream that goes through it is not cut."""

    async def story(workers: Crew) -> None:
        first, other = await workers.connect(1), await workers.connect(2)
        assert (await block(first, 0)).status == 200
        stream = await other.begin(PATH, UNNUMBERED | SHOWN)
        await stream.send(codes(1, 800))
        await until_busy(first)
        workers.signal(2, signal.SIGTERM)
        await until_refused(workers, 2)
        await stream.send(codes(1, 1600)[800:])
        assert end_of(await stream.finish())[1]["total_samples"] == 3200

    with crew(tmp_path) as workers:
        run(workers.hear(story))
        assert workers.leave(2) == 0


async def until_busy(way: HttpConnection) -> None:
    """Another request about the call is under way."""
    async with asyncio.timeout(10):
        while True:
            stream = await way.begin(PATH, UNNUMBERED | SHOWN | {"earhook-end": "false"})
            if (await stream.finish()).status == 409:
                return


async def until_refused(workers: Crew, generation: int) -> None:
    """It has been told to stop, and has begun to."""
    async with asyncio.timeout(10):
        while True:
            way = await workers.connect(generation)
            try:
                reply = await block(way, 0, str(uuid.uuid4()))
            except (ConnectionError, asyncio.IncompleteReadError):
                continue  # it came in at the very moment
            if reply.status == 429:
                return


def test_of_many_first_blocks_at_once_each_call_has_one_owner(run: Any, tmp_path: Path) -> None:
    sessions = [str(uuid.UUID(int=number)) for number in range(100)]

    async def story(workers: Crew) -> None:
        ways = [[await workers.connect(generation) for _ in range(3)] for generation in (1, 2, 3)]
        taken: dict[str, int] = dict.fromkeys(sessions, 0)
        for turn, session in enumerate(sessions):
            asked = [block(way[turn % 3], at, session) for at, way in enumerate(ways)]
            for status, told in map(end_of, await asyncio.gather(*asked)):
                assert status == 200
                taken[session] += told["accepted_samples"]
        for turn, session in enumerate(sessions):
            way = ways[turn % 3][0]
            reply = await way.ask("POST", PATH, SHOWN | END | {"audiohook-session-id": session})
            status, told = end_of(reply)
            assert (status, told["total_samples"]) == (200, taken[session])

    with crew(tmp_path, 3) as workers:
        run(workers.hear(story))
        for generation in (1, 2, 3):
            workers.signal(generation, signal.SIGTERM)
            assert workers.leave(generation) == 0
        heard = [audio for generation in (1, 2, 3) for audio in workers.recorded(generation)]
        assert len(heard) == len(sessions)
        missing = bytes(2 * 1600)
        orders = {lanes(0, 1, 2), lanes(0) + missing + lanes(2), lanes(1, 2), lanes(2)}
        assert set(heard) <= orders
