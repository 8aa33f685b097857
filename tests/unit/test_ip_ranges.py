"""Published networks: what counts, what is refused as a whole, and when it is fetched again."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.control import ip_ranges
from earhook.control.fetching import Source
from earhook.control.ip_ranges import IpRanges, read_networks_of, read_rows
from earhook.control.settings import IpRangesSettings
from earhook.edge.access import Access
from earhook.errors import FetchFailed
from earhook.testing.clock import ManualClock

URL = "https://api.example/api/v2/ipranges"
HOUR = 3600.0


def row(cidr: str, service: str = "audiohook", region: str = "eu-west-1") -> dict[str, Any]:
    return {"cidr": cidr, "service": service, "region": region}


def document(*rows: object) -> bytes:
    return json.dumps({"entities": list(rows)}).encode()


def networks_of(published: bytes, **settings: Any) -> set[str]:
    chosen = IpRangesSettings(url=URL, **settings)
    return {str(network) for network in read_networks_of(read_rows(published), chosen)}


class Api:
    """Answers with what it holds, or fails."""

    def __init__(self, answer: bytes | None = None) -> None:
        self.answer = answer
        self.asked: list[tuple[Source, str | None]] = []

    async def __call__(self, source: Source, token: str | None) -> bytes:
        self.asked.append((source, token))
        if self.answer is None:
            raise FetchFailed("could not be fetched: ClientConnectorError")
        return self.answer


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def access() -> Access:
    return Access()


def ranges_of(
    access: Access, clock: ManualClock, api: Api, directory: Path, **settings: Any
) -> IpRanges:
    chosen = IpRangesSettings(url=URL, copy_file=directory / "copy.json", **settings)
    return IpRanges(chosen, access, clock, api)


def test_only_our_services_and_regions_count() -> None:
    published = document(
        row("192.0.2.1/32"),
        row("192.0.2.1/32", region="us-east-1"),
        row("192.0.2.2/32", "audio-connector"),
        row("192.0.2.3/32", "smtp"),
        row("2001:db8::/48", region="us-east-1"),
        {"cidr": "no network", "service": "smtp"},
        {"cidr": "198.51.100.7/24", "service": "audiohook", "region": None, "news": [1]},
    )
    everywhere = {"192.0.2.1/32", "192.0.2.2/32", "2001:db8::/48", "198.51.100.0/24"}
    assert networks_of(published) == everywhere
    assert networks_of(published, regions=("us-east-1",)) == {"192.0.2.1/32", "2001:db8::/48"}
    assert networks_of(published, services=("smtp-in", "audio-connector")) == {"192.0.2.2/32"}


@pytest.mark.parametrize(
    "published",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"entities": {}}',
        b'{"entities": null}',
        b'{"networks": []}',
        document(),
        document(row("192.0.2.1/32", "smtp")),
        document(row("192.0.2.0/24"), row("0.0.0.0/0")),
        document(row("192.0.2.0/24"), row("::/0")),
        document(row("192.0.2.0/24"), row("10.0.0.0/7")),
        document(row("192.0.2.0/24"), row("2001::/16")),
        document(row("192.0.2.0/24"), row("192.0.2.0/33")),
        document(row("192.0.2.0/24"), row("everybody")),
        document(row("192.0.2.0/24"), "192.0.2.0/24"),
        document(row("192.0.2.0/24"), {"cidr": 7, "service": "audiohook"}),
        document(row("192.0.2.0/24"), {"service": "audiohook"}),
        document(row("192.0.2.0/24"), row("1" * 200)),
        document(*[row(f"10.{n >> 8}.{n & 255}.0/24") for n in range(5001)]),
        document(*[row("192.0.2.1/32", "smtp")] * 20_001),
        b"[" * 100_000,
        b'{"entities": [{"cidr": "\xff"}]}',
    ],
    ids=lambda published: f"{len(published)} bytes {published[:40]!r}",
)
def test_a_list_that_makes_no_sense_is_refused_as_a_whole(published: bytes) -> None:
    with pytest.raises(ValueError, match=r"is not|holds|appear|has") as caught:
        networks_of(published)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_published_it_is_a_list_or_refused(published: bytes) -> None:
    try:
        assert networks_of(published)
    except ValueError:
        pass


def test_without_any_list_nobody_is_let_in(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        ranges = ranges_of(access, clock, Api(), tmp_path)
        await ranges.start()
        assert not access.is_open
        assert not access.allows("192.0.2.1")
        assert (ranges.age_seconds, ranges.is_old, ranges.networks) == (None, True, 0)
        await ranges.stop()

    run(story())


def test_a_good_list_is_in_service_and_outlives_bad_ones_and_a_restart(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        api = Api(document(row("192.0.2.0/24")))
        ranges = ranges_of(access, clock, api, tmp_path)
        assert await ranges.refresh()
        assert access.allows("192.0.2.9")
        for bad in (None, b"<html>", document(row("0.0.0.0/0")), document()):
            api.answer = bad
            clock.advance(HOUR)
            assert not await ranges.refresh()
            assert access.allows("192.0.2.9")
            assert not access.allows("198.51.100.1")
        assert ranges.age_seconds == pytest.approx(4 * HOUR)
        assert ranges.refreshes == {"good": 1, "bad": 4}

        later = Access()
        restarted = ranges_of(later, clock, Api(), tmp_path)
        await restarted.start()
        assert later.allows("192.0.2.9")
        assert restarted.age_seconds == pytest.approx(4 * HOUR)
        await restarted.stop()

        api.answer = document(row("198.51.100.0/24"))
        assert await ranges.refresh()
        assert not access.allows("192.0.2.9")
        assert access.allows("198.51.100.1")

    run(story())


def test_the_networks_of_the_configuration_are_not_touched(
    run: Any, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        access = Access(["203.0.113.0/24"])
        ranges = ranges_of(access, clock, Api(document(row("192.0.2.0/24"))), tmp_path)
        assert access.allows("203.0.113.1")
        await ranges.refresh()
        assert access.allows("203.0.113.1")
        assert access.allows("192.0.2.1")

    run(story())


@pytest.mark.parametrize(
    "copy",
    [
        b"",
        b"{}",
        b'{"fetched": true, "url": "%b", "entities": []}',
        b'{"fetched": NaN, "url": "%b", "entities": [{"cidr": "::/0", "service": "audiohook"}]}',
        b'{"fetched": 1, "url": "https://a", "entities": [{"cidr": "::/48", "service": "smtp"}]}',
        b'{"fetched": 1, "url": "%b", "entities": [{"cidr": "0.0.0.0/0", "service": "audiohook"}]}',
    ],
)
def test_a_damaged_copy_is_no_copy(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path, copy: bytes
) -> None:
    async def story() -> None:
        (tmp_path / "copy.json").write_bytes(copy.replace(b"%b", URL.encode()))
        api = Api(document(row("192.0.2.0/24")))
        ranges = ranges_of(access, clock, api, tmp_path)
        await ranges.start()
        await ranges.stop()
        assert len(api.asked) == 1
        assert access.allows("192.0.2.1")

    run(story())


def test_a_copy_that_cannot_be_written_costs_a_line_and_no_list(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        api = Api(document(row("192.0.2.0/24")))
        ranges = ranges_of(access, clock, api, tmp_path / "absent")
        assert await ranges.refresh()
        assert access.allows("192.0.2.1")

    run(story())
    assert list(tmp_path.iterdir()) == []


def test_it_is_fetched_daily_and_after_failures_more_and_more_seldom(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        api = Api(document(row("192.0.2.0/24")))
        ranges = ranges_of(access, clock, api, tmp_path)
        assert ranges.seconds_until_due() == 0
        await ranges.refresh()
        assert ranges.seconds_until_due() == pytest.approx(24 * HOUR)
        clock.advance(25 * HOUR)
        assert ranges.seconds_until_due() == 0
        api.answer = None
        pauses = []
        for _ in range(8):
            await ranges.refresh()
            pauses.append(ranges.seconds_until_due())
        assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
        assert not ranges.is_old
        clock.advance(48 * HOUR)
        assert ranges.is_old

    run(story())


def test_a_copy_from_the_future_is_due_at_once(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        api = Api(document(row("192.0.2.0/24")))
        await ranges_of(access, clock, api, tmp_path).refresh()
        early = ManualClock(wall_seconds=clock.wall_seconds() - 10 * HOUR)
        ranges = ranges_of(Access(), early, api, tmp_path)
        await ranges.start()
        assert ranges.seconds_until_due() == 0
        assert ranges.age_seconds == 0
        await ranges.stop()

    run(story())


def test_the_token_is_read_at_each_refresh_and_its_absence_is_a_failure(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path
) -> None:
    async def story() -> None:
        token = tmp_path / "token"
        token.write_text("first\n")
        api = Api(document(row("192.0.2.0/24")))
        ranges = ranges_of(access, clock, api, tmp_path, token_file=token)
        await ranges.refresh()
        token.write_text("second\n")
        await ranges.refresh()
        token.unlink()
        assert not await ranges.refresh()
        assert [shown for _, shown in api.asked] == ["first", "second"]

    run(story())


def test_an_old_list_is_an_error_once_an_hour(
    run: Any, access: Access, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    log = types.SimpleNamespace(
        error=lambda event, **_: lines.append(event), info=lambda *_, **__: 0
    )
    monkeypatch.setattr(ip_ranges, "_LOG", log)

    async def story() -> None:
        ranges = ranges_of(access, clock, Api(document(row("192.0.2.0/24"))), tmp_path)
        await ranges.refresh()
        for _ in range(6 * 75):
            ranges._raise_alarm()
            clock.advance(HOUR / 6)
        assert lines == ["ip_ranges.old"] * 3

    run(story())
