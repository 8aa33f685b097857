"""How many calls one sender may have, and how fast it may begin them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from earhook.control.call_caps import CallCaps
from earhook.control.settings import KeySettings
from earhook.ids import KeyName
from earhook.ingest.credential_settings import IssuerSettings, TokenSettings
from earhook.ingest.credentials import Party
from earhook.ingest.refusal import Refusal
from earhook.ingest.settings import IngestLimits, IngestSettings
from earhook.ingest.shares import REMEMBERED_PARTIES, CallShares

NAME = KeyName("issuer")
OURS: Party = (NAME, frozenset({"ours"}))
THEIRS: Party = (NAME, frozenset({"theirs"}))


def settings_of(per_second: int = 100, **more: int) -> IngestSettings:
    limits = IngestLimits(new_calls_per_second=per_second)
    return IngestSettings(plaintext=True, limits=limits, **more)


def begin(
    shares: CallShares,
    settings: IngestSettings,
    now: float = 0.0,
    party: Party = OURS,
    cap: int | None = None,
) -> str:
    """Begin a call; the reason why not, or nothing."""
    try:
        shares.require(party, settings, cap, now)
    except Refusal as refusal:
        return refusal.reason
    shares.enter(party)
    return ""


@pytest.mark.parametrize(
    ("more", "share"),
    [
        ({}, 4500),
        ({"max_calls": 1}, 1),
        ({"max_calls": 9}, 9),
        ({"max_calls": 10}, 9),
        ({"max_calls": 100, "max_calls_per_sender": 30}, 30),
    ],
)
def test_a_share_is_nine_tenths_unless_it_is_said(more: dict[str, int], share: int) -> None:
    assert settings_of(**more).sender_share == share


def test_a_sender_that_has_its_share_leaves_the_rest_to_others() -> None:
    shares, settings = CallShares(), settings_of(max_calls=20)
    assert [begin(shares, settings) for _ in range(20)] == [""] * 18 + ["sender-calls"] * 2
    assert begin(shares, settings, party=THEIRS) == ""
    shares.leave(OURS)
    assert begin(shares, settings) == ""
    assert begin(shares, settings) == "sender-calls"
    for party, calls in ((OURS, 18), (THEIRS, 1)):
        for _ in range(calls):
            shares.leave(party)
    assert shares.parties == 0


def test_a_number_of_a_credential_is_for_all_who_come_in_by_it() -> None:
    shares, settings = CallShares(), settings_of()
    assert begin(shares, settings, party=OURS, cap=2) == ""
    assert begin(shares, settings, party=THEIRS, cap=2) == ""
    assert begin(shares, settings, party=OURS, cap=2) == "sender-calls"
    assert begin(shares, settings, party=(KeyName("other"), frozenset()), cap=None) == ""


def test_a_storm_of_a_thousand_calls_in_two_seconds_passes() -> None:
    shares, settings = CallShares(), settings_of()
    assert {begin(shares, settings, number / 500) for number in range(1000)} == {""}


def test_what_goes_on_beyond_the_rate_is_refused_and_only_for_its_sender() -> None:
    shares, settings = CallShares(), settings_of(max_calls=1_000_000)
    begun = 0
    for number in range(60_000):  # 600 a second
        begun += begin(shares, settings, number / 600) == ""
    assert begun == pytest.approx(1000 + 100 * 100, abs=2)
    assert begin(shares, settings, 100.0, party=THEIRS) == ""
    # Who keeps quiet for a while may begin as many at once as before.
    assert [begin(shares, settings, 200.0) for _ in range(1001)].count("") == 1000


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=300), st.integers(1, 20))
def test_no_span_of_time_has_more_calls_than_the_rate_and_ten_seconds_of_it(
    pauses: list[float], per_second: int
) -> None:
    shares, settings, now = CallShares(), settings_of(per_second), 0.0
    times = []
    for pause in pauses:
        now += pause
        if begin(shares, settings, now) == "":
            times.append(now)
    for first in range(0, len(times), 7):
        for last in range(first, len(times)):
            allowed = per_second * (10 + times[last] - times[first])
            assert last - first + 1 <= allowed + 1e-6


def test_the_table_of_rates_does_not_grow_without_end() -> None:
    shares, settings = CallShares(), settings_of(1)
    for number in range(REMEMBERED_PARTIES + 50):
        party = (NAME, frozenset({str(number)}))
        assert begin(shares, settings, party=party) == ""
    assert len(vars(shares)["_left"]) == REMEMBERED_PARTIES


def test_tables_of_one_name_share_the_lowest_of_their_numbers() -> None:
    key = KeySettings(api_key=SecretStr("k"), unsigned=True, max_calls=7)
    tokens = [
        TokenSettings(name="crm", token=SecretStr(digit * 16), max_calls=cap)
        for digit, cap in (("1", 5), ("2", None), ("3", 3))
    ]
    secret = SecretStr("a" * 44)
    issuer = IssuerSettings(
        name="idp", issuer="i", audience="a", algorithms=("HS256",), secret=secret, max_calls=11
    )
    caps = CallCaps()
    caps.replace([key], tokens, [issuer])
    found = {name: caps.of(KeyName(name)) for name in ("key-1", "crm", "idp", "nobody")}
    assert found == {"key-1": 7, "crm": 3, "idp": 11, "nobody": None}
    caps.replace([], tokens[1:2], [])
    assert caps.of(KeyName("crm")) is None
