"""`open`, `opened`, and the connection probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from earhook.conform.call import Call, Heard
from earhook.conform.stage import Stage, fresh_uuid
from earhook.conform.verdicts import Broken, Clause, NotApplicable, NotReached
from earhook.testing.peer_messages import Objection, samples_of_duration
from earhook.testing.peer_setup import CallSetup, MediaChoice

__all__ = ["CLAUSES"]


async def _answered(stage: Stage) -> str:
    limit = stage.patience.open_seconds
    async with stage.upgraded(stage.setup()) as call:
        call.open()
        await call.must_hear("opened", limit)
        return f"after {(call.opened_seconds or 0.0) * 1000:.1f} ms"


async def _promptly(stage: Stage) -> str:
    async with stage.opened() as call:
        took = call.opened_seconds or 0.0
        text = f"after {took * 1000:.1f} ms"
        if took > stage.patience.prompt_seconds:
            raise Broken(text)
        return text


async def _comes_first(stage: Stage) -> str:
    for call in await _transcripts(stage):
        # A session that was pinged before its `open` may have its pong first.
        was_pinged = call.pings_sent[:1] == [1]
        if call.opened is not None and call.heard[0] is not call.opened and not was_pinged:
            what = call.heard[0].type or ("text" if call.heard[0].is_text else "audio")
            raise Broken(f"`{what}` came before `opened`")
    return "nothing came before it"


async def _transcripts(stage: Stage) -> list[Call]:
    await stage.model_call()
    return stage.calls


async def _media_single(stage: Stage) -> str:
    for opened in await _all_opened(stage):
        media = opened.parameters.get("media")
        if not isinstance(media, list) or len(media) > 1:
            raise Broken(f"media is {media!r}")
    return "none or one in every `opened`"


async def _fields(stage: Stage) -> str:
    for opened in await _all_opened(stage):
        _check_fields(opened.parameters)
    return "media, startPaused, discardTo and supportedLanguages only"


def _check_fields(parameters: Mapping[str, Any]) -> None:
    known = {"media", "startPaused", "discardTo", "supportedLanguages"}
    if extra := parameters.keys() - known:
        raise Broken(f"unknown parameter {', '.join(sorted(extra))}")
    if type(parameters.get("startPaused", False)) is not bool:
        raise Broken(f"startPaused is {parameters['startPaused']!r}")
    if "discardTo" in parameters:
        try:
            samples_of_duration(parameters["discardTo"])
        except Objection as objection:
            raise Broken(f"discardTo is {objection.text}") from None
    languages = parameters.get("supportedLanguages", [])
    if not isinstance(languages, list) or not all(isinstance(each, str) for each in languages):
        raise Broken(f"supportedLanguages is {languages!r}")


async def _all_opened(stage: Stage) -> Sequence[Heard]:
    return [each for call in await _transcripts(stage) for each in call.all_of("opened")[:1]]


async def _choice(offers: tuple[MediaChoice, ...] | None, unusable: bool, stage: Stage) -> str:
    setup = stage.setup() if offers is None else stage.setup(offers=offers)
    async with stage.upgraded(setup) as call:
        call.open()
        wanted = ("opened", "disconnect")
        seconds = stage.patience.open_seconds * 2
        first = await call.until(
            lambda: next((each for each in call.heard if each.type in wanted), None), seconds
        )
        if first is None:
            raise NotReached(f"no answer to `open`: {call.what_came(0, seconds)}")
        if first.type == "disconnect":
            return _declined(first, call, unusable=unusable)
        media = first.parameters.get("media")
        if media == []:
            return "`opened` with no media"
        return _chosen(media, [offer.as_json() for offer in setup.offers])


def _declined(first: Heard, call: Call, *, unusable: bool) -> str:
    told = call.what_came(0, 0)
    if unusable and first.parameters.get("reason") in {"error", "completed"}:
        return told
    raise NotReached(f"the session was not opened: {told}")


def _chosen(media: object, offers: Sequence[Mapping[str, Any]]) -> str:
    if not isinstance(media, list) or not media:
        raise NotReached(f"media is {media!r}")
    chosen = media[0]
    # In Python 8000 == 8000.0 and 1 == True, but not in the eyes of a strict reader.
    if chosen not in offers or type(chosen.get("rate")) is not int:
        raise Broken(f"{chosen!r} is none of {[dict(offer) for offer in offers]!r}")
    return f"{chosen['format']} {'+'.join(chosen['channels'])}"


async def _languages(stage: Stage) -> str:
    async with stage.opened(stage.setup(asks_languages=True)) as call:
        given = call.opened.parameters.get("supportedLanguages") if call.opened else None
        if not isinstance(given, list):
            raise Broken(f"supportedLanguages is {given!r}")
        return f"{len(given)} languages"


async def _optional(stage: Stage) -> str:
    setup = stage.setup(
        language="en-us", asks_languages=True, custom_config={"any": {"thing": [1, None]}}
    )
    earlier = [{"id": fresh_uuid(), "serverseq": 3, "clientseq": 5}]
    return await _opens(stage, setup, inputVariables={"tier": "gold"}, continuedSessions=earlier)


async def _language_tags(stage: Stage) -> str:
    for tag in ("en-us", "es-419", "zh-Hans-CN", "en"):
        try:
            await _opens(stage, stage.setup(language=tag))
        except Broken as broken:
            raise Broken(f"with language {tag}: {broken}") from None
    return "en-us, es-419, zh-Hans-CN and en"


async def _unknown_parameter(stage: Stage) -> str:
    return await _opens(stage, stage.setup(), somethingNew={"in": "version 2"})


async def _uuid_version(stage: Stage) -> str:
    newer = "01927b3c-5a1d-7c4e-9f10-6f0f2b7c1a55"
    return await _opens(stage, stage.setup(conversation_id=newer, participant_id=newer))


async def _opens(stage: Stage, setup: CallSetup, **changed: object) -> str:
    await stage.needs("opened")
    async with stage.upgraded(setup) as call:
        call.open(**changed)
        await call.must_hear("opened", stage.patience.open_seconds * 2)
        return "`opened`"


async def _foreign_organization(stage: Stage) -> str:
    await stage.needs("opened")
    async with stage.upgraded(stage.setup()) as call:
        call.open(organizationId=fresh_uuid())
        seconds = stage.patience.open_seconds
        found = await call.hears("disconnect", seconds)
        reason = found.parameters.get("reason") if found else None
        if reason != "unauthorized":
            raise Broken(call.what_came(0, seconds))
        return "`disconnect` unauthorized"


async def _second_open(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.opened() as call:
        before = len(call.heard)
        call.open()
        await call.still_serves(stage.patience.pong_seconds)
        if any(each.type == "opened" for each in call.heard[before:]):
            raise Broken("a second `opened` came")
        return "the session goes on, without a second `opened`"


async def _early_ping(stage: Stage) -> str:
    await stage.needs("pong")
    async with stage.upgraded(stage.setup()) as call:
        call.say("ping")
        call.open()
        await call.must_hear("opened", stage.patience.open_seconds * 2)
        await call.must_hear("pong", stage.patience.pong_seconds)
        kinds = [each.type for each in call.heard]
        if kinds.index("pong") < kinds.index("opened"):
            raise Broken("`pong` came before `opened`")
        return "`opened` first, then the `pong`"


# -- probe


async def _probe_opened(stage: Stage) -> str:
    await stage.needs("opened")
    setup = stage.probe()
    async with stage.upgraded(setup) as call:
        call.open()
        opened = await call.must_hear("opened", stage.patience.open_seconds)
        media = opened.parameters.get("media")
        if media == []:
            return "`opened` with no media"
        if not isinstance(media, list):
            raise Broken(f"media is {media!r}")
        return _chosen(media, [offer.as_json() for offer in setup.offers])


async def _probe_closed(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened(stage.probe()) as call:
        call.say("close", {"reason": "end"})
        await call.must_hear("closed", stage.patience.close_seconds)
        kinds = [each.type for each in call.texts]
        if kinds != ["opened", "closed"]:
            raise Broken(f"the server said {', '.join(kinds)}")
        return "`opened`, `closed`, nothing else"


async def _probe_languages(stage: Stage) -> str:
    async with stage.opened(stage.probe(asks_languages=True)) as call:
        given = call.opened.parameters.get("supportedLanguages") if call.opened else None
        if not isinstance(given, list):
            raise Broken(f"supportedLanguages is {given!r}")
        return f"{len(given)} languages"


async def _probe_with_audio(stage: Stage) -> str:
    await stage.needs("closed")
    async with stage.opened(stage.probe()) as call:
        call.send_audio(b"")
        call.say("close", {"reason": "end"})
        await call.must_hear("closed", stage.patience.close_seconds)
        return "`closed`"


def _stereo(first: int, second: int) -> tuple[MediaChoice, ...]:
    return (MediaChoice(channels=(first, second)),)


async def _reordered(stage: Stage) -> str:
    if stage.target.product == "audio-connector":
        raise NotApplicable("an Audio Connector offers the customer's channel only")
    return await _choice(_stereo(1, 0), False, stage)


_CHOOSE = "Answer with one of the offers as it came, or with an empty list."

CLAUSES: Final = (
    Clause("open.answered", "5.3", "`open` is answered by `opened` within 5 s.",
           "Answer from memory; start what stands behind afterwards.", _answered),
    Clause("open.prompt", "11.1", "`opened` takes a second at most.",
           "Answer from memory; start what stands behind afterwards.", _promptly, level="should"),
    Clause("open.first", "5.3", "`opened` is the first thing that the server says.",
           "Hold everything else back until it is sent.", _comes_first, judges_all=True),
    Clause("open.single", "5.3", "`opened.media` is a list of one offer, or empty.",
           "Choose one.", _media_single, judges_all=True),
    Clause("open.parameters", "5.3", "`opened` carries nothing that the protocol does not know.",
           "Production refuses unknown fields: leave them out.", _fields, judges_all=True),
    Clause("open.choice", "7.4", "The chosen media is equal to one of the offers in every field.",
           _CHOOSE, partial(_choice, None, False)),
    Clause("open.mono", "7.4", "Where one channel is offered, two are not taken.",
           _CHOOSE, partial(_choice, (MediaChoice(channels=(0,)),), False)),
    Clause("open.reordered", "7.4", "The order of channels is the offer's.",
           _CHOOSE, _reordered),
    Clause("open.codec", "7.5", "Where L16 alone is offered, PCMU is not taken.",
           _CHOOSE, partial(_choice, (MediaChoice("L16", (0,)),), True)),
    Clause("open.no-offer", "7.5", "Where nothing is offered, nothing is taken: an empty list, "
           "or `disconnect`.", _CHOOSE, partial(_choice, (), True)),
    Clause("open.optional", "5.2", "All optional parameters of `open` are taken.",
           "Accept language, supportedLanguages, customConfig, inputVariables and "
           "continuedSessions.", _optional),
    Clause("open.unknown", "4.1", "An unknown parameter of `open` does no harm.",
           "Ignore what you do not know.", _unknown_parameter),
    Clause("open.language-tags", "4.3", "Any language tag is taken, also in lower case.",
           "Compare tags without case and do not insist on one form.", _language_tags,
           level="should"),
    Clause("open.uuid-version", "4.3", "UUIDs of version 7 are UUIDs.",
           "Check for 8-4-4-4-12 hexadecimal digits only.", _uuid_version, level="should"),
    Clause("open.languages", "5.3", "Who asks for languages gets a list.",
           "Send supportedLanguages where open.supportedLanguages was true.", _languages,
           level="should"),
    Clause("open.organization", "3.7", "Another organization than that of the request is "
           "`unauthorized`.", "Compare organizationId with the header.", _foreign_organization),
    Clause("open.twice", "12", "A second `open` is ignored.",
           "Answer the first one only.", _second_open),
    Clause("open.early-ping", "12", "A `ping` before `open` is answered after `opened`.",
           "Hold the pong: production insists that `opened` is number 1.", _early_ping,
           level="should"),
    Clause("probe.opened", "10", "A probe is answered by `opened`, with no media or one of the "
           "offers.", "Accept the nil conversation id and empty ani, aniName and dnis.",
           _probe_opened),
    Clause("probe.closed", "10", "A probe ends by `opened`, `close`, `closed` alone.",
           "Start nothing for a probe.", _probe_closed),
    Clause("probe.audio", "10", "An empty frame in a probe does no harm.",
           "Accept frames of length 0.", _probe_with_audio),
    Clause("probe.languages", "10", "A probe that asks for languages gets a list.",
           "Treat a probe like any `open`.", _probe_languages, level="should"),
)  # fmt: skip
