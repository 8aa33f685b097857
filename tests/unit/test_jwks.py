"""Keys of issuers over time: fetched once for many who wait, not too often, and never lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from earhook.control.fetching import Source
from earhook.control.jwks import FetchedKeys
from earhook.errors import FetchFailed
from earhook.ids import KeyName
from earhook.testing.clock import ManualClock


def document(*kids: str) -> bytes:
    entry = jwt.algorithms.ECAlgorithm.to_jwk(
        ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
    )
    return json.dumps({"keys": [{**entry, "kid": kid} for kid in kids]}).encode()


class Place:
    """Where keys are fetched from: answers when it is let."""

    def __init__(self) -> None:
        self.fetches = 0
        self.open = asyncio.Event()
        self.open.set()
        self.answer: bytes | Exception = document("first")

    async def fetch(self, _source: Source) -> bytes:
        self.fetches += 1
        await self.open.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def fetched(place: Place, clock: ManualClock, cache_seconds: float = 300.0) -> FetchedKeys:
    source = Source("https://idp.example/keys")
    return FetchedKeys(KeyName("idp"), source, cache_seconds, clock, place.fetch)


def kids(keys: FetchedKeys) -> list[str | None]:
    return [key.key_id for key in keys.current.keys]


def test_many_wait_for_one_fetch_and_one_who_leaves_takes_it_from_nobody(
    run: Any, until: Callable[..., Any]
) -> None:
    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock)
        place.open.clear()
        waiting = [asyncio.create_task(keys.renew()) for _ in range(5)]
        await until(lambda: place.fetches == 1)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        place.open.set()
        assert await asyncio.gather(*waiting[1:]) == [True] * 4
        assert place.fetches == 1
        assert kids(keys) == ["first"]

    run(story())


def test_made_up_key_ids_cause_a_fetch_each_ten_seconds_at_most(run: Any) -> None:
    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock)
        assert await keys.renew()
        for _ in range(99):
            assert not await keys.renew()
            clock.advance(0.1)
        assert place.fetches == 1
        clock.advance(0.2)
        assert not await keys.renew()  # fetched, and nothing new
        assert place.fetches == 2

    run(story())


@pytest.mark.parametrize(
    "failure", [FetchFailed("answered 500"), b"<html>", b'{"keys": []}', RuntimeError("defect")]
)
def test_the_last_good_keys_serve_on(run: Any, failure: bytes | Exception) -> None:
    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock)
        await keys.renew()
        place.answer = failure
        clock.advance(60)
        assert not await keys.renew()
        assert (kids(keys), keys.failures, keys.age_seconds) == (["first"], 1, 60)

    run(story())


def test_the_same_document_stays_the_same_set(run: Any) -> None:
    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock)
        await keys.renew()
        before = keys.current
        clock.advance(60)
        assert not await keys.renew()
        assert keys.current is before
        assert keys.age_seconds == 0
        place.answer = document("second")
        clock.advance(60)
        assert await keys.renew()
        assert kids(keys) == ["second"]

    run(story())


def test_a_failed_fetch_for_a_stranger_is_repeated_soon(
    run: Any, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only after all the time that keys may be kept for."""
    monkeypatch.setattr("earhook.control.jwks.RETRY_SECONDS", 0.01)

    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock)
        place.answer = FetchFailed("answered 500")
        assert not await keys.renew()
        clock.advance(5)
        keys.start()  # too soon for a fetch of its own
        place.answer = document("second")
        clock.advance(20)
        await until(lambda: kids(keys) == ["second"])
        await keys.stop()

    run(story())


def test_they_are_kept_fresh_until_stopped(run: Any, until: Callable[..., Any]) -> None:
    async def story() -> None:
        place, clock = Place(), ManualClock()
        keys = fetched(place, clock, cache_seconds=0.01)
        keys.start()
        await until(lambda: place.fetches == 1)
        place.answer = document("second")
        clock.advance(20)
        await until(lambda: kids(keys) == ["second"])
        place.open.clear()
        clock.advance(20)
        await until(lambda: place.fetches == 3)
        await keys.stop()
        assert len(asyncio.all_tasks()) == 1

    run(story())
