"""Every row of every table, family by family, with a healthy call beside each family."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from hostile.table import (
    audio,
    frames,
    handshakes,
    messages,
    posts,
    requests,
    signatures,
    tokens,
)
from hostile.table.cases import OPEN_KEY, Case
from hostile.table.scene import (
    Driver,
    Scene,
    staged,
    through_frames,
    through_handshake,
    through_ingest,
    through_media,
    through_session,
)

UPGRADE_HEADERS = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


SECRETS = (
    *(signatures.API_KEY, signatures.OTHER_KEY, OPEN_KEY),
    *(base64.b64encode(each).decode() for each in (signatures.SECRET, signatures.OTHER_SECRET)),
    *(
        posts.TOKEN,
        posts.BOUND_TOKEN,
        tokens.EXPIRED_TOKEN,
        base64.b64encode(audio.KEY.key).decode(),
    ),
)
LINES_AT_ONCE, LINES_PER_SECOND = 50, 100


def signed_upgrades() -> list[Case]:
    """The rows of family S as upgrades; made now, because a signature holds the time."""
    now = int(time.time())
    return [
        Case(
            name,
            signatures.signed_request("GET", "/audiohook", UPGRADE_HEADERS, now, row),
            "401",
        )
        for name, row in signatures.ROWS.items()
    ]


def signed_posts() -> list[Case]:
    """The rows of family S as blocks."""
    now = int(time.time())
    headers = [("Content-Type", "audio/PCMU"), ("Content-Length", "4")]
    return [
        Case(
            name,
            signatures.signed_request("POST", posts.PATH, headers, now, row) + b"\xff" * 4,
            "401, goes on",
        )
        for name, row in signatures.ROWS.items()
    ]


def posts_with_tokens() -> list[Case]:
    """Blocks with bearer tokens that are wrong."""
    rows = tokens.rows(int(time.time()))
    return [Case(name, tokens.request(values), "401, goes on") for name, values in rows.items()]


def ingest_handshakes(scene: Scene, sent: bytes) -> Any:
    return through_handshake(scene.ingest_port, scene, sent)


def media_handshakes(scene: Scene, sent: bytes) -> Any:
    return through_handshake(scene.media_port, scene, sent)


FAMILIES: dict[str, tuple[Any, Driver]] = {
    "T, media port": (lambda: handshakes.TABLE, media_handshakes),
    "U, media port": (lambda: requests.TABLE, through_media),
    "W, media port": (lambda: frames.TABLE, through_frames),
    "J, media port": (lambda: messages.TABLE, through_session),
    "S, media port": (signed_upgrades, through_media),
    "T, ingest port": (lambda: handshakes.TABLE, ingest_handshakes),
    "H, ingest port": (lambda: posts.TABLE, through_ingest),
    "S, ingest port": (signed_posts, through_ingest),
    "S, bearer tokens": (posts_with_tokens, through_ingest),
    "O, ingest port": (lambda: audio.TABLE, through_ingest),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_bad_input_gets_its_answer_and_nobody_else_notices(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path, caplog: Any, family: str
) -> None:
    table, driver = FAMILIES[family]

    async def story() -> None:
        async with staged(certificate_authority, tmp_path) as scene:
            wrong = await scene.play(table(), driver)
        assert not wrong, "\n" + "\n".join(wrong)

    began = time.monotonic()
    run(story())
    assert not [secret for secret in SECRETS if secret in caplog.text]
    assert len(caplog.records) < LINES_AT_ONCE + LINES_PER_SECOND * (time.monotonic() - began)


def good_ones() -> dict[str, tuple[Driver, bytes, str]]:
    """What the rows would be without their flaws: a table of refusals only says nothing."""
    now = int(time.time())
    posting = [("Content-Type", "audio/PCMU"), ("Content-Length", "4")]
    upgrade = signatures.signed_request("GET", "/audiohook", UPGRADE_HEADERS, now, {})
    post = signatures.signed_request("POST", posts.PATH, posting, now, {}) + b"\xff" * 4
    pages, packets = audio.GOOD_OGG, audio.framed(*[audio.SILENCE] * 5)
    sealed, _ = audio.sealed(b"".join(audio.records()))
    token = f"Bearer {tokens.good_token(now)}"
    return {
        "a hello to the media port": (media_handshakes, handshakes.greeting(), "greeted"),
        "a hello to the ingest port": (ingest_handshakes, handshakes.greeting(), "greeted"),
        "an upgrade": (through_media, requests.GOOD + b"\r\n", "101"),
        "a signed upgrade": (through_media, upgrade, "101"),
        "an open": (through_session, messages.OPEN, "opened"),
        "a signed post": (through_ingest, post, "200, 4, goes on"),
        "a post with a token": (through_ingest, posts.post(posts.PCMU), "200, 160, goes on"),
        "a post with a web token": (through_ingest, tokens.request((token,)), "200, 4, goes on"),
        "Ogg": (through_ingest, audio.body("audio/ogg;codecs=opus", pages), "200, 748, goes on"),
        "packets": (through_ingest, audio.body("audio/opus", packets), "200, 800, goes on"),
        "sealed": (through_ingest, sealed, "200, 81, goes on"),
    }


def test_without_their_flaws_they_are_taken(
    run: Any, certificate_authority: trustme.CA, tmp_path: Path
) -> None:
    async def story() -> None:
        async with staged(certificate_authority, tmp_path) as scene:
            outcomes = {
                name: (await driver(scene, sent), expected)
                for name, (driver, sent, expected) in good_ones().items()
            }
        assert all(outcome == expected for outcome, expected in outcomes.values()), outcomes

    run(story())


def test_there_are_enough_of_them_and_none_twice() -> None:
    total = 0
    for family, (table, _) in FAMILIES.items():
        cases = table()
        assert len({case.name for case in cases}) == len(cases), family
        sent = [case.sent for case in cases]
        assert len(set(sent)) == len(sent), family
        total += len(cases)
    assert total >= 900, total
