"""Who may come in over HTTPS: which credential counts, what is answered, and what a reload does."""

from __future__ import annotations

import asyncio
import base64
import datetime
from collections import Counter
from pathlib import Path

import pytest

from earhook.control.authentication import Authenticator
from earhook.control.credentials import read_keyring
from earhook.control.doorkeeper import REFUSALS, IngestDoorkeeper, read_bearer_tokens
from earhook.control.figures import read_doorkeeper
from earhook.control.settings import KeySettings, SignatureAndReplaySettings
from earhook.edge.request import RequestHead, parse_head
from earhook.errors import ConfigurationError
from earhook.ingest.credential_settings import IssuerSettings, TokenSettings
from earhook.ingest.credentials import Accepted, IngestRequest, Refused, Verdict
from earhook.ops.readings import Readings
from earhook.protocol.signature import SignedRequest
from earhook.protocol.signing import RequestToSign, production_parameters, sign
from earhook.testing.clock import ManualClock

ORGANIZATION = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
OTHER = "11111111-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
TOKEN, NEXT_TOKEN, THIRD = (
    "first-token-0123456789",
    "second-token-012345678",
    "third-token-01234567",
)
API_KEY, SECRET = "an-api-key", b"a client secret"
TARGET, HOST = "/stream/v1/audiohook", "gateway.example:8444"
CHALLENGE = 'Bearer realm="earhook"'
KEYS = [
    KeySettings(name="signed", api_key=API_KEY, secrets=(base64.b64encode(SECRET).decode(),)),
    KeySettings(name="open", api_key="open-key", unsigned=True, organizations=(ORGANIZATION,)),
]
TOKENS = [
    TokenSettings(name="anybody", token=TOKEN),
    TokenSettings(name="one", token=NEXT_TOKEN, organizations=(ORGANIZATION,)),
    TokenSettings(name="two", token=THIRD, organizations=(ORGANIZATION, OTHER)),
]
Headers = list[tuple[str, str]]


class House:
    """A doorkeeper and all that it asks."""

    def __init__(self, replay: str = "enforce") -> None:
        self.clock = ManualClock()
        settings = SignatureAndReplaySettings.model_validate({"replay": replay})
        self.authenticator = Authenticator(read_keyring(KEYS), settings)
        tokens = read_bearer_tokens(TOKENS, [], self.clock)
        self.doorkeeper = IngestDoorkeeper(tokens, self.authenticator, self.clock)

    def judge(self, headers: Headers) -> Verdict:
        request = IngestRequest(head(headers), "192.0.2.1")
        return asyncio.run(self.doorkeeper.judge(request, self.clock.wall_seconds()))

    def signed(self, nonce: str = "QUJDREVGR0hJSktMTU5PUFFS") -> Headers:
        fields = [
            ("Audiohook-Organization-Id", ORGANIZATION),
            ("Audiohook-Session-Id", OTHER),
            ("Audiohook-Correlation-Id", OTHER),
            ("X-API-KEY", API_KEY),
        ]
        created = int(self.clock.wall_seconds())
        parameters = production_parameters(API_KEY, nonce, created)
        return [*fields, *sign(RequestToSign(TARGET, HOST, fields), SECRET, parameters)]


def head(headers: Headers) -> RequestHead:
    lines = [f"POST {TARGET} HTTP/1.1", f"Host: {HOST}", *(f"{n}: {v}" for n, v in headers)]
    parsed = parse_head("\r\n".join(lines).encode("latin-1"), 64)
    assert isinstance(parsed, RequestHead)
    return parsed


def bearer(token: str) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def organization(value: str) -> Headers:
    return [("Audiohook-Organization-Id", value)]


GOOD: dict[str, tuple[Headers, str]] = {
    "token": (bearer(TOKEN), "anybody"),
    "scheme in any case": ([("authorization", f"bEARER {TOKEN}")], "anybody"),
    "several spaces": ([("Authorization", f"Bearer   {TOKEN}")], "anybody"),
    "its organization": ([*bearer(NEXT_TOKEN), *organization(ORGANIZATION.upper())], "one"),
    "its only organization, not named": (bearer(NEXT_TOKEN), "one"),
    "one of two organizations": ([*bearer(THIRD), *organization(OTHER)], "two"),
    "key alone": ([("X-API-KEY", "open-key"), *organization(ORGANIZATION)], "open"),
    "token beside a key that is wrong": ([*bearer(TOKEN), ("X-API-KEY", "x")], "anybody"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_credentials_come_in(name: str) -> None:
    headers, expected = GOOD[name]
    accepted = House().judge(headers)
    assert isinstance(accepted, Accepted)
    assert accepted.name == expected


BAD: dict[str, tuple[Headers, int, str, str]] = {
    "nothing": ([], 401, CHALLENGE, "no-credential"),
    "empty": ([("Authorization", "")], 401, "invalid_token", "scheme"),
    "scheme alone": ([("Authorization", "Bearer")], 401, "invalid_token", "scheme"),
    "basic": ([("Authorization", f"Basic {TOKEN}")], 401, "invalid_token", "scheme"),
    "token alone": ([("Authorization", TOKEN)], 401, "invalid_token", "scheme"),
    "tab": ([("Authorization", f"Bearer\t{TOKEN}")], 401, "invalid_token", "scheme"),
    "two tokens": ([("Authorization", f"Bearer {TOKEN}, {TOKEN}")], 401, "invalid_token", "u"),
    "two schemes": (
        [("Authorization", f"Bearer {TOKEN}, Basic x")],
        401,
        "invalid_token",
        "unknown-token",
    ),
    "quoted": ([("Authorization", f'Bearer "{TOKEN}"')], 401, "invalid_token", "unknown-token"),
    "not ascii": ([("Authorization", "Bearer ÿþ")], 401, "invalid_token", "unknown-token"),
    "unknown": (bearer("unknown-token-00000000"), 401, "invalid_token", "unknown-token"),
    "huge": (bearer("x" * 10_000), 401, "invalid_token", "too-long"),
    "foreign organization": (
        [*bearer(NEXT_TOKEN), *organization(OTHER)],
        403,
        "insufficient_scope",
        "organization",
    ),
    "organization left open": (bearer(THIRD), 403, "insufficient_scope", "organization"),
    "unknown key": ([("X-API-KEY", "nobody")], 401, "invalid_token", "unknown-key"),
    "key without its signature": ([("X-API-KEY", API_KEY)], 401, "invalid_token", "unsigned"),
    "signature alone": ([("Signature", "x=:AAAA:")], 401, "invalid_token", "invalid"),
    "wrong token beside a good key": (
        [*bearer("unknown-token-00000000"), ("X-API-KEY", "open-key"), *organization(ORGANIZATION)],
        401,
        "invalid_token",
        "unknown-token",
    ),
    "key in the query": ([("Cookie", f"token={TOKEN}")], 401, CHALLENGE, "no-credential"),
}
BAD["two tokens"] = (*BAD["two tokens"][:3], "unknown-token")


@pytest.mark.parametrize("name", BAD)
def test_bad_credentials_stay_out(name: str) -> None:
    headers, status, challenge, reason = BAD[name]
    house = House()
    refused = house.judge(headers)
    assert isinstance(refused, Refused)
    assert refused.status == status
    assert refused.challenge.startswith(CHALLENGE)
    assert challenge in refused.challenge
    assert house.doorkeeper.refused == {reason: 1}
    assert reason in REFUSALS


def test_two_authorization_lines_are_no_credential() -> None:
    pair = (("Authorization", f"Bearer {TOKEN}"), ("authorization", f"Bearer {TOKEN}"))
    request = IngestRequest(RequestHead("POST", b"/", 1, pair, {}), "192.0.2.1")
    house = House()
    assert isinstance(asyncio.run(house.doorkeeper.judge(request, 1.0)), Refused)
    assert house.doorkeeper.refused == {"scheme": 1}


def test_a_signature_opens_either_door_once() -> None:
    house = House()
    headers = house.signed()
    accepted = house.judge(headers)
    assert isinstance(accepted, Accepted)
    assert (accepted.name, accepted.identity) == ("signed", b"key signed")
    assert isinstance(house.judge(headers), Refused)
    at_the_other_door = SignedRequest(TARGET.encode(), head(headers).headers)
    verdict = house.authenticator.judge(at_the_other_door, house.clock.wall_seconds())
    assert not hasattr(verdict, "credential")
    assert isinstance(house.judge(house.signed("b3RoZXIgbm9uY2UgMDAwMDAw")), Accepted)
    assert house.doorkeeper.accepted == {"key": 2, "token": 0, "issuer": 0}


def test_a_signature_for_another_path_or_an_old_one_is_refused() -> None:
    house = House()
    headers = house.signed()
    house.clock.advance(14)
    assert isinstance(house.judge(headers), Refused)
    moved = head(house.signed("b3RoZXIgbm9uY2UgMDAwMDAw"))
    elsewhere = RequestHead("POST", b"/stream/v1/other", 1, moved.headers, moved._by_name)
    verdict = house.doorkeeper.judge(IngestRequest(elsewhere, ""), house.clock.wall_seconds())
    assert isinstance(asyncio.run(verdict), Refused)
    assert house.doorkeeper.refused == {"expired": 1, "mismatch": 1}


def test_expiry_between_two_requests_and_a_fresh_token_go_on_as_the_same_sender() -> None:
    house = House()
    house.doorkeeper.prepare(
        [
            TokenSettings(name="a", token=TOKEN, expires="2026-01-01T00:00:10Z"),
            TokenSettings(name="a", token=NEXT_TOKEN),
        ],
        [],
    )()
    first = house.judge(bearer(TOKEN))
    assert isinstance(first, Accepted)
    assert first.expires_wall_seconds == house.clock.wall_seconds() + 10
    house.clock.advance(10)
    assert isinstance(house.judge(bearer(TOKEN)), Refused)
    fresh = house.judge(bearer(NEXT_TOKEN))
    assert isinstance(fresh, Accepted)
    assert fresh.identity == first.identity


def test_what_is_prepared_serves_when_it_is_committed_and_a_fault_changes_nothing() -> None:
    house = House()
    commit = house.doorkeeper.prepare([TokenSettings(name="n", token=NEXT_TOKEN)], [])
    assert isinstance(house.judge(bearer(TOKEN)), Accepted)
    commit()
    assert isinstance(house.judge(bearer(TOKEN)), Refused)
    with pytest.raises(ConfigurationError) as raised:
        house.doorkeeper.prepare(
            [TokenSettings(name="n", token="short")],
            [IssuerSettings(name="i", issuer="i", audience="a", jwks_url="ftp://x/")],
        )
    assert len(raised.value.faults) == 2
    assert isinstance(house.judge(bearer(NEXT_TOKEN)), Accepted)


def test_rotation_refuses_nobody_and_the_removed_token_is_dead_at_once() -> None:
    """Old, both, new: ten rotations in a thousand requests, each with a token of that moment."""
    house = House()
    refused: Counter[str] = Counter()

    def serve(*tokens: str) -> None:
        house.doorkeeper.prepare([TokenSettings(name="r", token=t) for t in tokens], [])()

    async def story() -> None:
        async def ask(token: str) -> Verdict:
            return await house.doorkeeper.judge(
                IngestRequest(head(bearer(token)), ""), house.clock.wall_seconds()
            )

        old = "rotating-token-number-0"
        serve(old)
        for rotation in range(1, 11):
            new = f"rotating-token-number-{rotation}"
            for number in range(100):
                if number == 30:
                    serve(old, new)
                if number == 70:
                    serve(new)
                token = old if number < 30 + rotation * 4 else new
                verdict = await ask(token)
                refused[type(verdict).__name__] += isinstance(verdict, Refused)
                if number >= 70:
                    assert isinstance(await ask(old), Refused)
            old = new

    asyncio.run(story())
    assert not refused["Refused"]


def test_no_key_or_token_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    house = House()
    for headers, *_ in BAD.values():
        house.judge(headers)
    shown = capsys.readouterr()
    for secret in (TOKEN, NEXT_TOKEN, THIRD, API_KEY, "open-key", SECRET.decode()):
        assert secret not in shown.out + shown.err + repr(house.judge(bearer(TOKEN)))


def test_exposed_files_are_looked_for_in_the_ingest_too(tmp_path: Path) -> None:
    from earhook.control.credentials import exposed_files
    from earhook.control.settings import AdminSettings

    wide = tmp_path / "wide"
    wide.write_text("x")
    wide.chmod(0o644)
    assert exposed_files([], AdminSettings(), [wide, tmp_path / "absent"]) == [wide]


def test_the_end_of_a_token_is_a_figure_the_last_of_one_name() -> None:
    house = House()
    tables = [
        TokenSettings(name="a", token=TOKEN, expires="2026-01-01T00:00:10Z"),
        TokenSettings(name="a", token=NEXT_TOKEN, expires="2026-01-01T00:00:20Z"),
        TokenSettings(name="b", token=THIRD),
    ]
    tokens = read_bearer_tokens(tables, [], house.clock)
    readings = Readings()
    read_doorkeeper(readings, IngestDoorkeeper(tokens, house.authenticator, house.clock), [])
    (family,) = [
        each for each in readings.families() if each.name == "earhook_token_expiry_seconds"
    ]
    (sample,) = family.samples
    ends = datetime.datetime(2026, 1, 1, 0, 0, 20, tzinfo=datetime.UTC).timestamp()
    assert (sample.labels, sample.value) == ({"token": "a"}, ends)
