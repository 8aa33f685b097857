"""One sender with a good credential against all the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from earhook.ids import KeyName
from earhook.ingest.credentials import Accepted, IngestRequest, Verdict
from earhook.ingest.held import HeldBlocks
from earhook.ingest.refusal import Refusal
from earhook.ingest.settings import IngestSettings
from earhook.ingest.turns import Turns
from tests.integration.ingest.asking import PCMU, AskedExchange, House

ORGANIZATIONS = {
    "ours": "aaaaaaaa-0000-4000-8000-000000000000",
    "theirs": "bbbbbbbb-0000-4000-8000-000000000000",
}
OURS = {"authorization": "Bearer ours"}
THEIRS = {"authorization": "Bearer theirs"}
BLOCK = b"\xff" * 160


class SharedHouse(House):
    """Two parties with tokens of one issuer, which does not say who a token was issued to."""

    async def authenticate(self, request: IngestRequest, wall_seconds: float) -> Verdict:
        whose = (request.head.value("authorization") or "Bearer ours").removeprefix("Bearer ")
        return Accepted(KeyName("issuer"), b"issuer", frozenset({ORGANIZATIONS[whose]}))


async def settle() -> None:
    """Let everybody who can go on do so."""
    loop = asyncio.get_running_loop()
    for _ in range(20):
        gone = loop.create_future()
        loop.call_soon(gone.set_result, None)
        await gone


def test_a_call_is_its_organizations_whatever_a_token_says_of_its_sender(run: Any) -> None:
    async def story() -> None:
        house = SharedHouse()
        reply, _ = await house.ask(PCMU | OURS, BLOCK)
        assert reply.status == 200
        mark = {"earhook-end": "true"}
        for headers, body in ((PCMU, BLOCK), (PCMU, None), (PCMU | mark, b"")):
            reply, fields = await house.ask(headers | THEIRS, body)
            assert (reply.status, fields) == (403, {"error": "organization"})
        assert house.hub.snapshot().live[0].facts.organization_id == ORGANIZATIONS["ours"]
        reply, fields = await house.ask(PCMU | OURS | mark, b"")
        assert (reply.status, fields["total_samples"]) == (200, 160)
        reply, fields = await house.ask(PCMU | THEIRS | mark, b"")
        assert (reply.status, fields) == (403, {"error": "organization"}), "of a call that ended"

    run(story())


def test_false_timestamps_close_the_door_for_nobody_else(run: Any) -> None:
    async def story() -> None:
        house = SharedHouse()

        def stamped(seconds: float) -> dict[str, str]:
            wall = house.clock.wall_seconds() - seconds
            return {"x-genesys-cloud-timestamp": str(int(wall * 1000))}

        for _ in range(600):
            reply, _ = await house.ask(PCMU | THEIRS | stamped(80_000.0), BLOCK)
            assert reply.status == 200
            house.clock.advance(0.01)
        new_call = {"content-type": "audio/PCMU"}
        reply, fields = await house.ask(new_call | THEIRS, BLOCK)
        assert (reply.status, fields) == (429, {"error": "delayed"})
        reply, _ = await house.ask(new_call | OURS, BLOCK)
        assert reply.status == 200

    run(story())


def test_blocks_of_one_party_leave_memory_for_the_others(run: Any) -> None:
    async def story() -> None:
        house = SharedHouse(IngestSettings(plaintext=True, buffer_mib=4))
        size = house.settings.limits.body_bytes
        answers = []
        for number in range(4):
            exchange = AskedExchange(PCMU | THEIRS | {"earhook-sequence": str(number)}, None)
            exchange.send(bytes(size))
            answers.append(asyncio.create_task(house.door.answer(exchange)))
            await settle()
        assert house.calls.buffered_bytes == 2 * size
        refused = [answer.result().status for answer in answers if answer.done()]
        assert refused == [503, 503]
        reply, _ = await house.ask({"content-type": "audio/PCMU"} | OURS, BLOCK)
        assert reply.status == 200
        for answer in answers:
            answer.cancel()
        await asyncio.gather(*answers, return_exceptions=True)
        assert (house.calls.buffered_bytes, house.calls.held.parties) == (0, 0)

    run(story())


def test_tiny_blocks_are_bounded_by_their_number() -> None:
    blocks, settings = HeldBlocks(), IngestSettings(plaintext=True)
    theirs, ours = ((KeyName(name), frozenset[str]()) for name in ("theirs", "ours"))
    taken = []
    with pytest.raises(Refusal):  # noqa: PT012 - which one it is, is looked at below
        for _ in range(settings.limits.connections):
            hold = blocks.hold(theirs, settings)
            hold.__enter__().add(1)
            taken.append(hold)
    assert len(taken) == settings.limits.connections // 2
    with blocks.hold(ours, settings) as held:
        held.add(1600)
    for hold in taken:
        hold.__exit__(None, None, None)
    assert (blocks.buffered_bytes, blocks.parties) == (0, 0)


def test_a_crowd_of_waiting_blocks_costs_little_to_look_through(run: Any) -> None:
    async def story() -> None:
        turns = Turns()
        taking = turns.turn(10)
        turns.arrive(taking)
        await turns.wait(taking)
        crowd = [turns.turn(number) for number in range(1000, 4000)]
        for turn in crowd:
            turns.arrive(turn)
        waiting = [asyncio.create_task(turns.wait(turn)) for turn in crowd]
        await settle()
        lowest = turns.turn(20)  # arrived last, never ready: whoever looks, looks through all
        turns.arrive(lowest)
        turns.leave(taking)
        began = time.process_time()
        for _ in range(20):
            passing = turns.turn(5000)
            turns.arrive(passing)
            turns.leave(passing)
        # Each with each other, it were 9 million steps a time.
        assert time.process_time() - began < 1.0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(story())
