"""Requests that come in at one worker and are about a call of another: as if there were but one."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from earhook.hub.claims import posted_name
from earhook.media.g711 import decode_g711
from earhook.testing.http_sender import HttpConnection, SenderReply

from .asking import PATH, PCMU, SESSION
from .town import town

ORGANIZATION = "aaaaaaaa-2222-4333-8444-555555555555"
CONVERSATION = "bbbbbbbb-2222-4333-8444-555555555555"
NAMED = PCMU | {
    "audiohook-organization-id": ORGANIZATION,
    "audiohook-conversation-id": CONVERSATION,
    "audiohook-correlation-id": CONVERSATION,
}
END = {"audiohook-session-id": SESSION, "earhook-end": "true"}


def codes(seed: int, length: int = 160) -> bytes:
    return random.Random(seed).randbytes(length)


def lane(codes_of_block: bytes) -> bytes:
    """What a sink with two channels gets of the customer's."""
    return decode_g711(codes_of_block, "PCMU")


def numbered(number: int, **more: str) -> dict[str, str]:
    return NAMED | {"earhook-sequence": str(number)} | more


def end_of(reply: SenderReply) -> tuple[int, dict[str, Any]]:
    return reply.status, reply.json()


def test_blocks_of_one_call_over_all_workers(run: Any, tmp_path: Path) -> None:
    async def story() -> None:
        async with town(tmp_path, 3) as place:
            for number in range(30):
                status, told = end_of(await place.ask(number % 3, numbered(number), codes(number)))
                assert (status, told["accepted_samples"]) == (200, 160), told
                assert told["position"] == 160 * (number + 1)
            status, told = end_of(await place.ask(1, END))
            assert (status, told["ended"], told["total_samples"]) == (200, True, 4800)
            (heard,) = place.heard()
            assert heard == b"".join(lane(codes(number)) for number in range(30))
            assert place.workers[0].house.hub.snapshot().opened_calls == 1
            assert [each.passing.tally.passed for each in place.workers] == [0, 11, 10]
            # A repetition, and what comes too late, wherever it comes.
            for at in range(3):
                status, told = end_of(await place.ask(at, numbered(29), codes(29)))
                assert (status, told["duplicate"], told["ended"]) == (200, True, True)
                status, told = end_of(await place.ask(at, numbered(30), codes(30)))
                assert (status, told["error"]) == (410, "ended")
            assert place.ledger.owners == {posted_name(SESSION): 1}
            place.advance(31)
            assert place.ledger.owners == {}
            place.assert_balanced()

    run(story())


# Every answer is that of one worker.


class Step(NamedTuple):
    """A request: where it comes in, and what it is."""

    at: int
    kind: str
    number: int


KINDS = (
    *("block", "block", "block", "mark", "end", "check", "bad-token", "other-sender"),
    *("other-organization", "bad-session", "bad-sequence", "other-format", "wav", "odd-body"),
    *("beyond", "position", "stream", "too-large", "sealed", "wait", "unnumbered"),
)
STEPS = st.lists(
    st.builds(Step, st.integers(0, 2), st.sampled_from(KINDS), st.integers(0, 4)),
    min_size=1,
    max_size=12,
)


def request_of(step: Step) -> tuple[str, dict[str, str], bytes]:
    """Method, headers and body."""
    headers, body = numbered(step.number), codes(step.number)
    match step.kind:
        case "mark":
            headers, body = END | {"earhook-end": "false"}, b""
        case "end":
            headers, body = END, b""
        case "check":
            return "GET", {}, b""
        case "bad-token":
            headers |= {"authorization": "Bearer bad"}
        case "other-sender":
            headers |= {"authorization": "Bearer other"}
        case "other-organization":
            headers |= {"audiohook-organization-id": CONVERSATION}
        case "bad-session":
            headers |= {"audiohook-session-id": "no-uuid"}
        case "bad-sequence":
            headers |= {"earhook-sequence": "-1"}
        case "other-format":
            headers |= {"content-type": "audio/PCMA"}
        case "wav":
            headers |= {"content-type": "audio/wav"}
        case "odd-body":
            headers |= {"content-type": "audio/L16;rate=8000"}
        case "beyond":
            headers |= {"earhook-position": "1" + "0" * 14}
        case "position":
            headers |= {"earhook-position": str(step.number * 200)}
        case "too-large":
            body = b"\xff" * 5000
        case "sealed":
            headers |= {"content-encoding": "aes128gcm"}
        case "unnumbered":
            del headers["earhook-sequence"]
    return "POST", headers, body


async def answers(steps: list[Step], workers: int, directory: Path) -> list[Any]:
    """What every step is answered by so many workers, and what is heard in the end."""
    given: list[Any] = []
    async with town(directory, workers, limits={"body_bytes": 4096}) as place:
        for step in steps:
            if step.kind == "wait":
                place.advance(step.number * 8.0)
                continue
            connection = await place.workers[step.at % workers].connect()
            try:
                given.append(seen(await asked(connection, step)))
            finally:
                connection.abort()
        for worker in place.workers:
            worker.house.calls.disconnect()
        place.assert_balanced()
        tallies = [worker.house.calls.tally for worker in place.workers]
        counted = ("blocks", "duplicate_blocks", "late_blocks", "missing_blocks", "streams")
        given.append({name: sum(getattr(tally, name) for tally in tallies) for name in counted})
        given.append(sum((tally.refusals for tally in tallies), start=Counter()))
        given.append(sorted(place.heard()))
    return given


async def asked(connection: HttpConnection, step: Step) -> SenderReply:
    method, headers, body = request_of(step)
    if step.kind != "stream":
        return await connection.ask(method, PATH, headers, body)
    del headers["earhook-sequence"]
    stream = await connection.begin(PATH, headers | {"earhook-end": "false"})
    for piece in (body[:50], body[50:]):
        await stream.send(piece)
    return await stream.finish()


def seen(reply: SenderReply) -> Any:
    return reply.status, sorted(reply.headers.items()), reply.body


@settings(max_examples=60)
@given(steps=STEPS)
def test_whatever_is_asked_the_answers_are_those_of_one_worker(steps: list[Step]) -> None:
    async def story() -> None:
        with tempfile.TemporaryDirectory() as name:
            alone = await answers(steps, 1, Path(name))
            together = await answers(steps, 3, Path(name))
        for one, several in zip(alone, together, strict=True):
            assert one == several

    asyncio.run(story())
