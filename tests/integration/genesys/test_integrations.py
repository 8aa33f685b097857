"""The integrations dialect from end to end: made, locked, probed, taken back, deleted."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from earhook.errors import ConfigurationError
from earhook.genesys import MonitorWish
from earhook.genesys.errors import (
    LimitReached,
    NotReached,
    OutcomeUnknown,
    RequestRefused,
    StateConflict,
)
from earhook.ops.redaction import Redacted
from earhook.testing.genesys import Endpoint, Mishap

KEY, CANARY = "canary-key-2b7e", base64.b64encode(b"canary-secret-of-32-bytes-exactly").decode()
WISH = MonitorWish(
    name="earhook",
    connection_uri="wss://gateway.example/audiohook",
    api_key=Redacted(KEY),
    client_secret=Redacted(CANARY),
    channel="external",
    custom_config={"tenant": "a"},
)


def test_the_whole_life_of_an_integration(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            known, integrations = scene.fake.organization, scene.cloud.integrations
            made = await integrations.provision(WISH)
            assert (made.name, made.intended_state) == ("earhook", "DISABLED")
            configuration = await integrations.configuration(made.id)
            assert configuration.connection_uri == WISH.connection_uri
            assert configuration.channel == "external"
            assert configuration.advanced == {"tenant": "a"}
            stored = known.credentials[configuration.credential_ids["audioHook"]]
            assert stored["fields"] == {"apiKey": KEY, "clientSecret": CANARY}

            active = await integrations.enable(made.id)
            assert active.reported_state == "ACTIVE"
            assert sum(scene.naps) >= scene.fake.health.after_seconds
            listed = await integrations.list()
            assert [(one.id, one.configuration.channel) for one in listed if one.configuration] == [
                (made.id, "external")
            ]

            scene.fake.integrations.holds = 2
            await integrations.retire(made.id)
            assert not known.integrations
            assert not known.credentials
            await integrations.retire(made.id)

    run(story())


def test_a_probe_that_fails_is_told_with_the_platforms_reason(run: Any, play: Any) -> None:
    async def refuse(endpoint: Endpoint) -> str:
        assert (endpoint.api_key, endpoint.client_secret) == (KEY, CANARY)
        return f"The server at {endpoint.url} did not answer."

    async def story() -> None:
        async with play() as scene:
            scene.fake.health.examine = refuse
            made = await scene.cloud.integrations.provision(WISH)
            begun = scene.clock.wall_seconds()
            with pytest.raises(NotReached, match="did not answer") as failed:
                await scene.cloud.integrations.enable(made.id)
            assert failed.value.state == "ERROR"
            events = await scene.cloud.events.between(begun, begun + 60)
            assert [(one.code, one.entity_id) for one in events] == [("AUDIOHOOK-0001", made.id)]
            assert events[0].title == "AudioHook integration error"
            assert "did not answer" in events[0].detail

    run(story())


def test_what_was_reported_before_is_no_verdict(run: Any, play: Any) -> None:
    verdicts = ["still broken", ""]

    async def examine(_endpoint: Endpoint) -> str:
        return verdicts.pop(0)

    async def story() -> None:
        async with play() as scene:
            scene.fake.health.examine = examine
            made = await scene.cloud.integrations.provision(WISH)
            with pytest.raises(NotReached, match="still broken"):
                await scene.cloud.integrations.enable(made.id)
            scene.fake.integrations.is_slow_to_notice = True
            assert (await scene.cloud.integrations.enable(made.id)).reported_state == "ACTIVE"
            # Nothing is reported anew: after a while the old word is believed.
            scene.fake.health.after_seconds = 1e6
            before = sum(scene.naps)
            assert (await scene.cloud.integrations.enable(made.id)).reported_state == "ACTIVE"
            assert 15 <= sum(scene.naps) - before <= 17

    run(story())


def test_no_verdict_in_time_is_told(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.health.after_seconds = 1e6
            made = await scene.cloud.integrations.provision(WISH)
            with pytest.raises(NotReached, match="no verdict") as failed:
                await scene.cloud.integrations.enable(made.id, within_seconds=10)
            assert failed.value.state == "ACTIVATING"
            assert sum(scene.naps) == 10

    run(story())


def test_somebody_who_was_faster_is_read_again_and_kept(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            made = await scene.cloud.integrations.provision(WISH)
            scene.fake.integrations.intrusions = 2
            uri = "wss://other.example/audiohook"

            def change(present: Any) -> Any:
                present = replace(present, version=1)  # versions are not the caller's business
                properties = {**present.properties, "connectionUri": uri}
                return replace(present, properties=properties)

            written = await scene.cloud.integrations.configure(made.id, change)
            assert written.connection_uri == uri
            assert written.notes == "written by somebody else"
            assert written.channel == "external"

            scene.fake.integrations.intrusions = 50
            with pytest.raises(StateConflict):
                await scene.cloud.integrations.configure(
                    made.id, lambda present: replace(present, advanced={"b": 1})
                )

    run(story())


def test_what_is_as_wanted_is_not_written(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            made = await scene.cloud.integrations.provision(WISH)
            writes = scene.sent("PUT")
            await scene.cloud.integrations.configure(made.id, lambda present: present)
            assert scene.sent("PUT") == writes

    run(story())


def test_a_sixth_is_refused_before_anything_is_sent(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            for number in range(5):
                await scene.cloud.integrations.provision(replace(WISH, name=f"n{number}"))
            sent = scene.sent("POST")
            with pytest.raises(LimitReached, match="n0, n1, n2, n3, n4"):
                await scene.cloud.integrations.provision(WISH)
            with pytest.raises(StateConflict, match="already"):
                await scene.cloud.integrations.provision(replace(WISH, name="n1"))
            assert scene.sent("POST") == sent

    run(story())


def test_faults_are_told_together_and_nothing_is_sent(run: Any, play: Any) -> None:
    wish = MonitorWish("", "https://u:p@h/#x", Redacted("a b"), Redacted("!!"), "left")  # type: ignore[arg-type]

    async def story() -> None:
        async with play() as scene:
            with pytest.raises(ConfigurationError) as failed:
                await scene.cloud.integrations.provision(wish)
            where = [fault.where for fault in failed.value.faults]
            assert where.count("connection_uri") == 3
            assert {"name", "channel", "api_key", "client_secret"} <= set(where)
            assert not scene.fake.requests

    run(story())


@pytest.mark.parametrize("path", ["/credentials", "/config/current"])
def test_what_fails_half_way_is_taken_back(run: Any, play: Any, path: str) -> None:
    async def story() -> None:
        async with play() as scene:
            method = "POST" if path == "/credentials" else "PUT"
            mishap = Mishap(400, method, path, body=f'{{"message": "{KEY} {CANARY}"}}'.encode())
            scene.fake.mishaps.append(mishap)
            with pytest.raises(RequestRefused) as refused:
                await scene.cloud.integrations.provision(WISH)
            if path == "/credentials":
                assert KEY not in str(refused.value)
                assert CANARY not in str(refused.value)
            assert not scene.fake.organization.integrations
            assert not scene.fake.organization.credentials

    run(story())


def test_an_integration_whose_making_was_not_answered_is_found(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.append(Mishap(0, "POST", "/integrations", is_done=True))
            made = await scene.cloud.integrations.provision(WISH)
            assert list(scene.fake.organization.integrations) == [made.id]
            await scene.cloud.integrations.retire(made.id)

            scene.fake.mishaps.append(Mishap(504, "POST", "/integrations"))
            with pytest.raises(OutcomeUnknown):
                await scene.cloud.integrations.provision(WISH)
            assert not scene.fake.organization.integrations

    run(story())


def test_listings_go_on_over_their_pages(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            for number in range(230):
                name = f"n{number}"
                fields = {"id": name, "name": name, "integrationType": {"id": "audiohook"}}
                scene.fake.organization.integrations[name] = fields
                scene.fake.organization.configurations[name] = {"version": 1}
            assert len(await scene.cloud.integrations.list()) == 230
            assert scene.sent("GET", "/integrations") == 3

    run(story())


def test_a_queue_is_switched_and_keeps_everything_else(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            queue = {"id": "q", "name": "Sales", "memberCount": 3, "acwSettings": {"a": 1}}
            scene.fake.organization.queues["q"] = queue
            assert not await scene.cloud.queues.is_monitored("q")
            assert await scene.cloud.queues.set_monitored("q", monitored=True)
            assert await scene.cloud.queues.is_monitored("q")
            assert not await scene.cloud.queues.set_monitored("q", monitored=True)
            assert queue["acwSettings"] == {"a": 1}
            assert queue["memberCount"] == 3
            assert scene.sent("PUT") == 1

    run(story())


def test_only_networks_that_send_audio_are_listed(run: Any, play: Any) -> None:
    rows = [
        ("52.0.0.1/32", "audiohook", "us-east-1"),
        ("10.0.0.0/24", "audio-connector", "eu-west-1"),
        ("52.0.0.1/32", "smtp", "us-east-1"),
        ("2001:db8::/40", "audiohook", "eu-west-1"),
    ]

    async def story() -> None:
        async with play() as scene:
            scene.fake.organization.ip_ranges += [
                {"cidr": cidr, "service": service, "region": region}
                for cidr, service, region in rows
            ]
            found = await scene.cloud.ip_ranges()
            assert [str(one.network) for one in found] == [
                "10.0.0.0/24",
                "52.0.0.1/32",
                "2001:db8::/40",
            ]
            assert len(await scene.cloud.ip_ranges(regions=["eu-west-1"])) == 2

    run(story())


def test_events_come_over_all_their_pages(run: Any, play: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            now = scene.clock.wall_seconds()
            at = "2026-01-01T00:00:00+00:00"
            for number in range(450):
                code = "AUDIOHOOK-0001" if number % 2 else "OTHER-0001"
                event = {"eventDefinition": {"id": code}, "dateCreated": at, "entityId": "x"}
                scene.fake.organization.events.append(event)
            found = await scene.cloud.events.between(now - 1, now + 1)
            assert len(found) == 225
            assert found[0].wall_seconds == now

    run(story())
