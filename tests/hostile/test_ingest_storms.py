"""One sender with a good credential that begins calls, and no end of them."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import pytest

from earhook.control.call_caps import CallCaps
from earhook.ids import KeyName
from earhook.ingest.credential_settings import TokenSettings
from earhook.ingest.credentials import Accepted, IngestRequest, Verdict
from earhook.ingest.door import DoorQuestions, IngestDoor
from earhook.ingest.settings import IngestSettings
from tests.integration.ingest.asking import AskedExchange, House

TINY = b"\xff" * 8
NEW = {"content-type": "audio/PCMU"}
ENDS = {"earhook-end": "true"}


class NamedHouse(House):
    """Every token is a sender of its own."""

    async def authenticate(self, request: IngestRequest, wall_seconds: float) -> Verdict:
        name = (request.head.value("authorization") or "Bearer first").removeprefix("Bearer ")
        return Accepted(KeyName(name), name.encode())


def by(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {name}"}


def fresh() -> dict[str, str]:
    return {"audiohook-session-id": str(uuid.uuid4())}


def test_an_end_that_belongs_to_no_call_opens_none(run: Any) -> None:
    async def story() -> None:
        house = House()
        for headers in (ENDS, ENDS | {"earhook-sequence": "0"}):
            reply, fields = await house.ask(NEW | fresh() | headers)
            assert (reply.status, fields) == (404, {"error": "unknown-session"})
        # The same in chunks, where only the end of the body tells that there is nothing in it.
        for headers, status in ((ENDS, 404), ({}, 200)):
            exchange = AskedExchange(NEW | fresh() | headers | {"earhook-sequence": "0"}, None)
            exchange.send(b"")
            assert (await house.door.answer(exchange)).status == status
        assert house.hub.snapshot().opened_calls == 0
        assert (house.calls.count, house.calls.shares.parties) == (0, 0)

    run(story())


def test_a_thousand_calls_at_once_pass_and_a_flood_of_them_does_not(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "earhook")

    async def story() -> None:
        house = NamedHouse()
        house.hub.sweep()

        async def call(name: str = "first") -> int:
            reply, fields = await house.ask(NEW | fresh() | ENDS | by(name), TINY)
            if reply.status != 200:
                assert (reply.status, fields) == (429, {"error": "no-room"})
                assert dict(reply.headers)["Retry-After"] == "1"
            return reply.status

        storm = Counter([await call() for _ in range(1000)])
        assert storm == {200: 1000}
        told: Counter[int] = Counter()
        before = len(caplog.records)
        for number in range(600 * 5):
            told[await call()] += 1
            house.clock.advance(1 / 600)
            if number % 60 == 0:
                house.hub.sweep()
        assert told[200] == pytest.approx(500, abs=2)
        assert house.calls.tally.calls_refused == {"sender-rate": told[429]}
        assert await call("second") == 200
        lines = [record.msg for record in caplog.records[before:] if isinstance(record.msg, dict)]
        calls = [line for line in lines if line["event"] in {"call.opened", "call.closed"}]
        assert len(calls) <= 36 + 17 * 5
        assert house.hub.suppressed_lines >= 2 * told[200] - len(calls)
        reasons = {line["reason"] for line in lines if line["event"] == "ingest.refused"}
        assert reasons == {"sender-rate"}
        house.assert_balanced()

    run(story())


def test_a_sender_that_holds_calls_with_tiny_blocks_leaves_room_for_others(run: Any) -> None:
    async def story() -> None:
        house = NamedHouse(IngestSettings(plaintext=True, max_calls=20))
        answers = [(await house.ask(NEW | fresh() | by("first"), TINY)) for _ in range(25)]
        assert [reply.status for reply, _ in answers] == [200] * 18 + [429] * 7
        assert house.calls.tally.calls_refused == {"sender-calls": 7}
        assert (await house.ask(NEW | fresh() | by("second"), TINY))[0].status == 200
        # Those that are live go on, and one that ends makes room for one.
        ids = dict(answers[0][0].headers)
        own = {"audiohook-session-id": ids["Audiohook-Session-Id"]} | by("first")
        assert (await house.ask(NEW | own, TINY))[0].status == 200
        assert (await house.ask(NEW | fresh() | by("first"), TINY))[0].status == 429
        assert (await house.ask(NEW | own | ENDS))[0].status == 200
        assert (await house.ask(NEW | fresh() | by("first"), TINY))[0].status == 200
        house.clock.advance(house.settings.call_idle_seconds + 1)
        house.calls.sweep()
        assert (house.calls.count, house.calls.shares.parties) == (0, 0)

    run(story())


def test_a_token_with_a_number_of_its_own_is_held_to_it(run: Any) -> None:
    async def story() -> None:
        house, caps = NamedHouse(), CallCaps()
        table = {"name": "first", "token": "0123456789abcdef", "max_calls": 2}
        caps.replace([], [TokenSettings.model_validate(table)], [])
        questions = DoorQuestions(
            house.authenticate, lambda: house.admission, lambda: None, caps.of
        )
        house.door = IngestDoor(house.calls, questions)
        for name, expected in (("first", [200, 200, 429]), ("second", [200, 200, 200])):
            answers = [await house.ask(NEW | fresh() | by(name), TINY) for _ in range(3)]
            assert [reply.status for reply, _ in answers] == expected
        caps.replace([], [], [])
        assert (await house.ask(NEW | fresh() | by("first"), TINY))[0].status == 200

    run(story())
