"""Tokens, retries and refusals against a real server: what is repeated, how often, what not."""

from __future__ import annotations

import asyncio
import email.utils
import logging
import socket
from typing import Any

import pytest
from pydantic import SecretStr

from earhook.errors import GenesysError
from earhook.genesys import (
    AccountSettings,
    GenesysCloud,
    PatienceSettings,
    Timing,
    custom_region,
)
from earhook.genesys.errors import (
    LoginRefused,
    NotThere,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    ScopeMissing,
    Unavailable,
)
from earhook.testing.genesys import ALL_PERMISSIONS, Mishap, OAuthClient, RateLimit


def test_however_many_ask_there_is_one_login(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            await asyncio.gather(*[scene.cloud.ip_ranges() for _ in range(20)])
            assert scene.fake.gate.logins == 1

    run(story())


def test_one_who_gives_up_does_not_take_the_login_from_the_others(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            first = asyncio.create_task(scene.cloud.log_in())
            second = asyncio.create_task(scene.cloud.log_in())
            await asyncio.wait({first}, timeout=0)
            first.cancel()
            await second
            assert scene.fake.gate.logins == 1

    run(story())


def test_a_token_is_renewed_before_it_ends(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.gate.lifetime_seconds = 1000.0
            await scene.cloud.ip_ranges()
            scene.clock.advance(930.0)
            await scene.cloud.ip_ranges()
            assert scene.fake.gate.logins == 1
            scene.clock.advance(15.0)  # 945 of 1000: inside the margin, and not yet over
            await scene.cloud.ip_ranges()
            assert scene.fake.gate.logins == 2

    run(story())


def test_a_token_that_is_void_early_costs_one_more_login(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            await scene.cloud.ip_ranges()
            scene.fake.gate.revoke_all()
            await asyncio.gather(*[scene.cloud.ip_ranges() for _ in range(5)])
            assert scene.fake.gate.logins == 2
            assert not scene.naps

    run(story())


def test_401_with_a_fresh_token_is_told_and_not_tried_for_ever(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.extend([Mishap(401, path="ipranges")] * 3)
            with pytest.raises(LoginRefused):
                await scene.cloud.ip_ranges()
            assert scene.sent("GET", "ipranges") == 2

    run(story())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"secret": "another"}, "invalid_client"),
        ({"is_enabled": False}, "unauthorized_client"),
    ],
)
def test_a_refused_login_says_what_to_check(
    run: Any, play: Any, change: dict[str, Any], word: str
) -> None:
    async def story() -> None:
        async with play() as scene:
            for key, value in change.items():
                setattr(scene.client, key, value)
            with pytest.raises(LoginRefused) as refused:
                await scene.cloud.ip_ranges()
            assert refused.value.code == word
            assert "canary" not in str(refused.value)
            assert scene.sent("POST", "token") == 1

    run(story())


def test_a_scope_that_the_client_may_not_have_is_named_at_login(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play(scopes=("audiohook:create", "other:scope")) as scene:
            with pytest.raises(ScopeMissing, match="other:scope"):
                await scene.cloud.log_in()

    run(story())


def test_a_missing_permission_is_named(run: Any, play: Any) -> None:
    client = OAuthClient(permissions=ALL_PERMISSIONS - {"integrations:integration:view"})

    async def story() -> None:
        async with play(client=client) as scene:
            with pytest.raises(PermissionMissing, match="integrations:integration:view") as missing:
                await scene.cloud.integrations.list()
            assert missing.value.permissions == ("integrations:integration:view",)
            assert missing.value.correlation_id == "fake-correlation"
            assert "role" in str(missing.value)

    run(story())


def test_a_permission_that_nobody_names_is_taken_from_the_table(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            body = b'{"code": "missing.permissions", "message": "no"}'
            scene.fake.mishaps.append(Mishap(403, path="/integrations", body=body))
            with pytest.raises(PermissionMissing) as missing:
                await scene.cloud.integrations.list()
            assert missing.value.permissions == ("integrations:integration:view",)

    run(story())


def test_a_missing_scope_is_named(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play(scopes=("conversation.read",)) as scene:
            with pytest.raises(ScopeMissing, match="audiohook:read") as missing:
                await scene.cloud.audiohooks.list()
            assert missing.value.scopes == ("audiohook:read",)

    run(story())


def test_429_is_waited_out_and_never_earlier_than_told(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.gate.limit = RateLimit(requests=3, window_seconds=60.0)
            for _ in range(4):
                await scene.cloud.ip_ranges()
            assert len(scene.naps) == 1
            assert 60.0 <= scene.naps[0] <= 61.0

    run(story())


def test_a_date_in_retry_after_is_understood(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            date = email.utils.formatdate(scene.clock.wall_seconds() + 40, usegmt=True)
            mishap = Mishap(503, path="ipranges", headers={"Retry-After": date})
            scene.fake.mishaps.append(mishap)
            await scene.cloud.ip_ranges()
            assert 39.0 <= scene.naps[0] <= 41.0

    run(story())


def test_a_wait_that_is_too_long_is_reported_instead(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            mishap = Mishap(429, path="ipranges", headers={"Retry-After": "3600"})
            scene.fake.mishaps.append(mishap)
            with pytest.raises(RateLimited) as limited:
                await scene.cloud.ip_ranges()
            assert limited.value.retry_after_seconds == 3600
            assert not scene.naps

    run(story())


def test_5xx_backs_off_in_doubling_pauses_and_then_gives_up(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play(patience=PatienceSettings(attempts=5, longest_pause_seconds=2)) as scene:
            scene.fake.mishaps.extend([Mishap(502, path="ipranges")] * 5)
            with pytest.raises(Unavailable, match="502"):
                await scene.cloud.ip_ranges()
            assert scene.naps == [0.375, 0.75, 1.5, 1.5]
            assert await scene.cloud.ip_ranges() == []

    run(story())


def test_the_login_is_patient_too(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.extend([Mishap(503, path="token"), Mishap(0, path="token")])
            await scene.cloud.log_in()
            assert len(scene.naps) == 2

    run(story())


@pytest.mark.parametrize("status", [0, 500, 504])
def test_what_may_have_been_made_is_not_made_again(run: Any, play: Any, status: int) -> None:
    async def story() -> None:
        async with play() as scene:
            conversation = scene.fake.begin_conversation()
            conversation.state = "connected"
            scene.fake.organization.audiohooks["hook"] = {"name": "x", "id": "hook"}
            scene.fake.mishaps.append(Mishap(status, path="/events", is_done=True))
            with pytest.raises(OutcomeUnknown, match="look before you repeat"):
                await scene.cloud.audiohooks.bind(conversation.id, "hook")
            assert conversation.bound == ["hook"]

    run(story())


def test_a_connection_that_breaks_is_tried_again_where_that_is_the_same(
    run: Any, play: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            await scene.cloud.log_in()
            scene.fake.mishaps.extend([Mishap(0, path="ipranges")] * 2)
            assert await scene.cloud.ip_ranges() == []

    run(story())


def test_nobody_there_is_unavailable_after_every_attempt(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play(patience=PatienceSettings(attempts=3)) as scene:
            with socket.socket() as nobody:
                nobody.bind(("127.0.0.1", 0))  # taken, and not listening
                url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
                settings = AccountSettings(client_id="a", client_secret=SecretStr("b"))
                async with GenesysCloud(
                    custom_region(url, url),
                    settings,
                    patience=PatienceSettings(attempts=3),
                    timing=Timing(scene.clock, scene.nap),
                ) as cloud:
                    with pytest.raises(Unavailable, match="cannot be reached"):
                        await cloud.ip_ranges()
            assert len(scene.naps) == 2

    run(story())


@pytest.mark.parametrize("subject", ["..", "a/b", "", "x?y", "a%2fb", "ä"])
def test_no_id_leads_to_another_path(run: Any, play: Any, subject: str) -> None:
    async def story() -> None:
        async with play() as scene:
            with pytest.raises(NotThere, match="no id"):
                await scene.cloud.integrations.read(subject)
            assert not scene.fake.requests

    run(story())


def test_no_secret_is_in_any_text_or_line(
    run: Any, play: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.extend([Mishap(503, path="token"), Mishap(401, path="ipranges")])
            await scene.cloud.ip_ranges()
            held = scene.cloud._tokens._held
            assert held is not None
            token = held.token.reveal()
            shown = [repr(vars(part)) for part in (scene.cloud._tokens, scene.cloud._api)]
            lines = caplog.text + " ".join(shown) + repr(held)
            assert "genesys.retry" in caplog.text
            assert token not in lines
            assert "canary" not in lines

    run(story())


def test_an_error_of_a_branch_is_an_error_of_the_tree() -> None:
    assert issubclass(OutcomeUnknown, Unavailable)
    assert issubclass(Unavailable, GenesysError)
