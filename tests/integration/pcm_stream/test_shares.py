"""Consumers that divide the calls: each call has one of them, whoever asks whom."""

from __future__ import annotations

import uuid
import zlib
from contextlib import AsyncExitStack
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.client import connect
from earhook.sinks.pcm_stream.messages import ObjectionError, read_subscribe
from earhook.sinks.pcm_stream.subscription import Filter, Share

SHARES = st.integers(1, 1024).flatmap(
    lambda of: st.builds(Share, st.integers(0, of - 1), st.just(of))
)


def test_every_call_goes_to_one_of_those_that_share(run: Any, until: Any, house: Any) -> None:
    async def story() -> None:
        async with house() as gateway, AsyncExitStack() as streams:
            early = [gateway.open() for _ in range(10)]
            shared = [
                await streams.enter_async_context(connect(gateway.address, share=(number, 3)))
                for number in range(3)
            ]
            late = [gateway.open() for _ in range(20)]
            await until(lambda: sum(len(stream.calls) for stream in shared) == 30)
            for number, stream in enumerate(shared):
                assert stream.calls
                for call in stream.calls:
                    assert zlib.crc32(call.session_id.lower().encode()) % 3 == number
            sessions = [call.session_id for stream in shared for call in stream.calls]
            assert sorted(sessions) == sorted(speaker.session for speaker in early + late)

    run(story())


@given(SHARES)
def test_a_share_is_asked_of_other_processes_as_it_was_asked_of_us(share: Share) -> None:
    wanted = Filter(share=share)
    body = orjson.dumps({"filter": wanted.as_json()})
    assert read_subscribe(body).filter == wanted


@given(st.uuids(), st.integers(1, 64))
def test_exactly_one_share_has_a_session(session: uuid.UUID, of: int) -> None:
    assert sum(Share(number, of).has(str(session)) for number in range(of)) == 1


@pytest.mark.parametrize(
    "share",
    [3, [], {}, {"number": 0}, {"number": 1, "of": 1}, {"number": -1, "of": 2},
     {"number": 0, "of": 0}, {"number": 0, "of": 1025}, {"number": True, "of": 2},
     {"number": 0, "of": 2, "more": 1}, {"number": 0.0, "of": 2}],
)  # fmt: skip
def test_what_is_no_share_is_refused(share: object) -> None:
    with pytest.raises(ObjectionError, match=r"filter\.share"):
        read_subscribe(orjson.dumps({"filter": {"share": share}}))
