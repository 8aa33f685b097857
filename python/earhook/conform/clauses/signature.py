"""API key and HTTP message signature: who comes in, and who does not."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from functools import partial
from typing import Final

from earhook.conform.stage import Headers, Stage, Welcome, fresh_uuid
from earhook.conform.verdicts import Broken, Check, Clause, NotApplicable, NotReached
from earhook.protocol.signing import PRODUCTION_COMPONENTS, REFERENCE_COMPONENTS
from earhook.testing.peer_setup import CallSetup, PeerCredential

__all__ = ["CLAUSES"]

Make = Callable[[Stage, CallSetup], Headers]


async def _let_in(make: Make, stage: Stage) -> str:
    setup = stage.setup()
    welcome = await stage.knock(setup, make(stage, setup))
    if welcome.kind == "accepted":
        return "`opened`"
    await _good_ones_come_in(stage)
    raise Broken(f"it was not let in: {welcome.text}")


async def _kept_out(make: Make, stage: Stage) -> str:
    setup = stage.setup()
    welcome = await stage.knock(setup, make(stage, setup))
    return _refused(welcome)


def _refused(welcome: Welcome) -> str:
    if welcome.kind != "refused":
        raise Broken(welcome.text)
    return welcome.text


async def _good_ones_come_in(stage: Stage) -> None:
    setup = stage.setup()
    welcome = await stage.knock(setup, stage.headers(setup))
    if welcome.kind != "accepted":
        raise NotReached(f"no request at all is let in: {welcome.text}")


# -- keys


async def _unknown_key(stage: Stage) -> str:
    return _refused(await stage.refusal("unknown key"))


def _no_api_key(stage: Stage, setup: CallSetup) -> Headers:
    return [each for each in stage.unsigned(setup) if each[0] != "X-API-KEY"]


# -- good signatures


def _reference(stage: Stage, setup: CallSetup) -> Headers:
    secret = stage.secret
    return stage.headers(setup, PeerCredential(stage.key.api_key, secret, order="reference"))


def _any_order(stage: Stage, setup: CallSetup) -> Headers:
    def turn_round(parameters: dict[str, int | str]) -> None:
        turned = list(reversed(parameters.items()))
        parameters.clear()
        parameters.update(turned)

    components = tuple(reversed(PRODUCTION_COMPONENTS))
    return stage.signed(setup, turn_round, components=components)


def _other_label(stage: Stage, setup: CallSetup) -> Headers:
    return stage.signed(setup, label="genesys")


def _spaces(stage: Stage, setup: CallSetup) -> Headers:
    def spread(name: str, value: str) -> str:
        return value.replace('" "', '"   "') if name == "Signature-Input" else value

    return [(name, spread(name, value)) for name, value in stage.signed(setup)]


async def _query(stage: Stage) -> str:
    setup, url = stage.setup(), stage.with_query("lang=en-US&tier=a%20b")
    credential = PeerCredential(stage.key.api_key, stage.secret)
    target = f"{stage.path}{'&' if '?' in stage.path else '?'}lang=en-US&tier=a%20b"
    welcome = await stage.knock(setup, stage.headers(setup, credential, url), target)
    if welcome.answer.status == 404:
        raise NotApplicable("the server has no such path once a query is added")
    if welcome.kind == "accepted":
        return "`opened`"
    await _good_ones_come_in(stage)
    raise Broken(f"it was not let in: {welcome.text}")


# -- bad ones


def _stripped(stage: Stage, setup: CallSetup) -> Headers:
    _ = stage.secret
    return stage.unsigned(setup)


def _without(name: str, stage: Stage, setup: CallSetup) -> Headers:
    return [each for each in stage.signed(setup) if each[0] != name]


async def _wrong_secret(stage: Stage) -> str:
    return _refused(await stage.refusal("wrong secret"))


def _secret_as_text(stage: Stage, setup: CallSetup) -> Headers:
    return stage.signed(setup, secret=base64.b64encode(stage.secret))


async def _tampered(stage: Stage) -> str:
    changes = {
        "Audiohook-Session-Id": fresh_uuid(),
        "Audiohook-Organization-Id": fresh_uuid(),
        "Audiohook-Correlation-Id": fresh_uuid(),
    }

    async def knock(name: str, value: str) -> str:
        setup = stage.setup()
        if name == "Audiohook-Session-Id":
            setup = stage.setup(session_id=value)
            signed = dict(stage.signed(stage.setup(organization_id=setup.organization_id)))
        elif name == "Audiohook-Organization-Id":
            setup = stage.setup(organization_id=value)
            signed = dict(stage.signed(stage.setup(session_id=setup.session_id)))
        else:
            signed = dict(stage.signed(setup))
        signed[name] = value
        try:
            return _refused(await stage.knock(setup, list(signed.items())))
        except Broken as broken:
            raise Broken(f"with another {name}: {broken}") from None

    await asyncio.gather(*(knock(name, value) for name, value in changes.items()))
    return "refused with another session, organization or correlation id"


async def _other_target(stage: Stage) -> str:
    setup = stage.setup()
    target = f"{stage.path}{'&' if '?' in stage.path else '?'}admin=1"
    return _refused(await stage.knock(setup, stage.signed(setup), target))


def _uncovered(stage: Stage, setup: CallSetup) -> Headers:
    components = [each for each in PRODUCTION_COMPONENTS if each != "audiohook-session-id"]
    return stage.signed(setup, components=tuple(components))


def _twice(stage: Stage, setup: CallSetup) -> Headers:
    return stage.signed(setup, components=(*REFERENCE_COMPONENTS, "@authority"))


async def _expired(stage: Stage) -> str:
    return _refused(await stage.refusal("expired"))


def _changed(change: Callable[[dict[str, int | str]], object]) -> Make:
    return lambda stage, setup: stage.signed(setup, change)


def _in_future(parameters: dict[str, int | str]) -> None:
    created = int(parameters["created"])
    parameters.update(created=created + 120, expires=created + 130)


def _short_mac(stage: Stage, setup: CallSetup) -> Headers:
    short = f"sig1=:{base64.b64encode(os.urandom(16)).decode('ascii')}:"
    signed = stage.signed(setup)
    return [(name, short if name == "Signature" else value) for name, value in signed]


def _no_dictionary(stage: Stage, setup: CallSetup) -> Headers:
    signed = stage.signed(setup)
    return [(name, "(((" if name == "Signature-Input" else value) for name, value in signed]


# -- how it is said


async def _replayed(stage: Stage) -> str:
    setup = stage.setup()
    headers = stage.signed(setup)
    first = await stage.knock(setup, headers)
    if first.kind != "accepted":
        raise NotReached(f"the request was not let in the first time: {first.text}")
    second = await stage.knock(setup, headers)
    if second.kind == "refused":
        return f"the second time: {second.text}"
    raise Broken(f"the same request, sent again at once: {second.text}")


async def _slowly(stage: Stage) -> str:
    welcome = await stage.refusal("unknown key")
    if welcome.kind != "refused":
        raise NotApplicable("unknown keys are not refused")
    if welcome.call is not None:
        raise NotApplicable("refusals are said after the upgrade")
    took = f"refused after {welcome.seconds * 1000:.0f} ms"
    if welcome.seconds < stage.patience.refusal_seconds:
        raise Broken(took)
    return took


async def _alike(stage: Stage) -> str:
    _ = stage.secret
    names = ("unknown key", "wrong secret", "expired")
    welcomes = await asyncio.gather(*(stage.refusal(name) for name in names))
    if any(each.kind != "refused" for each in welcomes):
        raise NotApplicable("not all of them are refused")
    said = {_what_it_said(each) for each in welcomes}
    if len(said) > 1:
        told = ", ".join(f"{n}: {w.text}" for n, w in zip(names, welcomes, strict=True))
        raise Broken(f"the answers differ ({told})")
    return f"each time {welcomes[0].text}"


def _what_it_said(welcome: Welcome) -> tuple[int, bytes, str]:
    if welcome.call is None:
        return welcome.answer.status, welcome.answer.body, ""
    return 101, b"", repr([dict(each.parameters) for each in welcome.call.all_of("disconnect")])


async def _in_band(stage: Stage) -> str:
    welcome = await stage.refusal("unknown key")
    if welcome.kind != "refused":
        raise NotApplicable("unknown keys are not refused")
    if welcome.call is None:
        raise NotApplicable("refusals are said by HTTP, before the upgrade")
    if not welcome.call.all_of("closed"):
        raise Broken("`disconnect` `unauthorized`, but no `closed` for the `close` behind it")
    return "`disconnect` `unauthorized`, `close`, `closed`"


def _in(name: str, section: str, sentence: str, cure: str, make: Make) -> Clause:
    return Clause(f"signature.{name}", section, sentence, cure, partial(_let_in, make))


def _out(name: str, section: str, sentence: str, cure: str, make: Make) -> Clause:
    return Clause(f"signature.{name}", section, sentence, cure, partial(_kept_out, make))


def _own(name: str, section: str, sentence: str, cure: str, check: Check) -> Clause:
    return Clause(f"signature.{name}", section, sentence, cure, check)


_HEADER = "Build the signed text from what the header lists, in its order."

CLAUSES: Final = (
    Clause(
        "key.unknown", "3.7", "A key that nobody configured is refused.",
        "Look the key up before anything else, and refuse what is not there.", _unknown_key,
    ),
    Clause(
        "key.missing", "3.7", "A request without `X-API-KEY` is refused.",
        "Demand the header.", partial(_kept_out, _no_api_key),
    ),
    _in("reference", "3.1", "A signature in the order of the reference client, with a lifetime "
        "of 30 s, is accepted.", _HEADER, _reference),
    _in("any-order", "3.1", "Components and parameters may come in any order.",
        _HEADER, _any_order),
    _in("label", "3.1", "The label is the sender's choice.",
        "Take the label from the header.", _other_label),
    _in("spaces", "3.2", "Spaces between components do not matter.",
        "Parse and serialise again before verifying.", _spaces),
    _own("query", "3.3", "The query belongs to the signed request target.",
         "Sign path and query as they came, undecoded.", _query),
    _out("unsigned", "3.7", "A key with a secret is refused without a signature.",
         "Never take two missing headers for a key without secret.", _stripped),
    _out("half-signed", "3.2", "One of the two headers alone is refused.",
         "Demand both or none.", partial(_without, "Signature")),
    _own("secret", "3.4", "A signature by another secret is refused.",
         "Compare the MAC before anything is answered.", _wrong_secret),
    _out("undecoded", "3.4", "The base64 text of the secret is not the secret.",
         "Decode the secret before use.", _secret_as_text),
    _own("ids", "3.3", "A signed id cannot be changed on the way.",
         "Sign the values that the request has, not those that were configured.", _tampered),
    _own("target", "3.3", "The signed request target cannot be changed on the way.",
         "Sign the target of the request line.", _other_target),
    _out("coverage", "3.2", "A signature that leaves out a required component is refused.",
         "Demand all six components.", _uncovered),
    _out("twice", "3.2", "A component listed twice is refused.",
         "Refuse repeated components.", _twice),
    _own("expired", "3.5", "A signature made two minutes ago is refused.",
         "Check `created` and `expires` against a clock that is kept by NTP.", _expired),
    _out("future", "3.5", "A signature made in two minutes is refused.",
         "Check `created` against the clock.", _changed(_in_future)),
    _out("created", "3.5", "A signature without `created` is refused.",
         "Demand `created`: without it nothing expires.",
         _changed(lambda parameters: parameters.pop("created"))),
    _out("algorithm", "3.2", "Another `alg` than `hmac-sha256` is refused.",
         "Accept one algorithm.", _changed(lambda parameters: parameters.update(alg="none"))),
    _out("keyid", "3.7", "A `keyid` that is not the API key is refused.",
         "Compare the two.", _changed(lambda parameters: parameters.update(keyid="another"))),
    _out("nonce", "3.6", "A nonce of less than 22 characters is refused.",
         "Check its length.", _changed(lambda parameters: parameters.update(nonce="short"))),
    _out("no-nonce", "3.6", "A signature without nonce is refused.",
         "Demand it.", _changed(lambda parameters: parameters.pop("nonce"))),
    _out("parameter", "3.2", "An unknown parameter is refused.",
         "Know the five parameters and no other.",
         _changed(lambda parameters: parameters.update(tag="x"))),
    _out("length", "3.2", "A MAC of the wrong length is refused like any other, not by a fault.",
         "Check the length before the constant-time comparison.", _short_mac),
    _out("malformed", "3.2", "A header that is no structured field is refused, not by a fault.",
         "Catch what the parser raises.", _no_dictionary),
    Clause(
        "signature.replay", "3.6", "A request that is sent a second time is refused.",
        "Remember the nonces of the time window. Genesys Cloud does not demand it.",
        _replayed, level="should",
    ),
    Clause(
        "refusal.slow", "2.1", "A refusal takes half a second at least.",
        "Answer by a timer, so that the time tells nothing about the reason.", _slowly,
        level="should",
    ),
    Clause(
        "refusal.alike", "2.1", "A refusal does not tell its reason.",
        "Give the same answer to an unknown key, a wrong secret and an old signature.", _alike,
        level="should",
    ),
    Clause(
        "refusal.in-band", "15.4", "A refusal after the upgrade goes on to `closed`.",
        "Answer the `close` that follows `disconnect`.", _in_band,
    ),
)  # fmt: skip
