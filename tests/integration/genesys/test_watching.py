"""States and error events as they come, the survey behind them, and which AudioHook is bound."""

from __future__ import annotations

from typing import Any

import pytest

from earhook.errors import ConfigurationError
from earhook.genesys import AudioHookWish, MonitorWish, PatienceSettings, Timing
from earhook.genesys.binding import choose_hook
from earhook.genesys.errors import LoginRefused, NotReached
from earhook.genesys.survey import survey
from earhook.genesys.watching import Observation, watch
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import Endpoint, Mishap, OAuthClient

WISH = MonitorWish("mine", "wss://h.example/audiohook", Redacted("canary-key"))
HOOK = AudioHookWish("hook", "https://h.example/ingest")


async def observed(scene: Any, script: list[Any], seconds: float) -> list[tuple[str, str, bool]]:
    """What is told while a script plays, one step before each look but the first."""
    steps = iter(script)

    async def nap(length: float) -> None:
        scene.clock.advance(length)
        step = next(steps, None)
        if step is not None:
            await step()

    timing = Timing(scene.clock, nap, lambda: 0.5)
    found: list[Observation] = [
        one async for one in watch(scene.cloud, timing, every_seconds=10, within_seconds=seconds)
    ]
    return [(one.kind, one.row["state"], one.is_bad) for one in found]


def test_states_are_told_once_and_then_as_they_change(run: Any, play: Any) -> None:
    async def refuse(_endpoint: Endpoint) -> str:
        return "handshake failed"

    async def story() -> None:
        async with play() as scene:
            made = await scene.cloud.integrations.provision(WISH)
            hook = await scene.cloud.audiohooks.create(HOOK)
            events = scene.fake.organization.events

            async def enable() -> None:
                scene.fake.health.examine = refuse
                await scene.cloud.integrations.switch(made.id, "ENABLED")

            async def nothing() -> None:
                pass

            async def come_late() -> None:
                events.append({**events[0], "currentValue": "another one"})

            async def delete() -> None:
                await scene.cloud.audiohooks.delete(hook.id)

            told = await observed(scene, [enable, nothing, come_late, delete, nothing], 50)
            assert told == [
                ("integrations", "INACTIVE", False),
                ("audiohooks", "DISABLED", False),
                ("integrations", "ACTIVATING", False),
                ("integrations", "ERROR", True),
                ("events", "AUDIOHOOK-0001", True),
                ("events", "AUDIOHOOK-0001", True),
                ("audiohooks", "GONE", False),
            ]

    run(story())


def test_what_went_wrong_before_is_not_told(run: Any, play: Any) -> None:
    async def refuse(_endpoint: Endpoint) -> str:
        return "handshake failed"

    async def story() -> None:
        async with play() as scene:
            scene.fake.health.examine = refuse
            made = await scene.cloud.integrations.provision(WISH)
            await scene.cloud.integrations.switch(made.id, "ENABLED")
            await scene.cloud.integrations.watch(made.id)
            scene.clock.advance(60)
            told = await observed(scene, [], 30)
            assert told == [("integrations", "ERROR", True)]
            seen = await survey(scene.cloud, scene.clock.wall_seconds(), hours=1)
            assert [one["reason"] for one in seen.sections["events"]] == ["handshake failed"]
            assert (seen.is_well, seen.room_for_integrations) == (False, 4)

    run(story())


def test_an_outage_is_told_and_sat_out_a_refused_login_is_not(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play(patience=PatienceSettings(attempts=1)) as scene:
            await scene.cloud.integrations.provision(WISH)

            async def outage() -> None:
                await scene.cloud._tokens.close()
                scene.fake.mishaps.append(Mishap(503, path="/oauth/token"))

            async def lock_out() -> None:
                await scene.cloud._tokens.close()
                scene.client.is_enabled = False

            told = await observed(scene, [outage], 20)
            assert told == [("integrations", "INACTIVE", False), ("unseen", "NOT SEEN", False)]
            with pytest.raises(LoginRefused):
                await observed(scene, [lock_out], 20)

    run(story())


def test_what_may_not_be_seen_is_told_once(run: Any, play: Any) -> None:
    async def story() -> None:
        client = OAuthClient(secret="canary", scopes=frozenset({"other"}))
        async with play(client=client) as scene:
            told = await observed(scene, [], 30)
            assert told == [("unseen", "NOT SEEN", False)]

    run(story())


def test_queues_are_part_of_the_survey_where_they_are_asked_for(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            queues = scene.fake.organization.queues
            queues["on"] = {"id": "on", "name": "a", "enableAudioMonitoring": True}
            queues["off"] = {"id": "off", "name": "b"}
            now = scene.clock.wall_seconds()
            seen = await survey(scene.cloud, now, hours=1, queue_ids=("on", "off"))
            assert [one["works"] for one in seen.sections["queues"]] == [True, False]
            assert not seen.is_well

    run(story())


def test_the_audiohook_to_bind_is_named_or_the_only_one_and_enabled(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            with pytest.raises(ConfigurationError, match="there is none yet"):
                await choose_hook(scene.cloud, None)
            made = await scene.cloud.audiohooks.create(HOOK)
            with pytest.raises(NotReached, match="is DISABLED; nothing is bound"):
                await choose_hook(scene.cloud, None)
            await scene.cloud.audiohooks.write(made.id, HOOK, "ENABLED")
            for named in (None, "HOOK", made.id):
                assert (await choose_hook(scene.cloud, named)).id == made.id
            other = AudioHookWish("other", "https://h.example/ingest")
            await scene.cloud.audiohooks.create(other)
            with pytest.raises(ConfigurationError, match="there are: hook, other"):
                await choose_hook(scene.cloud, None)
            with pytest.raises(ConfigurationError, match="none of that name"):
                await choose_hook(scene.cloud, "hok")

    run(story())
