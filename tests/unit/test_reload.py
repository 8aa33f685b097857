"""A reload in two phases: every part is ready, or no part changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from earhook.control.reload import Commit, Part, Reloader, nothing_to_commit
from earhook.errors import ConfigurationError, ConfigurationFault

Settings = dict[str, int]


class Gauge:
    """A part that is what its setting says; a negative one is a fault, 13 a defect."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = 0

    def part(self) -> Part[Settings]:
        return Part((self.name, f"{self.name}.*"), self.prepare)

    def prepare(self, fresh: Settings) -> Commit:
        value = fresh[self.name]
        if value == 13:
            raise RuntimeError("defect")
        if value < 0:
            raise ConfigurationError([ConfigurationFault(self.name, "is negative", "no")])

        def commit() -> None:
            self.value = value

        return commit


class House:
    def __init__(self, changed: tuple[str, ...] = ()) -> None:
        self.file: Callable[[], Settings] = dict
        self.done: list[Settings] = []
        self.gauges = [Gauge(name) for name in "abc"]
        self.reloader = Reloader(
            self._read,
            [gauge.part() for gauge in self.gauges],
            lambda _fresh: changed,
            lambda fresh: self.done.append(fresh) or {"gauges": 3},
        )

    def _read(self) -> Settings:
        return self.file()

    def reload(self, *values: int) -> bool:
        self.file = lambda: dict(zip("abc", values, strict=True))
        return self.reloader.reload()

    @property
    def values(self) -> list[int]:
        return [gauge.value for gauge in self.gauges]


def test_a_good_one_is_in_service_as_a_whole() -> None:
    house = House()
    assert house.reload(1, 2, 3)
    assert house.values == [1, 2, 3]
    assert house.done == [{"a": 1, "b": 2, "c": 3}]
    assert house.reloader.count == {"good": 1, "bad": 0}


@pytest.mark.parametrize("values", [(-1, 2, 3), (1, -2, 3), (1, 2, -3), (1, 2, 13), (13, -2, -3)])
def test_a_bad_part_leaves_every_part_as_it_was(
    values: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    house = House()
    assert not house.reload(*values)
    assert house.values == [0, 0, 0]
    assert not house.done
    assert not house.reloader.last_is_good
    assert house.reloader.count == {"good": 0, "bad": 1}
    assert house.reload(1, 1, 1)
    assert house.reloader.last_is_good
    capsys.readouterr()


def test_the_faults_of_all_parts_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[list[str]] = []
    house = House()
    monkeypatch.setattr(Reloader, "_refuse", lambda _self, faults, **_more: told.append(faults))
    house.reload(-1, 2, -3)
    assert told == [["a: is negative (no)", "c: is negative (no)"]]


def test_a_file_that_cannot_be_read_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def unreadable() -> Settings:
        raise OSError("gone")

    house = House()
    house.file = unreadable
    assert not house.reloader.reload()
    assert house.values == [0, 0, 0]
    capsys.readouterr()


def test_what_no_part_puts_in_service_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(changed=("a", "b.x", "bb", "port", "media.tls"))
    lines: list[dict[str, object]] = []
    monkeypatch.setattr(
        "earhook.control.reload._LOG.warning", lambda event, **line: lines.append({event: line})
    )
    house.reload(1, 1, 1)
    assert lines == [{"reload.needs_restart": {"settings": ["bb", "port", "media.tls"]}}]


def test_nothing_to_commit_is_nothing() -> None:
    nothing_to_commit()
