"""Audio, both ways."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from earhook.conform.call import Call
from earhook.conform.stage import Stage, group_bytes
from earhook.conform.verdicts import Broken, Clause, NotApplicable

__all__ = ["CLAUSES"]

LIMIT_BYTES: Final = 64_000
RATE, BURST = 5.0, 25

Send = Callable[[Stage, Call], None]


async def _taken(send: Send, stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        if not group_bytes(call):
            raise NotApplicable("the server chose no media")
        send(stage, call)
        await call.still_serves(stage.patience.pong_seconds)
        return "the session goes on"


def _sizes(stage: Stage, call: Call) -> None:
    for samples in (160, 1601, 1, 800, 8000, 37, 2400):
        stage.stream(call, samples)


def _empty(stage: Stage, call: Call) -> None:
    stage.stream(call, 1600)
    call.send_audio(b"")


def _burst(stage: Stage, call: Call) -> None:
    for _ in range(25):
        stage.stream(call, 1600)


async def _late(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened() as call:
        call.say("close", {"reason": "end"})
        call.send_audio(b"\xff" * 4 * max(group_bytes(call), 1))
        await call.must_hear("closed", stage.patience.close_seconds)
        if await call.ends(stage.patience.quiet_seconds) or call.all_of("disconnect"):
            raise Broken(call.what_came(len(call.all_of("opened")), 0))
        return "`closed`"


# -- from the server


async def _plays_nothing(stage: Stage) -> str:
    if stage.target.product == "audio-connector":
        raise NotApplicable("an Audio Connector takes audio")
    await stage.model_call()
    for call in stage.calls:
        audio = [each for each in call.heard if not each.is_text]
        if audio:
            raise Broken(f"a binary message of {len(audio[0].payload)} bytes")
    return f"{len(stage.calls)} sessions"


async def _playback(judge: Callable[[Call], None], stage: Stage) -> str:
    """Listen to one session for a while and judge what was played."""
    if stage.target.product != "audio-connector":
        raise NotApplicable("audio goes to an Audio Connector only (--product audio-connector)")
    call = await stage.model_call()
    listened = [each for each in stage.calls if any(not h.is_text for h in each.heard)]
    if not listened:
        raise NotApplicable("the server played nothing")
    for each in (call, *listened):
        judge(each)
    return f"{len(listened)} sessions with audio"


def _small(call: Call) -> None:
    for each in call.heard:
        if not each.is_text and len(each.payload) > LIMIT_BYTES:
            raise Broken(f"a binary message of {len(each.payload)} bytes")


def _slow(call: Call) -> None:
    tokens, last = float(BURST), None
    for each in call.heard:
        if each.is_text:
            continue
        if last is not None:
            tokens = min(BURST, tokens + (each.heard_at - last) * RATE)
        last = each.heard_at
        tokens -= 1
        if tokens < 0:
            raise Broken(f"more than {BURST} binary messages at once and {RATE:g} a second")


def _after_opened(call: Call) -> None:
    for each in call.heard:
        if each.type == "opened":
            return
        if not each.is_text:
            raise Broken("a binary message came before `opened`")


def _in(name: str, sentence: str, cure: str, send: Send) -> Clause:
    return Clause(f"audio.{name}", "7.2", sentence, cure, partial(_taken, send))


def _out(
    name: str, section: str, sentence: str, cure: str, judge: Callable[[Call], None]
) -> Clause:
    check = partial(_playback, judge)
    return Clause(f"playback.{name}", section, sentence, cure, check, judges_all=True)


CLAUSES: Final = (
    _in("sizes", "Frames of any number of samples are taken.",
        "Do not expect 200 ms, nor 20 ms.", _sizes),
    _in("empty", "An empty frame is taken.", "Accept length 0.", _empty),
    _in("burst", "Five seconds of audio may come at once.",
        "After a network stall frames come in a burst: count samples, not arrivals.", _burst),
    Clause("audio.late", "9.4", "Audio that comes behind `close` does no harm.",
           "Drop it.", _late),
    Clause("playback.none", "9", "Nothing binary is sent unless to an Audio Connector.",
           "Monitor and Transcription clients end the session over it.", _plays_nothing,
           judges_all=True),
    _out("size", "9", "A binary message has 64,000 bytes at most.", "Split audio.", _small),
    _out("rate", "11.2", "There are at most 25 binary messages at once, and 5 a second.",
         "Join small pieces: never send 20 ms a message.", _slow),
    _out("opened", "9.4", "No audio is sent before `opened`.", "Hold it back.", _after_opened),
)  # fmt: skip
