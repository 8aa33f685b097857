"""A description against an organization: what is planned is what is done, and once is enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from earhook.errors import ConfigurationError
from earhook.genesys import Finding
from earhook.genesys.changes import Action, Kind, Outcome, Plan
from earhook.genesys.planning import plan_changes, plan_deletion
from earhook.genesys.provisioning import Provisioning
from earhook.genesys.wanted_file import read_wanted
from earhook.testing.genesys import Endpoint, OAuthClient

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
BAD = Finding("chain", False, "an intermediate is missing", "serve it")


def written(scene: Any) -> list[tuple[str, str]]:
    """What was written since the last look."""
    found = [
        (method, path.removeprefix("/api/v2"))
        for method, path in scene.fake.requests
        if method in WRITES and path != "/oauth/token"
    ]
    scene.fake.requests.clear()
    return found


async def apply(scene: Any, file: Path, plan: Plan | None = None) -> list[Outcome]:
    """Carry out what is planned, or a given plan."""
    examined: list[tuple[str, str, str]] = []
    scene.examined = examined

    async def examine(url: str, key: Any = None, secret: Any = None) -> list[Finding]:
        examined.append((url, *("" if one is None else one.reveal() for one in (key, secret))))
        return scene.findings

    wanted = read_wanted(file)
    plan = plan or await plan_changes(scene.cloud, wanted)
    provisioning = Provisioning(scene.cloud, examine)
    outcomes = [one async for one in provisioning.apply(wanted, plan)]
    assert "canary" not in f"{plan}{outcomes}"
    return outcomes


def steps(plan: Plan) -> list[tuple[str, str]]:
    return [(one.action, one.name) for one in plan.changes]


def test_what_is_planned_is_done_and_twice_is_once(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            known = scene.fake.organization
            known.queues["queue-1"] = {"id": "queue-1", "name": "sales", "memberCount": 3}
            file = describe(queues=("queue-1",))
            wanted = read_wanted(file)
            plan = await plan_changes(scene.cloud, wanted)
            assert steps(plan) == [
                *((Action.CREATE, "monitor"), (Action.ENABLE, "monitor")),
                *((Action.CREATE, "hook"), (Action.ENABLE, "hook")),
                (Action.MONITOR, "queue-1"),
            ]
            assert not written(scene), "a plan changes nothing"

            outcomes = await apply(scene, file, plan)
            assert [replace(one.change, id=plan.changes[n].id) for n, one in enumerate(outcomes)]
            assert [(one.change.action, one.change.name) for one in outcomes] == steps(plan)
            assert all(one.is_done for one in outcomes), outcomes
            (integration,) = known.integrations.values()
            assert integration["intendedState"] == "ENABLED"
            assert integration["reportedState"]["code"] == "ACTIVE"
            (configuration,) = known.configurations.values()
            assert configuration["advanced"] == {"tenant": "blue"}
            (hook,) = known.audiohooks.values()
            assert hook["status"] == "ENABLED"
            assert known.queues["queue-1"]["enableAudioMonitoring"] is True

            written(scene)
            assert not (await plan_changes(scene.cloud, wanted)).changes
            assert not await apply(scene, file)
            assert not written(scene), "the second time changes nothing"

    run(story())


def test_new_things_are_made_disabled_tested_and_only_then_enabled(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.findings = [Finding("tls", True, "TLSv1.3"), BAD]
            outcomes = await apply(scene, describe(audiohooks=""))
            made, enabled = outcomes
            assert (made.is_done, enabled.is_done) == (True, False)
            assert "an intermediate is missing" in enabled.text
            assert "it stays disabled" in enabled.text
            (integration,) = scene.fake.organization.integrations.values()
            assert integration["intendedState"] == "DISABLED"
            assert not scene.sent("PATCH")
            url, key, secret = scene.examined[0]
            assert url == "wss://gateway.example/audiohook"
            assert key == "canary-api-key"
            assert secret

            # The cause is removed: the next time goes on from there.
            scene.findings = []
            (outcome,) = await apply(scene, describe(audiohooks=""))
            assert (outcome.change.action, outcome.is_done) == (Action.ENABLE, True)

    run(story())


def test_an_audiohook_whose_endpoint_is_unfit_stays_disabled(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.findings = [BAD]
            made, enabled = await apply(scene, describe(integrations=""))
            assert (made.is_done, enabled.is_done) == (True, False)
            (hook,) = scene.fake.organization.audiohooks.values()
            assert hook["status"] == "DISABLED"
            assert hook["description"].startswith("for people [key ")

    run(story())


def test_what_the_platform_finds_later_is_explained(run: Any, play: Any, describe: Any) -> None:
    async def refuse(_endpoint: Endpoint) -> str:
        return "handshake failed"

    async def story() -> None:
        async with play() as scene:
            scene.fake.health.examine = refuse

            def sicken() -> None:
                scene.findings = [BAD]

            scene.while_napping = sicken
            for kind in ({"audiohooks": ""}, {"integrations": ""}):
                scene.findings = []
                _, enabled = await apply(scene, describe(**kind))
                assert not enabled.is_done
                assert "handshake failed" in enabled.text
                assert "an intermediate is missing" in enabled.text

            # Good from here and bad from there is a thing of its own.
            scene.findings, scene.while_napping = [], lambda: None
            outcomes = await apply(scene, describe())
            assert {one.change.action for one in outcomes} == {Action.PROBE, Action.ENABLE}
            assert all("from here everything about" in one.text for one in outcomes)

    run(story())


def _only(table: dict[str, Any]) -> dict[str, Any]:
    (one,) = table.values()
    return one


def _configuration(known: Any, **fields: Any) -> None:
    _only(known.configurations).update(fields)


def _other_place(known: Any) -> None:
    uri = "wss://elsewhere.example/"
    _configuration(known, properties={"channel": "both", "connectionUri": uri})


def _error(known: Any) -> None:
    _only(known.integrations)["reportedState"] = {"code": "ERROR", "detail": {"message": "gone"}}


def _by_hand(known: Any) -> None:
    _only(known.credentials)["name"] = "entered by hand"


def _platform_disables(known: Any) -> None:
    _only(known.audiohooks).update(status="DISABLED", statusReason="no answer")


DRIFTS: list[tuple[str, Callable[[Any], Any], list[Action], set[str]]] = [
    ("notes", lambda it: _configuration(it, notes="x"), [Action.CHANGE, Action.PROBE], {"notes"}),
    (
        "advanced",
        lambda it: _configuration(it, advanced={}),
        [Action.CHANGE, Action.PROBE],
        {"custom_config"},
    ),
    ("place", _other_place, [Action.CHANGE, Action.PROBE], {"connection_uri"}),
    (
        "no credential",
        lambda it: _configuration(it, credentials={}),
        [Action.CHANGE, Action.PROBE],
        {"credential"},
    ),
    ("another credential", _by_hand, [Action.CHANGE, Action.PROBE], {"credential"}),
    (
        "switched off",
        lambda it: _only(it.integrations).update(intendedState="DISABLED"),
        [Action.ENABLE],
        set(),
    ),
    ("error", _error, [Action.PROBE], set()),
    ("disabled by the platform", _platform_disables, [Action.ENABLE], set()),
    (
        "codec",
        lambda it: _only(it.audiohooks).update(format="PCMU"),
        [Action.CHANGE, Action.PROBE],
        {"format"},
    ),
    (
        "another key",
        lambda it: _only(it.audiohooks).update(description="for people [key 000000000000]"),
        [Action.CHANGE, Action.PROBE],
        {"encryption_key"},
    ),
    (
        "description",
        lambda it: _only(it.audiohooks).update(
            description=_only(it.audiohooks)["description"].replace("people", "no one")
        ),
        [Action.CHANGE, Action.PROBE],
        {"description"},
    ),
    (
        "queue",
        lambda it: it.queues["q"].update(enableAudioMonitoring=False),
        [Action.MONITOR],
        {"enableAudioMonitoring"},
    ),
]


@pytest.mark.parametrize(
    ("drift", "actions", "fields"), [row[1:] for row in DRIFTS], ids=[row[0] for row in DRIFTS]
)
def test_whatever_somebody_changes_is_seen_and_put_right(
    run: Any, play: Any, describe: Any, drift: Any, actions: Any, fields: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            known = scene.fake.organization
            known.queues["q"] = {"id": "q", "name": "sales"}
            file = describe(queues=("q",))
            await apply(scene, file)
            drift(known)
            wanted = read_wanted(file)
            plan = await plan_changes(scene.cloud, wanted)
            assert [one.action for one in plan.changes] == actions
            assert {field.field for one in plan.changes for field in one.fields} == fields
            assert "blue" not in str(plan), "what a customConfig holds is not shown"
            outcomes = await apply(scene, file, plan)
            assert [one.change for one in outcomes] == list(plan.changes)
            assert all(one.is_done for one in outcomes), outcomes
            assert not (await plan_changes(scene.cloud, wanted)).changes

    run(story())


def test_other_keys_in_the_files_are_stored_anew(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            known = scene.fake.organization
            file = describe()
            await apply(scene, file)
            credential_id, _ = next(iter(known.credentials.items()))
            (file.parent / "keys/api-key").write_text("canary-another-key\n")
            outcomes = await apply(scene, file)
            assert [one.change.action for one in outcomes] == [Action.CHANGE, Action.PROBE]
            assert list(known.credentials) == [credential_id], "the same credential, other secrets"
            assert known.credentials[credential_id]["fields"]["apiKey"] == "canary-another-key"
            assert "canary" not in known.credentials[credential_id]["name"]

    run(story())


def test_what_works_is_never_pointed_at_what_does_not(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            known = scene.fake.organization
            file = describe()
            await apply(scene, file)
            written(scene)
            scene.findings = [BAD]
            file.write_text(file.read_text().replace("gateway.example", "new.example"))
            outcomes = await apply(scene, file)
            assert not any(one.is_done for one in outcomes)
            first = [one for one in outcomes if one.change.action is Action.CHANGE]
            assert all("nothing is changed" in one.text for one in first)
            rest = [one for one in outcomes if one.change.action is Action.PROBE]
            assert all(one.text.startswith("left out") for one in rest)
            assert not written(scene)
            assert _only(known.integrations)["reportedState"]["code"] == "ACTIVE"

    run(story())


def test_somebody_who_is_faster_is_read_again(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            file = describe(audiohooks="")
            await apply(scene, file)
            file.write_text(file.read_text().replace('"ours"', '"others"'))
            scene.fake.integrations.intrusions = 2
            scene.fake.requests.clear()
            outcomes = await apply(scene, file)
            assert [one.is_done for one in outcomes] == [True, True]
            assert scene.sent("PUT", "/config/current") == 3
            assert _only(scene.fake.organization.configurations)["notes"] == "others"

    run(story())


def test_a_sixth_integration_is_refused_before_anything_is_sent(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            one = '[[integrations]]\nname = "{}"\nconnection_uri = "wss://h.example/"\n'
            one += 'api_key_file = "keys/api-key"\n'
            await apply(scene, describe("".join(one.format(n) for n in "abcd"), ""))
            written(scene)
            with pytest.raises(ConfigurationError) as caught:
                await apply(scene, describe("".join(one.format(n) for n in "aef"), ""))
            (fault,) = caught.value.faults
            assert "has 4 AudioHook Monitor integrations, and 5 is the most" in fault.what
            assert "delete or change one of: a, b, c, d" in fault.what
            assert fault.remedy == "to make: e, f"
            assert not written(scene)
            with pytest.raises(ConfigurationError, match="there are 6, and an organization may"):
                read_wanted(describe("".join(one.format(n) for n in "abcdef"), ""))

    run(story())


def test_everything_that_cannot_be_is_told_at_once(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            file = describe(queues=("nowhere", "q"))
            known = scene.fake.organization
            known.queues["q"] = {"id": "q", "name": "sales"}
            await apply(scene, describe())
            twin = dict(_only(known.integrations), id="twin", name="MONITOR")
            known.integrations["twin"] = twin
            known.configurations["twin"] = dict(_only(known.configurations))
            with pytest.raises(ConfigurationError) as caught:
                await plan_changes(scene.cloud, read_wanted(describe(queues=("nowhere", "q"))))
            assert [one.where for one in caught.value.faults] == [
                "integrations",
                "monitored_queues[0]",
            ]
            assert file.exists()

    run(story())


def test_what_fails_at_one_thing_does_not_keep_the_others_back(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        may_read = frozenset({"audiohook:read", "conversation.read"})
        client = OAuthClient(secret="canary-s", scopes=may_read)
        async with play(client=client) as scene:
            both = describe()
            swapped = both.read_text()
            assert swapped.index("audiohooks") > swapped.index("integrations")
            wanted = read_wanted(both)
            plan = await plan_changes(scene.cloud, wanted)
            hooks_first = replace(plan, changes=tuple(sorted(plan.changes, key=_hooks_first)))
            outcomes = await apply(scene, both, hooks_first)
            create, enable, *rest = outcomes
            assert not create.is_done
            assert "audiohook:create" in create.text
            assert enable.text.startswith("left out")
            assert all(one.is_done for one in rest)
            assert [one.change.name for one in rest] == ["monitor", "monitor"]

    run(story())


def _hooks_first(change: Any) -> bool:
    return change.kind is not Kind.AUDIOHOOK


def test_destroying_takes_the_integration_then_its_credential_and_nothing_else(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            known = scene.fake.organization
            await apply(scene, describe('[[integrations]]\nname="other"\n' + OTHER, ""))
            await apply(scene, describe())
            (credential_id,) = [
                one["credentials"]["audioHook"]["id"]
                for one in known.configurations.values()
                if one["name"] == "monitor"
            ]
            scene.fake.integrations.holds = 2
            # The keys may be gone by then.
            for key in (describe().parent / "keys").iterdir():
                key.unlink()
            wanted = read_wanted(describe().parent / "genesys.toml", names_only=True)
            plan = await plan_deletion(scene.cloud, wanted)
            assert plan.left_alone == ("other",)
            written(scene)
            outcomes = [
                one
                async for one in Provisioning(scene.cloud, scene.check).apply(wanted, plan)  # type: ignore[arg-type]
            ]
            assert all(one.is_done for one in outcomes)
            (integration, hook) = (one.change.id for one in outcomes)
            deleted = [path for method, path in written(scene) if method == "DELETE"]
            assert deleted[0] == f"/integrations/{integration}"
            assert deleted[1:-1] == [f"/integrations/credentials/{credential_id}"] * 3
            assert deleted[-1] == f"/audiohooks/{hook}"
            assert [one["name"] for one in known.integrations.values()] == ["other"]
            assert len(known.credentials) == 1
            assert not (await plan_deletion(scene.cloud, wanted)).changes

    run(story())


OTHER = 'connection_uri = "wss://h.example/"\napi_key_file = "keys/api-key"\nenabled = false\n'


def test_what_shall_not_work_is_made_and_left_disabled(run: Any, play: Any, describe: Any) -> None:
    async def story() -> None:
        async with play() as scene:
            file = describe()
            await apply(scene, file)
            off = file.read_text().replace("[[integrations]]", "[[integrations]]\nenabled = false")
            file.write_text(off.replace("[[audiohooks]]", "[[audiohooks]]\nenabled = false"))
            outcomes = await apply(scene, file)
            assert [one.change.action for one in outcomes] == [Action.DISABLE, Action.DISABLE]
            assert not await apply(scene, file)
            known = scene.fake.organization
            assert _only(known.integrations)["intendedState"] == "DISABLED"
            assert _only(known.audiohooks)["status"] == "DISABLED"

    run(story())
