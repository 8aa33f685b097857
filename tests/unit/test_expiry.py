"""What ends on a known day is told before, once a day, and after."""

from __future__ import annotations

import pytest

from earhook.control import expiry
from earhook.control.bearer import BearerTokens, StaticToken
from earhook.control.expiry import Expiring, ExpiryWatch, expiring_certificate, expiring_tokens
from earhook.ids import KeyName
from earhook.testing.clock import ManualClock

DAY = 86_400.0


class Lines:
    """Stands in for the log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def bind(self, **_line: object) -> Lines:
        return self

    def warning(self, event: str, **_line: object) -> None:
        self.events.append(("warning", event))

    def error(self, event: str, **_line: object) -> None:
        self.events.append(("error", event))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    lines = Lines()
    monkeypatch.setattr(expiry, "_LOG", lines)
    return lines


@pytest.mark.parametrize(
    ("days", "event"),
    [
        (400, None),
        (21.1, None),
        (20.9, ("warning", "certificate.expires_soon")),
        (0.1, ("warning", "certificate.expires_soon")),
        (0, ("error", "certificate.expired")),
        (-3, ("error", "certificate.expired")),
    ],
)
def test_what_is_told_when(lines: Lines, days: float, event: tuple[str, str] | None) -> None:
    clock = ManualClock()
    ends = clock.wall_seconds() + days * DAY
    ExpiryWatch(lambda: [Expiring("certificate", "x", ends)], clock).handle_timeout()
    assert lines.events == ([] if event is None else [event])


def test_it_is_told_once_a_day_and_after_each_reload(lines: Lines) -> None:
    clock = ManualClock()
    ends = clock.wall_seconds() + 10 * DAY
    watch = ExpiryWatch(lambda: [Expiring("token", "x", ends)], clock)
    for _ in range(48):
        watch.handle_timeout()
        clock.advance(DAY / 24)
    assert len(lines.events) == 2
    watch.look_now()
    assert len(lines.events) == 3


def test_only_what_has_an_end_is_looked_at() -> None:
    tokens = BearerTokens(
        [
            StaticToken(KeyName("a"), b"1", frozenset(), 7.0),
            StaticToken(KeyName("b"), b"2"),
        ],
        [],
    )
    assert expiring_tokens(tokens) == [Expiring("token", "ingest.tokens a", 7.0)]
    assert expiring_certificate("media.tls", None) == []
