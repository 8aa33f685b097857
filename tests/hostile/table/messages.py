"""Family J: texts that are no message of the protocol (AudioHook protocol §4, §5, §12).

Expected is `disconnect error` where the session says so and ends, `disconnect unauthorized`
where the reason is kept from the peer, `ignored` where the protocol wants tolerance: the session
goes on and answers the next ping.
"""

from __future__ import annotations

import json

from .cases import OPEN, SESSION_ID, Case, message, open_parameters, participant

DEEP = b"[" * 40 + b"]" * 40


def first(name: str, sent: bytes, expected: str = "disconnect error") -> Case:
    """Sent as the first text of a session."""
    return Case(name, sent, expected)


def opening(name: str, expected: str = "disconnect error", **changed: object) -> Case:
    """An `open` with another parameter."""
    return first(f"open: {name}", message("open", open_parameters(**changed)), expected)


def guest(name: str, **changed: object) -> Case:
    """An `open` with another participant."""
    return opening(f"participant {name}", participant=participant(**changed))


NO_JSON = [
    first("nothing", b""),
    first("a space", b" "),
    first("words", b"hello"),
    first("half an object", OPEN[:-10]),
    first("two objects", OPEN + OPEN),
    first("an object and a comma", OPEN + b","),
    first("single quotes", OPEN.replace(b'"', b"'")),
    first("a comment", b"/* */" + OPEN),
    first("a trailing comma", OPEN[:-1] + b",}"),
    first("not a number", OPEN.replace(b'"seq": 1', b'"seq": NaN')),
    first("infinity", OPEN.replace(b'"seq": 1', b'"seq": Infinity')),
    first("hexadecimal", OPEN.replace(b'"seq": 1', b'"seq": 0x1')),
    first("a leading zero", OPEN.replace(b'"seq": 1', b'"seq": 01')),
    first("a leading plus", OPEN.replace(b'"seq": 1', b'"seq": +1')),
    first("a byte order mark", b"\xef\xbb\xbf" + OPEN),
    first("a control character in a text", OPEN.replace(b"PT0S", b"PT\x010S")),
    first("a lone surrogate in a text", OPEN.replace(b"PT0S", b"\\ud800")),
    first("a bad escape", OPEN.replace(b"PT0S", b"\\x50T0S")),
    first("a nul behind it", OPEN + b"\x00"),
    first("an array", b"[" + OPEN + b"]"),
    first("a text", b'"open"'),
    first("a number", b"1"),
    first("null", b"null"),
    first("nothing but brackets", b"[" * 30_000),
    first("forty levels", message("open", {"customConfig": 1}).replace(b"1}", DEEP + b"}")),
    first("thirty thousand levels", b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    first("two thousand objects", message("open", {"a": [{}] * 2000})),
]

ENVELOPE = [
    first("no version", message("open", open_parameters(), version=...)),
    first("version 1", message("open", open_parameters(), version="1")),
    first("version 3", message("open", open_parameters(), version="3")),
    first("version as a number", message("open", open_parameters(), version=2)),
    first("no id", message("open", open_parameters(), id=...)),
    first("id of no shape", message("open", open_parameters(), id="1")),
    first("id as a number", message("open", open_parameters(), id=1)),
    first("id that climbs", message("open", open_parameters(), id="../../etc/passwd")),
    first("id of another session", message("open", open_parameters(), id=SESSION_ID[:-1] + "1")),
    first("id with a line", message("open", open_parameters(), id=SESSION_ID + "\n")),
    first("no type", message(..., open_parameters())),
    first("type as a number", message(1, open_parameters())),
    first("type as null", message(None, open_parameters())),
    first("type as an object", message({}, open_parameters())),
    first("no seq", message("open", open_parameters(), seq=...)),
    first("seq below zero", message("open", open_parameters(), seq=-1)),
    first("seq as a text", message("open", open_parameters(), seq="1")),
    first("seq of a half", message("open", open_parameters(), seq=1.5)),
    first("seq as true", message("open", open_parameters(), seq=True)),
    first("seq beyond what floats count", message("open", open_parameters(), seq=2**60)),
    first("seq of a thousand digits", OPEN.replace(b'"seq": 1', b'"seq": ' + b"9" * 1000)),
    first("seq with an exponent", OPEN.replace(b'"seq": 1', b'"seq": 1e308')),
    first("no serverseq", message("open", open_parameters(), serverseq=...)),
    first("serverseq as null", message("open", open_parameters(), serverseq=None)),
    first("serverseq of what we never sent", message("open", open_parameters(), serverseq=9)),
    first("no position", message("open", open_parameters(), position=...)),
    first("position as a number", message("open", open_parameters(), position=0)),
    first("position below zero", message("open", open_parameters(), position="PT-1S")),
    first("position in minutes", message("open", open_parameters(), position="PT1M")),
    first("position with a comma", message("open", open_parameters(), position="PT1,5S")),
    first("position with an exponent", message("open", open_parameters(), position="PT1e3S")),
    first("position of a thousand digits", message("open", {}, position=f"PT{'9' * 1000}S")),
    first("position in other digits", message("open", {}, position="PT\u0661S")),
    first("no parameters", message("open", ...)),
    first("parameters as an array", message("open", [])),
    first("parameters as null", message("open", None)),
    first("an empty object", b"{}"),
    first("a name of 60,000 letters", json.dumps({"a" * 60_000: 1}).encode()),
]

OPENING = [
    opening("no organization", organizationId=...),
    opening("organization of no shape", organizationId="acme"),
    opening("organization as an object", organizationId={}),
    opening(
        "another organization",
        "disconnect unauthorized",
        organizationId="11111111-2222-3333-4444-555555555555",
    ),
    opening("no conversation", conversationId=...),
    opening("conversation that climbs", conversationId="../../../tmp/x"),
    opening("no media", media=...),
    opening("media as an object", media={}),
    opening("media as a text", media="PCMU"),
    opening("no participant", participant=...),
    opening("participant as a text", participant="me"),
    guest("without id", id=...),
    guest("with an id of no shape", id="me"),
    guest("without ani", ani=...),
    guest("with ani as a number", ani=15550100),
    guest("without aniName", aniName=...),
    guest("without dnis", dnis=...),
    guest("with dnis as null", dnis=None),
]

OUT_OF_PLACE = [
    first("paused before open", message("paused", {}), "ignored"),
    first("an unknown type", message("invented", {"a": 1}), "ignored"),
    first("a type of ours", message("opened", {}), "ignored"),
    first("a type with a nul", message("open\0", open_parameters()), "ignored"),
    first("a type in capitals", message("OPEN", open_parameters()), "ignored"),
    first("dtmf of two digits", message("dtmf", {"digit": "12"}), "ignored"),
    first("an error without a code", message("error", {"message": "x"}), "ignored"),
]

TABLE = [*NO_JSON, *ENVELOPE, *OPENING, *OUT_OF_PLACE]
