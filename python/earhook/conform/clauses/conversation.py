"""What is said while a session is open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import orjson

from earhook.conform.call import Call
from earhook.conform.stage import Stage
from earhook.conform.verdicts import Broken, Clause, NotApplicable
from earhook.testing.peer_messages import duration_of_samples

__all__ = ["CLAUSES"]

PINGS: Final = 10

Say = Callable[[Stage, Call], None]


async def _tolerated(say: Say, stage: Stage) -> str:
    """Say something in an open session; it must go on."""
    await stage.needs("pong")
    async with stage.opened() as call:
        say(stage, call)
        await call.still_serves(stage.patience.pong_seconds)
        return "the session goes on"


async def _ping(stage: Stage) -> str:
    async with stage.opened() as call:
        call.say("ping")
        sent = len(call.heard)
        await call.must_hear("pong", stage.patience.pong_seconds, sent)
        return "`pong`"


def _ping_with_rtt(_stage: Stage, call: Call) -> None:
    call.say("ping", {"rtt": "PT0.001643121S"})


async def _pings(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        for _ in range(PINGS):
            call.say("ping")

        def look() -> bool | None:
            return True if len(call.all_of("pong")) >= PINGS else None

        await call.until(look, stage.patience.pong_seconds)
        count = len(call.all_of("pong"))
        if count != PINGS:
            raise Broken(f"{count} pongs for {PINGS} pings; {call.what_came(1, 0)}")
        return f"{PINGS} pongs"


async def _ping_in_pause(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        call.say("paused")
        await call.still_serves(stage.patience.pong_seconds)
        return "`pong`"


def _pause_and_resume(stage: Stage, call: Call) -> None:
    stage.stream(call, 1600)
    start = duration_of_samples(call.position)
    call.say("paused")
    call.position += 4000
    call.say("resumed", {"start": start, "discarded": "PT0.5S"})
    stage.stream(call, 1600)


def _resumed_without_pause(_stage: Stage, call: Call) -> None:
    call.say("resumed", {"start": duration_of_samples(call.position), "discarded": "PT0.0S"})


def _paused_twice(_stage: Stage, call: Call) -> None:
    call.say("paused")
    call.say("paused")
    _resumed_without_pause(_stage, call)


def _audio_in_pause(stage: Stage, call: Call) -> None:
    call.say("paused")
    at = call.position
    stage.stream(call, 1600)
    call.position = at
    _resumed_without_pause(stage, call)


def _discarded(stage: Stage, call: Call) -> None:
    stage.stream(call, 1600)
    start = duration_of_samples(call.position)
    call.position += 1600
    call.say("discarded", {"start": start, "discarded": "PT0.2S"})
    stage.stream(call, 1600)


async def _nothing_said_of(kind: str, stage: Stage) -> str:
    """Some messages are never answered: between one and the next pong nothing comes."""
    said = {
        "error": {"code": 429, "message": "rate limit", "retryAfter": "PT0.1S"},
        "paused": {},
        "discarded": {"start": "PT0.0S", "discarded": "PT0.0S"},
    }
    await stage.needs("pong")
    async with stage.opened() as call:
        before = len(call.texts)
        call.say(kind, said[kind])
        if kind == "paused":
            _resumed_without_pause(stage, call)
        await call.still_serves(stage.patience.pong_seconds)
        answers = [each.type for each in call.texts[before:] if each.type not in _UNASKED]
        if answers != ["pong"]:
            raise Broken(f"the server said {', '.join(answers)}")
        return "no answer, and the session goes on"


_UNASKED: Final = frozenset({"event", "pause", "resume"})


def _update(_stage: Stage, call: Call) -> None:
    call.say("update", {"language": "es-es"})


async def _updated(stage: Stage) -> str:
    async with stage.opened() as call:
        call.say("update", {"language": "de-de"})
        await call.must_hear("updated", stage.patience.pong_seconds)
        return "`updated`"


async def _connector_only(say: Say, stage: Stage) -> str:
    if stage.target.product != "audio-connector":
        raise NotApplicable("said by an Audio Connector only (--product audio-connector)")
    return await _tolerated(say, stage)


def _dtmf(_stage: Stage, call: Call) -> None:
    for digit in "0#*":
        call.say("dtmf", {"digit": digit})


def _playback(_stage: Stage, call: Call) -> None:
    call.say("playback_started")
    call.say("playback_completed")


def _unknown_type(_stage: Stage, call: Call) -> None:
    call.say("playback_paused")


def _unknown_field(_stage: Stage, call: Call) -> None:
    call.say("ping", tracing={"span": 7})


def _unknown_parameter(_stage: Stage, call: Call) -> None:
    call.say("ping", {"rtt": "PT0.01S", "hops": 3})


def _other_key_order(_stage: Stage, call: Call) -> None:
    call.seq += 1
    message = call.compose("ping", {})
    call.say_bytes(orjson.dumps(dict(reversed(message.items())), option=orjson.OPT_INDENT_2))
    call.highest_seq = call.seq
    call.pings_sent.append(call.seq)


def _lagging(_stage: Stage, call: Call) -> None:
    call.say("ping", serverseq=0)


def _short_durations(_stage: Stage, call: Call) -> None:
    for position in ("PT0S", "PT.5S", "PT12.345S"):
        call.say("ping", position=position)


def _ok(
    name: str, section: str, sentence: str, cure: str, say: Say, *, demanded: bool = True
) -> Clause:
    check = partial(_tolerated, say)
    return Clause(name, section, sentence, cure, check, "must" if demanded else "should")


_NO_END = "Do not end the session over it."

CLAUSES: Final = (
    Clause("ping.answered", "5.4", "`ping` is answered by `pong` within 5 s.",
           "Answer where messages are read, ahead of all other work.", _ping),
    _ok("ping.rtt", "5.4", "`ping` may carry `rtt`.", "Ignore or take it.", _ping_with_rtt),
    Clause("ping.many", "11.2", "Every one of ten pings is answered.",
           "Never drop a pong in a rate limiter: keep tokens back for answers.", _pings),
    Clause("ping.paused", "8", "`ping` is answered in a pause.",
           "A pause stops audio only.", _ping_in_pause),
    _ok("pause.cycle", "8", "The client may pause and resume on its own.",
        "Accept `paused` and `resumed` at any time, with `start` and `discarded`.",
        _pause_and_resume),
    _ok("pause.resumed-only", "8.1", "`resumed` without a pause does no harm.", _NO_END,
        _resumed_without_pause),
    _ok("pause.twice", "8.1", "A second `paused` does no harm.", _NO_END, _paused_twice),
    Clause("pause.silent", "5.1", "`paused` and `resumed` are not answered.",
           "Servers say `pause`, never `paused`.", partial(_nothing_said_of, "paused")),
    _ok("pause.audio", "8.4", "A frame in a pause is dropped.",
        "It may have crossed `pause` on the wire: drop and count it.", _audio_in_pause,
        demanded=False),
    _ok("discarded.taken", "8.2", "`discarded` is taken, and audio goes on behind it.",
        "Move the clock to start + discarded.", _discarded),
    Clause("discarded.silent", "5.1", "`discarded` is not answered.",
           "There is no answer to it.", partial(_nothing_said_of, "discarded")),
    _ok("update.taken", "5.8", "`update` does not end the session.", _NO_END, _update),
    Clause("update.answered", "5.8", "`update` is answered by `updated`.",
           "Send `updated` with {}.", _updated, level="should"),
    Clause("error.silent", "5.9", "`error` of the client is not answered, nor is it the end.",
           "Log it, and be slower after 429.", partial(_nothing_said_of, "error")),
    Clause("connector.dtmf", "5.10", "`dtmf` is taken.", _NO_END,
           partial(_connector_only, _dtmf)),
    Clause("connector.playback", "5.11", "`playback_started` and `playback_completed` are taken.",
           _NO_END, partial(_connector_only, _playback)),
    _ok("tolerance.type", "12", "An unknown type is ignored, and counted in the numbers.",
        "Advance clientseq and go on: Genesys Cloud may learn new types.", _unknown_type,
        demanded=False),
    _ok("tolerance.field", "12", "An unknown field of the envelope does no harm.",
        "Ignore what you do not know.", _unknown_field),
    _ok("tolerance.parameter", "12", "An unknown parameter does no harm.",
        "Ignore what you do not know.", _unknown_parameter),
    _ok("tolerance.order", "4.1", "Fields may come in any order, with white space.",
        "Read JSON with a JSON parser.", _other_key_order),
    _ok("tolerance.serverseq", "4.2", "`serverseq` may lag and even go back.",
        "Refuse only a number that was not sent yet.", _lagging),
    _ok("tolerance.duration", "4.3", "`PT0S`, `PT.5S` and `PT12.345S` are durations.",
        "Read decimal seconds.", _short_durations),
)  # fmt: skip
