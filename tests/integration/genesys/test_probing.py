"""Endpoints seen from here and by the platform; and a description after any other description."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earhook.genesys import Finding
from earhook.genesys.planning import plan_changes
from earhook.genesys.probing import Probed, probe_all
from earhook.genesys.provisioning import Provisioning
from earhook.genesys.wanted_file import Wanted, read_wanted
from earhook.testing.genesys import Endpoint, Mishap

BAD = Finding("tcp", False, "nothing listens", "start it")


async def fit(_url: str, _key: Any = None, _secret: Any = None) -> list[Finding]:
    return []


async def apply(scene: Any, wanted: Wanted) -> None:
    plan = await plan_changes(scene.cloud, wanted)
    provisioning = Provisioning(scene.cloud, fit)
    outcomes = [one async for one in provisioning.apply(wanted, plan)]
    assert all(one.is_done for one in outcomes), outcomes


async def probed(scene: Any, file: Path, examine: Any = fit, cloud: Any = ...) -> list[Probed]:
    asked = scene.cloud if cloud is ... else cloud
    return [one async for one in probe_all(asked, read_wanted(file), examine)]


def test_both_sides_are_asked_and_what_is_not_as_described_is_not_well(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            file = describe()
            absent = await probed(scene, file)
            assert [(one.is_well, "has none" in one.platform) for one in absent] == [
                (False, True)
            ] * 2
            await apply(scene, read_wanted(file))
            both = await probed(scene, file)
            assert [one.platform for one in both] == ["reports ACTIVE", "reports ENABLED"]
            assert all(one.is_well for one in both)

            (integration,) = scene.fake.organization.integrations.values()
            integration["intendedState"] = "DISABLED"
            (hook,) = scene.fake.organization.audiohooks.values()
            hook.update(status="DISABLED", statusReason="no answer")
            disabled = await probed(scene, file)
            assert [one.is_well for one in disabled] == [False, False]
            assert disabled[1].platform.endswith("does not probe: no answer")
            off = file.read_text().replace("]]\n", "]]\nenabled = false\n")
            file.write_text(off)
            assert all(one.is_well for one in await probed(scene, file))

    run(story())


def test_the_platform_is_not_asked_about_what_is_not_fit_from_here(
    run: Any, play: Any, describe: Any
) -> None:
    async def unfit(_url: str, _key: Any = None, _secret: Any = None) -> list[Finding]:
        return [BAD]

    async def story() -> None:
        async with play() as scene:
            file = describe()
            await apply(scene, read_wanted(file))
            scene.fake.requests.clear()
            seen = await probed(scene, file, unfit)
            assert [(one.platform, one.is_well) for one in seen] == [("not asked", False)] * 2
            assert all(one.is_well for one in await probed(scene, file, cloud=None))
            assert not scene.fake.requests

    run(story())


def test_what_only_the_platform_cannot_reach_is_said_so(run: Any, play: Any, describe: Any) -> None:
    async def refuse(_endpoint: Endpoint) -> str:
        return "no route"

    async def story() -> None:
        async with play() as scene:
            file = describe(audiohooks="")
            await apply(scene, read_wanted(file))
            scene.fake.health.examine = refuse
            (seen,) = await probed(scene, file)
            assert not seen.is_well
            assert "no route" in seen.platform
            assert "from here everything about the endpoint is good" in seen.platform

    run(story())


def test_an_organization_without_audiohooks_is_told_apart(
    run: Any, play: Any, describe: Any
) -> None:
    async def story() -> None:
        async with play() as scene:
            scene.fake.mishaps.append(Mishap(404, "GET", "/api/v2/audiohooks"))
            (seen,) = await probed(scene, describe(integrations=""))
            assert "this organization does not have them" in seen.platform

    run(story())


NAMES = st.sampled_from(["a", "b", "c"])
KEYS = st.sampled_from([base64.b64encode(bytes([n]) * 32).decode() for n in range(2)])
MONITOR = st.fixed_dictionaries(
    {
        "connection_uri": st.sampled_from(["wss://h.example/", "wss://h.example/2"]),
        "channel": st.sampled_from(["both", "internal"]),
        "notes": st.sampled_from(["", "ours"]),
        "enabled": st.booleans(),
        "api_key": KEYS,
        "custom_config": st.sampled_from([{}, {"x": 1}]),
    }
)
DESCRIPTION = st.dictionaries(NAMES, MONITOR, min_size=1, max_size=2)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=DESCRIPTION, second=DESCRIPTION)
def test_whatever_was_there_before_it_ends_as_described(
    run: Any, play: Any, tmp_path: Path, first: Any, second: Any
) -> None:
    async def story() -> None:
        async with play() as scene, play() as empty:
            await apply(scene, described(tmp_path, first))
            wanted = described(tmp_path, second)
            await apply(scene, wanted)
            await apply(empty, wanted)
            assert not (await plan_changes(scene.cloud, wanted)).changes
            after = state(scene)
            assert {name: after[name] for name in second} == state(empty)
            assert after.keys() == first.keys() | second.keys()

    run(story())


def described(directory: Path, monitors: dict[str, Any]) -> Wanted:
    text = ""
    for name, fields in monitors.items():
        (directory / name).write_text(fields["api_key"])
        config = "{x = 1}" if fields["custom_config"] else "{}"
        text += f"""
            [[integrations]]
            name = "{name}"
            api_key_file = "{name}"
            connection_uri = "{fields["connection_uri"]}"
            channel = "{fields["channel"]}"
            notes = "{fields["notes"]}"
            enabled = {str(fields["enabled"]).lower()}
            custom_config = {config}
        """
    file = directory / "genesys.toml"
    file.write_text(text)
    return read_wanted(file)


def state(scene: Any) -> dict[str, Any]:
    """What is in the organization, without ids and versions."""
    known = scene.fake.organization
    found = {}
    for id_, integration in known.integrations.items():
        configuration = known.configurations[id_]
        credential = known.credentials[configuration["credentials"]["audioHook"]["id"]]
        kept = {key: configuration[key] for key in ("properties", "advanced", "notes")}
        kept["state"] = (integration["intendedState"], integration["reportedState"]["code"])
        kept["secrets"] = credential["fields"]
        found[integration["name"]] = kept
    assert len(known.credentials) == len(found)
    return found
