"""Streams of several workers as one, however each of them is cut."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import StreamError
from earhook.media.feed import Feed
from earhook.media.pipeline import Budget, Pipeline
from earhook.media.stream import (
    CONNECTION,
    Frame,
    FrameDecoder,
    FrameKind,
    Merger,
    encode_frame,
)

SUBSCRIBED = b'{"type":"subscribed","calls":2}'


def open_frame(number: int, session: str) -> bytes:
    facts = {"session": session, "channels": ["external", "internal"], "position": 0}
    return encode_frame(FrameKind.OPEN, number, orjson.dumps(facts))


def speech(seed: int) -> bytes:
    """What a worker sends of two calls, as the core encodes it."""
    feed, budget = Feed(), Budget(1 << 20)
    stream = [encode_frame(FrameKind.HELLO, CONNECTION, b"{}")]
    pipelines = [
        Pipeline(budget, codec="L16", channels=(0, 1), capacity_samples=4000) for _ in range(2)
    ]
    for number, pipeline in enumerate(pipelines, start=1):
        stream.append(open_frame(number, f"{seed}-{number}"))
        feed.attach(number, pipeline)
    for size in (1, 160, 7):
        for place, pipeline in enumerate(pipelines):
            pipeline.push(bytes((seed + place + n) % 251 for n in range(4 * size)))
            pipeline.gap(place, 1)
        stream.append(feed.drain(1 << 20))
    stream.append(encode_frame(FrameKind.EVENT, CONNECTION, SUBSCRIBED))
    stream.append(encode_frame(FrameKind.CLOSE, 1, b"{}"))
    return b"".join(stream)


SPEECH = {source: speech(source) for source in (4, 9)}


def by_session(stream: bytes) -> dict[str, list[Frame]]:
    """The frames of each call, without the number."""
    sessions: dict[int, str] = {}
    found: dict[str, list[Frame]] = {}
    for frame in map(Frame._make, FrameDecoder().feed(stream)):
        if frame.call == CONNECTION:
            continue
        if frame.kind == FrameKind.OPEN:
            sessions[frame.call] = orjson.loads(frame.body)["session"]
        found.setdefault(sessions[frame.call], []).append(frame._replace(call=0))
    return found


@given(
    cuts=st.lists(st.tuples(st.sampled_from([4, 9]), st.integers(1, 700)), max_size=40),
)
def test_any_turns_and_cuts_give_each_call_what_its_worker_sent(
    cuts: list[tuple[int, int]],
) -> None:
    merger, merged, notes = Merger(), b"", list[tuple[int, bytes]]()
    for source in SPEECH:
        merger.add(source)
    left = dict(SPEECH)
    for source, size in [*cuts, (4, 1 << 20), (9, 1 << 20)]:
        chunk, left[source] = left[source][:size], left[source][size:]
        passed, noted = merger.feed(source, memoryview(chunk))
        merged += passed
        notes += noted
        opens = merged.count(b'"session"')
        assert len(by_session(merged)) == opens, "whole frames pass, and nothing else"
    assert by_session(merged) == by_session(SPEECH[4]) | by_session(SPEECH[9])
    assert sorted(notes) == sorted([(FrameKind.HELLO, b"{}"), (FrameKind.EVENT, SUBSCRIBED)] * 2)
    assert (merger.calls, merger.held_bytes, merger.audio_frames) == (2, 0, 24)


def test_a_lost_source_is_closed_with_the_books_of_what_has_passed() -> None:
    merger = Merger()
    merger.add(4)
    passed, _ = merger.feed(4, SPEECH[4][:-40])
    closes, calls = merger.lose(4)
    frames = by_session(passed + closes)["4-2"]
    close = orjson.loads(frames[-1].body)
    assert (calls, close["reason"], close["position"]) == (2, "worker_lost", 168 + 3)
    books = {"received": 168, "forwarded": 168, "buffered": 0, "dropped": {}}
    assert close["books"] == books
    assert merger.lose(4) == (b"", 0)
    assert merger.feed(4, b"whatever") == (b"", [])


def test_routes_lead_back() -> None:
    merger = Merger()
    for source in SPEECH:
        merger.add(source)
        merger.feed(source, SPEECH[source])
    number = merger.find("9-2")
    assert number is not None
    assert merger.route(number) == (9, 2)
    assert merger.acknowledge(number, 80) == (9, 2)
    assert merger.acknowledge(number, 80) is None
    assert (merger.find("9-1"), merger.route(77)) == (None, None)


def test_a_broken_rule_of_a_worker_is_raised() -> None:
    merger = Merger()
    merger.add(1)
    with pytest.raises(StreamError, match="not open"):
        merger.feed(1, encode_frame(FrameKind.EVENT, 5, b"{}"))
    with pytest.raises(StreamError, match="lacks facts"):
        merger.feed(1, encode_frame(FrameKind.OPEN, 5, b"[]"))
