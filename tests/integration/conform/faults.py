"""For every clause a server that keeps all the others.

Where a fault cannot be had without another one, `also` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from earhook.testing.peer_setup import Product

from .scripted_server import Message, Request, Script, Session


@dataclass(frozen=True)
class Fault:
    """`make` gives a fresh script, as scripts remember things."""

    make: Callable[[], Script]
    also: frozenset[str] = frozenset()
    product: Product = "monitor"
    tls: bool = False


def skips(*rules: str, also: str = "", **fields: Any) -> Fault:
    """A server that does not enforce these rules."""
    return fault(also=also, skips=frozenset(rules), **fields)


def fault(*, also: str = "", product: Product = "monitor", **fields: Any) -> Fault:
    """A server with these fields in its script."""
    return Fault(lambda: Script(**fields), frozenset(also.split()), product)


def denies(rule: Callable[[Request], object]) -> Fault:
    """A server that refuses good requests of some kind."""
    return fault(denies=lambda request: bool(rule(request)))


def objects(rule: Callable[[Session, Message], object], also: str = "", **fields: Any) -> Fault:
    """A server that ends the session over good messages of some kind."""
    return fault(also=also, objects=lambda *given: bool(rule(*given)), **fields)


def says(kind: str, change: Callable[[Message], object], also: str = "", **fields: Any) -> Fault:
    """A server that says messages of one type differently; `change` edits in place."""

    def spoken(_session: Session, message: Message) -> Iterable[Message]:
        if message["type"] == kind:
            change(message)
        return (message,)

    return fault(also=also, says=spoken, **fields)


def parameter(kind: str, name: str, value: object) -> Fault:
    """A server that sets a parameter of its messages of one type."""
    return says(kind, lambda message: message["parameters"].update({name: value}))


def instead(kind: str, *others: str, product: Product = "monitor", also: str = "") -> Fault:
    """A server that says other things where one type is due; `=` stands for that message."""

    def spoken(_session: Session, message: Message) -> Iterable[Message]:
        if message["type"] != kind:
            return (message,)
        chosen = [message if other == "=" else _another(message, other) for other in others]
        return [{**each, "seq": message["seq"] + place} for place, each in enumerate(chosen)]

    return fault(also=also, says=spoken, product=product)


def _another(message: Message, kind: str) -> Message:
    entities = {"entities": [{"type": "note", "data": {}}]} if kind == "event" else {}
    return {**message, "type": kind, "parameters": entities}


def media(change: Callable[[Message, Message], object], also: str = "") -> Fault:
    """A server that chooses media wrongly; `change` gets `open` and `opened`."""

    def spoken(session: Session, message: Message) -> Iterable[Message]:
        if message["type"] == "opened" and session.opened_at is not None:
            change(session.opened_at["parameters"], message["parameters"])
        return (message,)

    return fault(also=also, says=spoken)


def choose(when: Callable[[Message], object], *channels: str, **fields: object) -> Fault:
    """A server that makes up its media where the offers are of some kind."""
    made = {"type": "audio", "format": "PCMU", "channels": list(channels), "rate": 8000, **fields}

    def change(asked: Message, answered: Message) -> None:
        if when(asked) and not asked["conversationId"].startswith("0000"):
            answered["media"] = [made]

    return media(change)


def plays(when: str, *sizes: int, product: Product = "audio-connector") -> Fault:
    """A server that plays audio behind a message of its own."""

    def played(_session: Session, message: Message) -> Iterable[bytes]:
        return [bytes(size) for size in sizes] if message["type"] == when else ()

    return fault(product=product, plays=played)


def frame(kinds: set[int], first: int, second: int = 0) -> Fault:
    """A server whose frames of these kinds have other bits."""
    return fault(
        frame=lambda kind, payload: (
            (first << 8 if kind in kinds else 0x8000) | (second if kind in kinds else 0), payload
        )
    )  # fmt: skip


def audio(rule: Callable[[Session, bytes], object]) -> Fault:
    """A server that ends the session over good audio of some kind."""
    return fault(objects_to_audio=lambda *given: bool(rule(*given)))


def count(session: Session, name: str) -> int:
    session.memory[name] = session.memory.get(name, 0) + 1
    return int(session.memory[name])


def by_conversation(session: Session, message: Message) -> Iterable[Message]:
    """Number the messages of all sessions of a conversation together."""
    opened = session.opened_at
    if opened is None:
        return (message,)
    conversation = opened["parameters"]["conversationId"]
    numbers = session.script.memory
    if not conversation.startswith("0000"):
        numbers[conversation] = numbers.get(conversation, 0) + 1
        message["seq"] = numbers[conversation]
    return (message,)


def one_disconnect_too_many(session: Session, message: Message) -> Iterable[Message]:
    if message["type"] == "disconnect":
        return (message, {**message, "seq": message["seq"] + 1})
    return (message,)


def drops_pongs(session: Session, message: Message) -> Iterable[Message]:
    if message["type"] == "pong" and count(session, "pongs") > 5:
        return ()
    return (message,)


def pong_late_number(session: Session, message: Message) -> Iterable[Message]:
    if message["type"] == "pong":
        message["clientseq"] -= 1
    return (message,)


def goes_back(session: Session, message: Message) -> Iterable[Message]:
    if message["type"] == "updated":
        message["clientseq"] = 0
    return (message,)


def unanswered_close(when: Callable[[Session], object]) -> Fault:
    """A server that says nothing to `close` in some situation."""

    def spoken(session: Session, message: Message) -> Iterable[Message]:
        return () if message["type"] == "closed" and when(session) else (message,)

    return fault(says=spoken)


def silent(kind: str, when: Callable[[Session], object] = lambda _session: True) -> Fault:
    """A server that never says messages of one type, in some situation."""

    def spoken(session: Session, message: Message) -> Iterable[Message]:
        return () if message["type"] == kind and when(session) else (message,)

    return fault(says=spoken)


def answers(kind: str, word: str = "updated") -> Fault:
    """A server that answers what has no answer."""

    def heard(session: Session, message: Message) -> bool:
        if message["type"] == kind and session.state == "open":
            session.say(word, {})
        return False

    return fault(objects=heard)


def noted(session: Session, message: Message) -> bool:
    """Remember what was heard; object to nothing."""
    session.memory.setdefault("heard", []).append(message["type"])
    return False


def heard_error(session: Session) -> bool:
    return "error" in session.memory.get("heard", [])


def _refuses_by_reason(_request: Request, reason: str) -> bytes:
    return reason.encode()


FAULTS: dict[str, Fault] = {
    # upgrade
    "upgrade.tls": Fault(Script, tls=True),
    "upgrade.accepted": fault(status=lambda status, _request: 307 if status == 101 else status),
    "upgrade.accept-key": fault(answer=lambda h: h.update({"Sec-WebSocket-Accept": "x"})),
    "upgrade.headers": fault(answer=lambda h: h.pop("Upgrade")),
    "upgrade.no-subprotocol": fault(answer=lambda h: h.update({"Sec-WebSocket-Protocol": "a"})),
    "upgrade.no-extension": fault(
        answer=lambda h: h.update({"Sec-WebSocket-Extensions": "permessage-deflate"})
    ),
    "upgrade.header-case": denies(lambda r: "x-api-key" in r["names"]),
    "upgrade.tokens": denies(lambda r: r["connection"] != "Upgrade"),
    "upgrade.pieces": skips("reads-once"),
    "upgrade.any-agent": denies(lambda r: not r["user-agent"]),
    "upgrade.version": skips("version"),
    "upgrade.key": skips("websocket-key"),
    "upgrade.plain": fault(admits=lambda request: not request["upgrade"]),
    # keys and signatures
    "key.unknown": skips("key-unknown"),
    "key.missing": skips("key-missing"),
    "signature.reference": denies(lambda r: '"@request-target" "@auth' in r["signature-input"]),
    "signature.any-order": denies(lambda r: '("@authority"' in r["signature-input"]),
    "signature.label": denies(lambda r: not r["signature"].startswith("sig1")),
    "signature.spaces": denies(lambda r: '"   "' in r["signature-input"]),
    "signature.query": denies(lambda r: "?lang" in r.target),
    "signature.unsigned": skips("unsigned"),
    "signature.half-signed": skips("half-signed"),
    "signature.secret": skips(
        "mac", also="signature.undecoded signature.ids signature.target"
    ),
    "signature.undecoded": skips("undecoded"),
    "signature.ids": skips("ids"),
    "signature.target": skips("target"),
    "signature.coverage": skips("coverage"),
    "signature.twice": skips("twice"),
    "signature.expired": skips("past"),
    "signature.future": skips("future"),
    "signature.created": skips("created"),
    "signature.algorithm": skips("algorithm"),
    "signature.keyid": skips("keyid"),
    "signature.nonce": skips("nonce"),
    "signature.no-nonce": skips("no-nonce"),
    "signature.parameter": skips("parameter"),
    "signature.length": fault(
        status=lambda status, r: 500 if len(r["signature"]) < 40 and r["signature"] else status
    ),
    "signature.malformed": skips("dictionary"),
    "signature.replay": skips("replay"),
    "refusal.slow": skips("slowly"),
    "refusal.alike": fault(body=_refuses_by_reason),
    "refusal.in-band": Fault(
        lambda: Script(
            in_band=True,
            says=lambda s, m: () if m["type"] == "closed" and not s.authorized else (m,),
        )
    ),
    # opening
    "open.answered": silent("opened"),
    "open.prompt": fault(opened_seconds=0.6),
    "open.first": instead("opened", "event", "=", also="probe.closed"),
    "open.single": media(lambda _asked, said: said["media"].extend(said["media"])),
    "open.parameters": parameter("opened", "selectedLanguage", "en-US"),
    "open.choice": choose(
        lambda asked: len(asked["media"]) > 1, "customer", "agent"
    ),
    "open.mono": choose(
        lambda asked: asked["media"] == [
            {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
        ], "external", "internal",
    ),
    "open.reordered": choose(
        lambda asked: asked["media"] and asked["media"][0]["channels"] == ["internal", "external"],
        "external", "internal",
    ),
    "open.codec": choose(
        lambda asked: asked["media"] and asked["media"][0]["format"] == "L16", "external"
    ),
    "open.no-offer": choose(lambda asked: not asked["media"], "external"),
    "open.optional": objects(lambda _s, m: "customConfig" in m["parameters"]),
    "open.unknown": objects(lambda _s, m: "somethingNew" in m["parameters"]),
    "open.language-tags": objects(
        lambda _s, m: m["type"] == "open" and "Hans" in m["parameters"].get("language", "")
    ),
    "open.uuid-version": objects(
        lambda _s, m: m["type"] == "open" and m["parameters"]["conversationId"][14:15] == "7"
    ),
    "open.languages": media(
        lambda asked, said: asked["conversationId"].startswith("0000")
        or said.pop("supportedLanguages", None)
    ),
    "open.organization": skips("organization"),
    "open.twice": objects(lambda s, m: m["type"] == "open" and s.state == "open"),
    "open.early-ping": skips("holds-pong"),
    "probe.opened": objects(
        lambda _s, m: m["type"] == "open" and not m["parameters"]["participant"]["ani"]
    ),
    "probe.closed": fault(
        says=lambda s, m: (
            instead("opened", "=", "event").make().says(s, m) if s.is_probe else (m,)
        )
    ),
    "probe.audio": Fault(
        lambda: Script(objects_to_audio=lambda s, payload: s.is_probe and not payload)
    ),
    "probe.languages": media(
        lambda asked, said: asked["conversationId"].startswith("0000")
        and said.pop("supportedLanguages", None)
    ),
    # envelope
    "envelope.json": fault(
        says=lambda _s, m: ({"text": b"[]"},) if m["type"] == "updated" else (m,),
        also="update.answered",
    ),
    "envelope.version": says("updated", lambda m: m.update(version=2)),
    "envelope.id": says("updated", lambda m: m.update(id="0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40")),
    "envelope.id-spelling": fault(says=lambda _s, m: ({**m, "id": m["id"].lower()},)),
    "envelope.type": instead("updated", "=", "error"),
    "envelope.parameters": says("pong", lambda m: m.pop("parameters")),
    "envelope.empty": parameter("closed", "outputVariables", {"a": "b"}),
    "envelope.fields": says("pong", lambda m: m.update(position="PT0S")),
    "envelope.size": fault(
        says=lambda _s, m: (
            (m, {**_another(m, "event"), "seq": m["seq"] + 1, "parameters": {
                "entities": [{"type": "note", "data": "x" * 65_536}]}})
            if m["type"] == "updated" else (m,)
        )
    ),
    "envelope.disconnect": says(
        "disconnect",
        lambda m: m["parameters"].update(reason="overload")
        if m["parameters"]["reason"] == "error" else None,
    ),
    "envelope.disconnect-once": fault(says=one_disconnect_too_many, also="disconnect.once"),
    "envelope.event": fault(
        says=lambda _s, m: (
            (m, {**_another(m, "event"), "seq": m["seq"] + 1, "parameters": {"entities": []}})
            if m["type"] == "updated" else (m,)
        )
    ),
    "numbers.seq": says("updated", lambda m: m.update(seq=m["seq"] + 1)),
    "numbers.clientseq": says("updated", lambda m: m.update(clientseq=99)),
    "numbers.clientseq-grows": fault(says=goes_back),
    "numbers.clientseq-counts": says(
        "closed", lambda m: m.update(clientseq=max(m["clientseq"] - 1, 1))
    ),
    "numbers.pong": fault(says=pong_late_number),
    # conversation
    "ping.answered": silent("pong"),
    "ping.rtt": objects(lambda _s, m: m["parameters"].get("rtt") == "PT0.001643121S"),
    "ping.many": fault(says=drops_pongs),
    "ping.paused": silent("pong", lambda s: s.paused and s.state == "open"),
    "pause.cycle": objects(lambda _s, m: m["parameters"].get("discarded") == "PT0.5S"),
    "pause.resumed-only": objects(lambda s, m: m["type"] == "resumed" and not s.paused),
    "pause.twice": objects(lambda s, m: m["type"] == "paused" and s.paused),
    "pause.silent": answers("paused"),
    "pause.audio": audio(lambda s, _payload: s.paused),
    "discarded.taken": objects(
        lambda _s, m: m["type"] == "discarded" and m["parameters"]["discarded"] == "PT0.2S"
    ),
    "discarded.silent": answers("discarded"),
    "update.taken": objects(lambda _s, m: m["parameters"].get("language") == "es-es"
                            and m["type"] == "update"),
    "update.answered": skips("updated"),
    "error.silent": answers("error"),
    "connector.dtmf": objects(lambda _s, m: m["type"] == "dtmf", product="audio-connector"),
    "connector.playback": objects(
        lambda _s, m: m["type"] == "playback_started", product="audio-connector"
    ),
    "tolerance.type": objects(lambda _s, m: m["type"] == "playback_paused"),
    "tolerance.field": objects(lambda _s, m: "tracing" in m),
    "tolerance.parameter": objects(lambda _s, m: "hops" in m["parameters"]),
    "tolerance.order": objects(lambda _s, m: next(iter(m)) == "serverseq"),
    "tolerance.serverseq": objects(
        lambda s, m: m["type"] == "ping" and s.state == "open" and m["serverseq"] == 0
    ),
    "tolerance.duration": objects(lambda _s, m: m.get("position") == "PT.5S"),
    # audio
    "audio.sizes": audio(lambda s, payload: len(payload) == 37 * s.group),
    "audio.empty": audio(lambda s, payload: not payload and not s.is_probe and s.state == "open"),
    "audio.burst": audio(lambda s, _payload: count(s, "frames") > 20),
    "audio.late": audio(lambda s, _payload: s.state == "closed"),
    "playback.none": plays("updated", 320, product="monitor"),
    "playback.size": plays("opened", 64_001),
    "playback.rate": plays("opened", *[320] * 30),
    "playback.opened": Fault(lambda: Script(memory={"plays-first": True}),
                             frozenset({"open.first"}), "audio-connector"),
    # the end
    "close.answered": silent("closed"),
    "close.before-open": unanswered_close(lambda s: s.opened_at is None),
    "close.after-error": Fault(
        lambda: Script(
            objects=noted,
            says=lambda s, m: () if m["type"] == "closed" and heard_error(s) else (m,),
        )
    ),
    "close.paused": unanswered_close(lambda s: s.paused),
    "close.last": instead("closed", "=", "event", also="probe.closed"),
    "close.silent": skips("ignores-late"),
    "close.socket": fault(memory={"closes-after-closed": True}, also="audio.late"),
    "close.handshake": skips("close-frame"),
    "close.tcp": skips("tcp-end"),
    "close.codes": fault(memory={"answer-code": 3000}),
    "end.no-open": skips("end-open"),
    "end.no-close": skips("end-disconnect"),
    "end.no-hang-up": skips("end-closed"),
    # malformed
    "malformed.json": skips("json"),
    "malformed.object": skips("object"),
    "malformed.version": skips("version-2"),
    "malformed.no-type": skips("type"),
    "malformed.no-id": skips("no-id"),
    "malformed.no-seq": skips("no-seq"),
    "malformed.no-serverseq": skips("no-serverseq"),
    "malformed.no-position": skips("no-position"),
    "malformed.no-parameters": skips("parameters"),
    "malformed.id": skips("id"),
    "malformed.seq-gap": skips("seq-gap"),
    "malformed.seq-repeat": skips("seq-repeat"),
    "malformed.seq-zero": skips("seq-zero"),
    "malformed.seq-fraction": skips("seq-fraction"),
    "malformed.serverseq": skips("serverseq"),
    "malformed.duration": skips("duration"),
    "malformed.long": skips("long"),
    "malformed.open": skips("open"),
    "malformed.early-audio": skips("early-audio"),
    "malformed.half-group": skips("half-group"),
    "disconnect.closed": unanswered_close(lambda s: "said-disconnect" in s.memory),
    "disconnect.pong": skips("pong-disconnecting"),
    "disconnect.audio": audio(lambda s, _payload: s.state == "disconnecting"),
    "disconnect.once": skips("disconnect-once", also="envelope.disconnect-once"),
    "disconnect.waits": skips(
        "disconnect-waits", also="disconnect.closed disconnect.pong disconnect.audio"
    ),
    # frames
    "frames.unmasked": frame({10}, 0x80, 0x80),
    "frames.no-flags": frame({10}, 0xC0),
    "frames.control": frame({10}, 0x00),
    "frames.ping": fault(memory={"pong": b"pong"}),
    "frames.pong": fault(memory={"ends-on-pong": True}),
    "frames.text-pieces": fault(memory={"no-empty-pieces": True}),
    "frames.audio-pieces": skips("audio-pieces"),
    "frames.between": fault(memory={"no-control-between": True}),
    "frames.mask": skips("mask"),
    "frames.flags": skips("flags"),
    "frames.opcode": skips("opcode"),
    "frames.continuation": skips("continuation"),
    "frames.unfinished": skips("unfinished"),
    "frames.control-size": skips("control-size"),
    "frames.control-pieces": skips("control-pieces"),
    "frames.utf8": skips("utf8"),
    "frames.close-code": skips("close-code"),
    "frames.lost": objects(
        lambda s, m: m["type"] == "open"
        and m["parameters"]["conversationId"] in s.script.memory.get("lost", ())
    ),
    # sessions
    "sessions.apart": fault(says=by_conversation, also="numbers.seq"),
    "sessions.twin": skips("twin"),
    "sessions.again": skips("forget"),
}  # fmt: skip
