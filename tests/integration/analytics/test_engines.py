"""Engines against scripted services over real sockets: what is said, where, and what breaks."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from earhook.analytics.engine import Engine, EngineOptions
from earhook.analytics.engines import deepgram, vosk, wyoming
from earhook.errors import ConfigurationError, EngineFailed
from earhook.testing.engines import DeepgramServer, Spoken, VoskServer, WyomingServer

from .lines import RATE, Ear, noise

GREETING = Spoken("thank you for calling", 0.6, 1.8)
QUESTION = Spoken("how may i help", 2.4, 3.4)
SERVERS = {"vosk": VoskServer, "deepgram": DeepgramServer}
MAKERS = {"vosk": vosk.make_engine, "deepgram": deepgram.make_engine}


def engine_for(name: str, server: Any, **options: Any) -> Engine:
    return MAKERS[name](EngineOptions(address=server.url, token="t", **options))


@pytest.mark.parametrize("name", SERVERS)
def test_segments_lie_where_they_were_said(run: Any, until: Any, name: str) -> None:
    async def story() -> None:
        async with SERVERS[name]([GREETING, QUESTION]) as server:
            ear = await Ear(engine_for(name, server)).open()
            await ear.push(noise(2.0))
            await until(lambda: len(ear.finals) == 1)
            assert ear.recogniser.settled >= 1.8 * RATE
            await ear.push(noise(2.0))
            first, second = await ear.finish()
        assert (first.text, second.text) == (GREETING.text, QUESTION.text)
        assert [word.start for word in first.words] == pytest.approx(
            [start * RATE for _, start, _ in GREETING.words()], abs=2
        )
        assert first.words[-1].end == pytest.approx(1.8 * RATE, abs=2)
        assert 0.6 * RATE <= first.start <= 1.0 * RATE
        assert first.end <= second.start
        assert 0.85 < (first.confidence or 0) < 1
        interim = [one for one in ear.heard if not one.is_final]
        assert interim
        assert {one.id for one in interim} == {first.id, second.id}
        assert {one.text for one in interim} >= {"thank you"}

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_no_interim_reading_where_none_is_wanted(run: Any, name: str) -> None:
    async def story() -> None:
        async with SERVERS[name]([GREETING]) as server:
            ear = await Ear(engine_for(name, server, interim=False)).open()
            await ear.push(noise(2.0))
            assert [one.text for one in await ear.finish()] == [GREETING.text]
        assert ear.heard == ear.finals

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_a_pause_ends_what_was_said_and_moves_what_follows(run: Any, until: Any, name: str) -> None:
    """The pause of a minute costs no audio, and positions behind it are the call's."""
    cut_short, after = Spoken("my card number is", 0.4, 1.2), Spoken("thanks", 0.4, 0.8)
    if name == "deepgram":  # one clock for all stretches
        scripts = [[cut_short, Spoken("thanks", 1.4, 1.8)]]
    else:
        scripts = [[cut_short], [after]]

    async def story() -> None:
        async with SERVERS[name](*scripts) as server:
            ear = await Ear(engine_for(name, server)).open()
            await ear.push(noise(1.0))
            await ear.skip(60.0)
            await until(lambda: len(ear.finals) == 1)
            await ear.push(noise(1.0))
            before, behind = await ear.finish()
            assert sum(server.audio_bytes) == 2 * 2 * RATE
        assert before.text == "my card number"
        assert before.end <= RATE
        assert behind.text == "thanks"
        assert behind.words[0].start == pytest.approx(61.4 * RATE, abs=2)
        assert behind.end == pytest.approx(61.8 * RATE, abs=2)

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_what_was_said_last_comes_before_the_end(run: Any, name: str) -> None:
    async def story() -> None:
        async with SERVERS[name]([GREETING]) as server:
            ear = await Ear(engine_for(name, server)).open()
            await ear.push(noise(1.4))
            assert [one.text for one in await ear.finish()] == ["thank you"]
            assert server.open_connections == 0

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_a_connection_that_breaks_is_a_failure(run: Any, until: Any, name: str) -> None:
    async def story() -> None:
        async with SERVERS[name]([GREETING], drop_after_seconds=0.5) as server:
            ear = await Ear(engine_for(name, server)).open()
            await ear.push(noise(0.6))
            assert isinstance(await ear.failure(), EngineFailed)
            await ear.close()

    run(story())


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize(("status", "hopeless"), [(401, True), (429, False), (503, False)])
def test_a_refusal_says_whether_to_ask_again(
    run: Any, name: str, status: int, hopeless: bool
) -> None:
    async def story() -> None:
        async with SERVERS[name](refuse_status=status) as server:
            engine = engine_for(name, server)
            with pytest.raises(EngineFailed, match=str(status)) as refusal:
                await Ear(engine).open()
            assert refusal.value.is_hopeless is hopeless
            await engine.close()

    run(story())


@pytest.mark.parametrize("name", SERVERS)
def test_a_service_that_is_not_there_is_a_failure(run: Any, name: str) -> None:
    async def story() -> None:
        engine = MAKERS[name](EngineOptions(address="ws://127.0.0.1:1/", token="t"))
        with pytest.raises(EngineFailed, match="cannot be reached"):
            await Ear(engine).open()
        await engine.close()

    run(story())


def test_vosk_is_told_the_rate_and_asked_for_words(run: Any) -> None:
    async def story() -> None:
        async with VoskServer([GREETING]) as server:
            ear = await Ear(engine_for("vosk", server)).open()
            await ear.push(noise(0.2))
            await ear.finish()
            assert orjson.loads(server.texts[0]) == {"config": {"sample_rate": 8000, "words": True}}
            assert server.requests[0].headers["Authorization"] == "Bearer t"

    run(story())


def test_deepgram_is_told_everything_in_the_url(run: Any) -> None:
    async def story() -> None:
        async with DeepgramServer([GREETING]) as server:
            engine = engine_for("deepgram", server, model="nova-2", extra={"keyterm": "earhook"})
            ear = await Ear(engine, "en-US").open()
            await ear.push(noise(0.2))
            await ear.skip(1.0)
            await ear.finish()
            request = server.requests[0]
            assert request.headers["Authorization"] == "Token t"
            assert dict(request.query) == {
                "encoding": "linear16",
                "sample_rate": "8000",
                "channels": "1",
                "model": "nova-2",
                "interim_results": "true",
                "endpointing": "300",
                "punctuate": "true",
                "language": "en-US",
                "keyterm": "earhook",
            }
            kinds = [orjson.loads(text)["type"] for text in server.texts]
            assert kinds == ["Finalize", "CloseStream"]

    run(story())


def test_deepgram_is_kept_alive_through_a_pause(
    run: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deepgram, "KEEP_ALIVE_SECONDS", 0.02)

    async def story() -> None:
        async with DeepgramServer([GREETING]) as server:
            ear = await Ear(engine_for("deepgram", server)).open()
            await ear.push(noise(0.2))
            await ear.skip(60.0)
            await until(lambda: server.texts.count('{"type":"KeepAlive"}') >= 3)
            await ear.finish()

    run(story())


def test_wyoming_gets_utterances_and_gives_texts(run: Any) -> None:
    async def story() -> None:
        async with WyomingServer(["thank you for calling", "", "goodbye"]) as server:
            engine = wyoming.make_engine(EngineOptions(address=server.address, model="small"))
            ear = await Ear(engine, "en").open()
            for seconds in (1.0, 1.5, 0.8):
                await ear.push(noise(1.0))
                await ear.push(noise(seconds, level=4000))
            await ear.push(noise(1.0))
            first, last = await ear.finish()
            assert server.wishes == [{"name": "small", "language": "en"}] * 3
            # Each with a little of the silence around it.
            assert server.audio_seconds == pytest.approx([1.6, 2.1, 1.4], abs=0.15)
        assert (first.text, last.text) == ("thank you for calling", "goodbye")
        assert 0.6 * RATE <= first.start <= 1.0 * RATE
        assert 2.0 * RATE <= first.end <= 2.4 * RATE
        assert 5.0 * RATE <= last.start <= 5.5 * RATE
        assert first.confidence is None

    run(story())


def test_no_utterance_of_wyoming_spans_a_gap(run: Any) -> None:
    async def story() -> None:
        async with WyomingServer(["one", "two"]) as server:
            ear = await Ear(wyoming.make_engine(EngineOptions(address=server.address))).open()
            await ear.push(noise(1.0, level=4000))
            await ear.skip(30.0)
            await ear.push(noise(1.0, level=4000))
            before, behind = await ear.finish()
            assert before.end <= RATE
            assert behind.start >= 31 * RATE

    run(story())


def test_an_error_of_wyoming_is_a_failure(run: Any) -> None:
    async def story() -> None:
        async with WyomingServer([], says_error=True) as server:
            ear = await Ear(wyoming.make_engine(EngineOptions(address=server.address))).open()
            await ear.push(noise(1.0, level=4000))
            await ear.push(noise(1.0))
            assert isinstance(await ear.failure(), EngineFailed)
            await ear.close()

    run(story())


@pytest.mark.parametrize(
    ("make", "options", "where"),
    [
        (vosk.make_engine, EngineOptions(address="http://x"), "--engine-address"),
        (vosk.make_engine, EngineOptions(model="big"), "--model"),
        (vosk.make_engine, EngineOptions(extra={"colour": "red"}), "--engine-option"),
        (deepgram.make_engine, EngineOptions(), "--engine-token"),
        (wyoming.make_engine, EngineOptions(), "--engine-address"),
        (wyoming.make_engine, EngineOptions(address="unix:/x"), "--engine-address"),
    ],
)
def test_what_the_operator_must_change_is_named(
    make: Any, options: EngineOptions, where: str
) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        make(options)
    assert [fault.where for fault in refusal.value.faults] == [where]
