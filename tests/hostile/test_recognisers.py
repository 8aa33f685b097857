"""Recognisers that mean no good: what they send is bounded, and costs their own lines only."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from earhook.analytics.analysis import Analyst, CallFacts
from earhook.analytics.engine import Engine, EngineOptions, Line
from earhook.analytics.engines import deepgram, vosk
from earhook.analytics.hearing import Hearing, HearingOwner, HearingSettings
from earhook.analytics.redaction import Redactor
from earhook.analytics.rules import RuleBook
from earhook.analytics.segment import MOST_CHARACTERS, Segment, Word
from earhook.client import Block
from earhook.errors import EngineFailed
from integration.analytics.lines import RATE, call, noise

WORDY = "four " * 4000
ENDLESS = {
    "addresses": "a@b.cc " * 20_000,
    "digits": "4 " * 60_000,
    "letters": "x " * 60_000,
    "ids": "GB82 " * 20_000,
    "no blank": "x" * 200_000,
    "spoken addresses": "a at gmail " * 12_000,
}
MESSAGES: dict[str, dict[str, list[Any]]] = {
    "vosk": {
        "no JSON": ["\x00{{{", b"\xff" * 1000],
        "nested": ["[" * 100_000, '{"text":' + "[" * 900 + "]" * 900 + "}"],
        "too large": ['{"text":"' + "x" * (3 << 20) + '"}'],
        "no words": [{"text": {"a": 1}, "result": 5}],
        "infinite times": ['{"text":"hi","result":[{"word":"hi","start":1e999,"end":1}]}'],
        "far times": [{"text": "hi", "result": [{"word": "hi", "start": -1e300, "end": 1e300}]}],
    },
    "deepgram": {
        "far times": [{"type": "Results", "start": 1e300, "duration": 1e300, "channel": {}}],
        "no form": [{"type": "Results", "start": [], "channel": 1}],
    },
}
MAKERS: dict[str, Callable[[EngineOptions], Engine]] = {
    "vosk": vosk.make_engine,
    "deepgram": deepgram.make_engine,
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_endless_text_does_not_hold_up_other_calls(text: str) -> None:
    analysis = Analyst(RuleBook(()), None).open(CallFacts(rate=RATE))
    segment = Segment("external", 0, RATE, text).bounded()
    began = time.process_time()
    analysis.hear(segment)
    assert time.process_time() - began < 1.0
    assert len(segment.text) == MOST_CHARACTERS


def test_as_many_addresses_as_there_is_room_for_take_no_longer_than_other_text() -> None:
    def seconds(text: str) -> float:
        began = time.process_time()
        Redactor(RATE).final(Segment("external", 0, RATE, text))
        return time.process_time() - began

    # In proportion to the length: the square of it would be sixteen times as much.
    seconds("a@b.cc " * 100)
    assert seconds("a@b.cc " * 4000) < 10 * seconds("a@b.cc " * 1000)


def test_words_and_languages_are_bounded_as_the_text_is() -> None:
    words = tuple(Word("four " * 50, at, at + 1) for at in range(5000))
    segment = Segment("external", 0, RATE, "four", words=words, language="x" * 100_000).bounded()
    assert sum(len(word.text) for word in segment.words) <= MOST_CHARACTERS
    assert segment.words == words[: len(segment.words)]
    assert segment.language is None
    usual = Segment("external", 0, RATE, "four", words=words[:3], language="en-US")
    assert usual.bounded() is usual


@asynccontextmanager
async def serve(messages: list[Any]) -> AsyncIterator[str]:
    """A service that answers all audio with these."""

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for heard in socket:
            if heard.type is not aiohttp.WSMsgType.BINARY:
                continue
            for message in messages:
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    text = message if isinstance(message, str) else orjson.dumps(message).decode()
                    await socket.send_str(text)
        return socket

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"ws://{host}:{port}/"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("name", "sent"), [(name, sent) for name, kinds in MESSAGES.items() for sent in kinds]
)
def test_what_is_no_result_costs_the_line_and_nothing_else(run: Any, name: str, sent: str) -> None:
    said: list[Segment] = []
    failures: list[EngineFailed] = []

    async def story() -> None:
        async with serve(MESSAGES[name][sent]) as url:
            engine = MAKERS[name](EngineOptions(address=url, token="t"))
            line = Line(call(), "external", RATE, None)
            owner = HearingOwner(
                said.append, lambda *_: None, lambda _channel, error: failures.append(error)
            )
            hearing = Hearing(line, engine, owner, HearingSettings(finish_seconds=0.5))
            hearing.put(Block(line.call, "external", 0, noise(1.0)))
            await hearing.finish()
            await engine.close()

    run(story())
    assert all(0 <= one.start <= one.end <= RATE for one in said)
    assert all("Traceback" not in str(error) and len(str(error)) < 200 for error in failures)


def test_a_hearing_bounds_what_it_tells(run: Any, until: Any) -> None:
    said: list[Segment] = []

    async def story() -> None:
        async with serve([{"text": WORDY}]) as url:
            engine = vosk.make_engine(EngineOptions(address=url))
            owner = HearingOwner(said.append, lambda *_: None, lambda *_: None)
            hearing = Hearing(
                Line(call(), "external", RATE, None), engine, owner, HearingSettings()
            )
            hearing.put(Block(call(), "external", 0, noise(1.0)))
            await until(lambda: said)
            await hearing.close()
            await engine.close()

    run(story())
    assert len(said[0].text) == MOST_CHARACTERS
