"""Blocks that are under way together go one at a time, in the order of their numbers."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from earhook.ingest.tempo import TIMES_REAL_TIME, Tempo
from earhook.ingest.turns import Turns


async def others() -> None:
    """Let everybody else who can go on do so once."""
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    loop.call_soon(gone.set_result, None)
    await gone


async def in_turn(numbers: list[int | None], ready: list[int]) -> list[int | None]:
    """Let blocks arrive together and become ready in some order; give the order of taking."""
    turns, taken, busy = Turns(), [], 0
    read = [asyncio.Event() for _ in numbers]

    async def block(at: int) -> None:
        nonlocal busy
        with turns.turn(numbers[at]) as turn:
            await read[at].wait()
            await turns.wait(turn)
            busy += 1
            assert busy == 1
            taken.append(numbers[at])
            await others()  # another would slip in here
            busy -= 1

    async with asyncio.TaskGroup() as tasks:
        for at in range(len(numbers)):
            tasks.create_task(block(at))
        for at in ready:
            await others()
            read[at].set()
    assert turns.present == 0
    return taken


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_numbers_are_taken_in_their_order(numbers: list[int], ready: list[int]) -> None:
    assert asyncio.run(in_turn(list(numbers), ready)) == sorted(numbers)


@given(st.lists(st.none() | st.integers(0, 3), max_size=8), st.randoms())
def test_nobody_waits_for_ever(numbers: list[int | None], dice: Any) -> None:
    ready = list(range(len(numbers)))
    dice.shuffle(ready)
    taken = asyncio.run(in_turn(numbers, ready))
    assert len(taken) == len(numbers)
    known = [number for number in taken if number is not None]
    assert known == sorted(known)


def test_who_gives_up_holds_up_nobody(run: Any) -> None:
    async def story() -> None:
        turns = Turns()
        first, second = turns.turn(0), turns.turn(1)
        turns.arrive(first)
        turns.arrive(second)
        waiting = asyncio.create_task(turns.wait(second))
        await others()
        assert not waiting.done()
        turns.leave(first)
        await waiting
        third = turns.turn(2)
        turns.arrive(third)
        waiting = asyncio.create_task(turns.wait(third))
        await others()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        turns.leave(third)
        turns.leave(second)
        with turns.turn(0) as turn:
            await turns.wait(turn)

    run(story())


def test_live_audio_never_waits_and_a_file_is_held_to_eight_times_real_time() -> None:
    live, now = Tempo(8000, 2.0), 500.0
    for _ in range(100):
        assert live.wait_seconds(now) == 0.0
        live.spend(1600, now)
        now += 0.2
    for _ in range(5):
        assert live.wait_seconds(now) == 0.0, "a burst of half a ring"
        live.spend(1600, now)
    assert live.wait_seconds(now) > 0.0
    file, began = Tempo(8000, 2.0), now
    for _ in range(100):
        now += file.wait_seconds(now)
        file.spend(4000, now)
    rate = (50.0 - 1.0) / (now - began)
    assert abs(rate - TIMES_REAL_TIME) < 0.1
