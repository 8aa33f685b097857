"""Results on their way out: nobody is waited for, one bad entry costs itself, order is kept."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from earhook.analytics.outlets import MOST_WAITING, Line, Outlets, transcript_entity
from earhook.analytics.result import Result
from earhook.analytics.segment import Segment, Word
from earhook.client import CommandRefused, Stream

from .lines import call

CALL = call(product="transcription", negotiated_channels=["external", "internal"])


class FakeStream:
    """Takes commands when it is let."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.bad: set[int] = set()
        """Positions of entries that are refused."""
        self.taken: list[tuple[str, Any]] = []
        self.asked = 0

    async def results(self, _call: Any, entries: list[dict[str, Any]]) -> None:
        positions = [entry["position"] for entry in entries]
        await self._command("results", positions, not self.bad.isdisjoint(positions))

    async def send_event(self, _call: Any, entities: list[dict[str, Any]]) -> None:
        await self._command("event", entities, refused=False)

    async def pause(self, _call: Any) -> None:
        await self._command("pause", None, refused=False)

    async def resume(self, _call: Any) -> None:
        await self._command("resume", None, refused=False)

    async def _command(self, word: str, what: Any, refused: bool) -> None:
        self.asked += 1
        await self.gate.wait()
        if refused:
            raise CommandRefused("no")
        self.taken.append((word, what))


def outlets(stream: FakeStream, lines: list[Line], **wishes: Any) -> Outlets:
    return Outlets(cast("Stream", stream), lines.append, **wishes)


def sentiment(position: int) -> Result:
    return Result("sentiment", position, {"score": 0.0})


def test_results_go_in_order_and_together(run: Any) -> None:
    async def story() -> None:
        stream, lines = FakeStream(), []
        out = outlets(stream, lines)
        for position in range(100):
            out.tell(CALL, sentiment(position), None)
        await out.settle(CALL)
        assert [position for _, some in stream.taken for position in some] == [*range(100)]
        assert stream.asked == 4
        assert [line.position for line in lines] == [*range(100)]

    run(story())


def test_one_bad_entry_costs_itself(run: Any) -> None:
    async def story() -> None:
        stream = FakeStream()
        out = outlets(stream, [])
        out.tell(CALL, sentiment(0), None)
        await out.settle(CALL)
        stream.bad = {13}
        for position in range(1, 20):
            out.tell(CALL, sentiment(position), None)
        await out.settle(CALL)
        taken = [position for _, some in stream.taken for position in some]
        assert taken == [position for position in range(20) if position != 13]
        assert out.answers.refused == 2
        assert out.answers.last_refusal == "no"

    run(story())


def test_a_gateway_that_takes_no_commands_is_not_asked_for_each_entry(run: Any) -> None:
    async def story() -> None:
        stream, lines = FakeStream(), []
        stream.bad = {*range(100)}
        out = outlets(stream, lines)
        for position in range(100):
            out.tell(CALL, sentiment(position), None)
        await out.settle(CALL)
        assert stream.asked == 4
        assert len(lines) == 100

    run(story())


def test_a_gateway_that_does_not_answer_costs_the_oldest_results_and_no_line(
    run: Any, until: Any
) -> None:
    async def story() -> None:
        stream, lines = FakeStream(), []
        stream.gate.clear()
        out = outlets(stream, lines)
        out.tell(CALL, sentiment(0), None)
        await until(lambda: stream.asked)
        for position in range(1, 2001):
            out.tell(CALL, sentiment(position), None)
        assert out.dropped == 2000 - MOST_WAITING
        stream.gate.set()
        await out.settle(CALL)
        taken = [position for _, some in stream.taken for position in some]
        assert taken == [0, *range(2001 - MOST_WAITING, 2001)]
        assert len(lines) == 2001

    run(story())


def test_a_pause_goes_before_everything_that_waits(run: Any, until: Any) -> None:
    async def story() -> None:
        stream = FakeStream()
        stream.gate.clear()
        out = outlets(stream, [])
        out.tell(CALL, sentiment(0), None)
        await until(lambda: stream.asked)
        out.tell(CALL, sentiment(1), None)
        out.tell(CALL, Result("hit", 2, {"action": "pause"}), None)
        stream.gate.set()
        await out.settle(CALL)
        assert [word for word, _ in stream.taken] == ["results", "pause", "results"]

    run(story())


@pytest.mark.parametrize(
    ("wish", "product", "is_sent"),
    [("auto", "transcription", True), ("auto", "monitor", False), ("always", "monitor", True),
     ("never", "transcription", False)],
)  # fmt: skip
def test_whose_transcripts_go_to_the_peer(run: Any, wish: str, product: str, is_sent: bool) -> None:
    async def story() -> None:
        stream, one = FakeStream(), call(product=product)
        out = outlets(stream, [], transcripts=wish)
        for is_final in (False, True):
            segment = Segment("external", 0, 800, "hello", is_final=is_final)
            out.tell(one, Result("transcript", 800, {"text": "hello"}), segment)
        await out.settle(one)
        assert [word for word, _ in stream.taken].count("event") == int(is_sent)

    run(story())


def test_times_of_words_are_exact_to_the_sample() -> None:
    words = (Word("one", 1, 3, 0.9), Word("two", 3, 8001, 0.9))
    entity = transcript_entity(
        CALL, Segment("external", 1, 8001, "one two", words=words), "one two"
    )
    (alternative,) = entity["data"]["alternatives"]
    tokens = alternative["interpretations"][0]["tokens"]
    assert [(token["offset"], token["duration"]) for token in tokens] == [
        ("PT0.000125S", "PT0.00025S"),
        ("PT0.000375S", "PT0.99975S"),
    ]
    assert (entity["data"]["offset"], entity["data"]["duration"]) == ("PT0.000125S", "PT1S")


def test_no_word_goes_to_the_peer_that_is_not_in_the_text(run: Any) -> None:
    """What was taken out of the text is not in the tokens either."""
    words = (Word("code", 0, 400, 0.9), Word("123", 400, 800, 0.9))
    segment = Segment("internal", 0, 800, "code 123", 0.9, words=words)

    async def story() -> None:
        stream = FakeStream()
        out = outlets(stream, [])
        out.tell(CALL, Result("transcript", 800, {"text": "code [security code]"}), segment)
        await out.settle(CALL)
        (entity,) = next(what for word, what in stream.taken if word == "event")
        assert "123" not in str(entity)
        assert entity["data"]["channelId"] == 1
        assert (entity["data"]["offset"], entity["data"]["duration"]) == ("PT0S", "PT0.1S")

    run(story())
