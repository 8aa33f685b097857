"""Log lines: shape, what never shows, and the limit on lines that peers cause."""

from __future__ import annotations

import io
import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from earhook.ops.logging import (
    PEER_LINES,
    RESERVED_LINES,
    LimitedLogger,
    LineLimiter,
    LineReserve,
    call_lines,
    configure_logging,
    get_limited_logger,
    get_logger,
    get_state_logger,
    report_suppressed,
)
from earhook.ops.redaction import FORBIDDEN_KEYS, Redacted, printable
from earhook.ops.settings import LogSettings

CANARY = "canary-7f3a"


class StillClock:
    """A clock that tests move."""

    now = 0.0

    def monotonic_seconds(self) -> float:
        return self.now

    def wall_seconds(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own_root() -> Iterator[None]:
    """Leave the process's logging as it was found."""
    root, ours = logging.getLogger(), logging.getLogger("earhook")
    before = (root.handlers[:], root.level, ours.level, logging.raiseExceptions)
    PEER_LINES.take_suppressed()
    yield
    root.handlers[:], level, our_level, logging.raiseExceptions = before
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(False)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_event_first(output: io.StringIO) -> None:
    configure_logging(LogSettings(format="auto"), output)
    get_logger("earhook.x").info("call.opened", session="s1", samples=3)
    (line,) = lines(output)
    assert list(line)[:3] == ["time", "level", "event"]
    assert (line["level"], line["event"], line["samples"]) == ("info", "call.opened", 3)


def test_lines_below_the_level_are_not_written(output: io.StringIO) -> None:
    configure_logging(LogSettings(level="warning"), output)
    get_logger("earhook.x").info("quiet.line")
    get_limited_logger("earhook.x").info("quiet.line")
    assert output.getvalue() == ""


def test_lines_of_libraries_take_the_same_way_from_warning_up(output: io.StringIO) -> None:
    configure_logging(LogSettings(level="debug"), output)
    logging.getLogger("picows").info("not this")
    logging.getLogger("asyncio").warning("peer %s left", "x")
    (line,) = lines(output)
    assert line["event"] == "library.logged"
    assert (line["message"], line["logger"]) == ("peer x left", "asyncio")


def test_configuring_again_replaces_the_way_out(output: io.StringIO) -> None:
    first = io.StringIO()
    configure_logging(LogSettings(), first)
    configure_logging(LogSettings(), output)
    get_logger("earhook.x").info("once.only")
    assert first.getvalue() == ""
    assert len(lines(output)) == 1


@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize("key", ["api_key", "ani", "aniName", "X-API-KEY", "transcript", "dnis"])
def test_personal_and_secret_keys_never_show(form: Any, key: str, output: io.StringIO) -> None:
    configure_logging(LogSettings(format=form), output)
    get_logger("earhook.x").warning("peer.spoke", **{key: CANARY}, nested={"deep": {key: CANARY}})
    assert "[redacted]" in output.getvalue()
    assert CANARY not in output.getvalue()


@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize(
    "value",
    [
        Redacted(CANARY),
        SecretStr(CANARY),
        CANARY.encode(),
        bytearray(CANARY.encode()),
        memoryview(CANARY.encode()),
        [Redacted(CANARY)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_secrets_and_bytes_never_show_under_any_key(
    form: Any, value: object, output: io.StringIO
) -> None:
    configure_logging(LogSettings(format=form), output)
    get_logger("earhook.x").warning("something.odd", harmless=value)
    assert "something.odd" in output.getvalue()
    assert CANARY not in output.getvalue()


def test_a_redacted_value_shows_in_no_form() -> None:
    value = Redacted(CANARY)
    shown = f"{value} {value!r} {value!s} {value:>20} {[value]}"
    assert CANARY not in shown
    assert value.reveal() == CANARY


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_traceback_shows_no_local_variables(form: Any, output: io.StringIO) -> None:
    configure_logging(LogSettings(format=form), output)
    secret = CANARY  # noqa: F841 - must not be printed
    try:
        raise RuntimeError("broken\x1b[31m")
    except RuntimeError:
        get_logger("earhook.x").exception("thing.failed")
    assert "RuntimeError: broken" in output.getvalue()
    assert CANARY not in output.getvalue().replace(f'"{CANARY}"', "")
    assert "\x1b[31m" not in output.getvalue()


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_value_cannot_make_up_lines_or_drive_a_terminal(form: Any, output: io.StringIO) -> None:
    configure_logging(LogSettings(format=form), output)
    get_logger("earhook.x").info("peer.says", agent="a\n2026 [info] forged\x1b[2J\u202e")
    assert len(output.getvalue().splitlines()) == 1
    assert not {"\x1b", "\u202e"} & set(output.getvalue())


def test_long_values_are_cut() -> None:
    assert printable("x" * 10_000) == f"{'x' * 256}…[10000 characters]"


def test_forbidden_names_are_written_the_way_they_are_compared() -> None:
    assert all(name == name.lower().replace("_", "").replace("-", "") for name in FORBIDDEN_KEYS)


def test_no_second_has_more_lines_than_the_limit() -> None:
    clock = StillClock()
    limiter = LineLimiter(per_second=20.0, burst=80, clock=clock)
    admitted: list[float] = []
    for tick in range(4000):
        clock.now = tick / 1000
        if limiter.admit("flood"):
            admitted.append(clock.now)
    busiest = max(sum(1 for at in admitted if start <= at < start + 1) for start in admitted)
    assert busiest <= 100
    assert len(admitted) + limiter.take_suppressed()["flood"] == 4000


def test_suppressed_lines_are_counted_by_event_and_reported(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    clock = StillClock()
    limiter = LineLimiter(per_second=1.0, burst=1, clock=clock)
    for event in ("a.a", "a.a", "b.b"):
        limiter.admit(event)
    report_suppressed(limiter)
    report_suppressed(limiter)  # nothing new: no line
    (line,) = lines(output)
    assert line["event"] == "log.suppressed"
    assert (line["lines"], line["events"]) == (2, {"a.a": 1, "b.b": 1})


def test_a_flood_of_peer_caused_lines_is_limited(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    logger = get_limited_logger("earhook.x").bind(port=1)
    for _ in range(5000):
        logger.warning("peer.odd")
    assert len(lines(output)) <= 200  # a burst, and what a slow machine earns meanwhile
    assert PEER_LINES.take_suppressed()["peer.odd"] >= 4800


class Speakers:
    """What strangers cause and what we say of ourselves, with limits by a clock that is moved."""

    def __init__(self, *, events: int = 14) -> None:
        self.clock = StillClock()
        self.peers = LineLimiter(per_second=15.0, burst=15, clock=self.clock)
        reserve, logger = LineReserve(events, self.clock), get_logger("earhook.x")
        self.stranger = LimitedLogger(logger, self.peers, reserve)
        self.state = LimitedLogger(logger, self.peers, reserve, of_states=True)

    def flood(self) -> None:
        """A hundred requests without a good token."""
        for _ in range(100):
            self.stranger.warning("ingest.refused")


def test_a_flood_of_refusals_hides_no_error_and_no_change_of_state(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    speakers = Speakers()
    for second in range(60):
        speakers.clock.now = float(second)
        speakers.flood()
        speakers.state.warning("shedding.began" if second % 2 == 0 else "shedding.ended")
        speakers.stranger.error("accept.failed")
        speakers.flood()
    told = Counter(line["event"] for line in lines(output))
    assert told["shedding.began"] == told["shedding.ended"] == 30
    assert told["accept.failed"] == 60
    assert told["ingest.refused"] <= 15 + 15 * 60
    assert speakers.peers.take_suppressed() == {"ingest.refused": 12_000 - told["ingest.refused"]}


def test_an_event_of_the_reserve_hides_no_other_one_either(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    speakers = Speakers()
    speakers.flood()
    for _ in range(1000):
        speakers.state.warning("signature.replayed")
        speakers.stranger.error("gate.fault")
    speakers.state.warning("shedding.began")
    told = Counter(line["event"] for line in lines(output))
    assert told["signature.replayed"] == told["gate.fault"] == told["shedding.began"] == 1
    counted = speakers.peers.take_suppressed()
    assert counted["signature.replayed"] == counted["gate.fault"] == 999
    speakers.clock.now = 0.999
    speakers.flood()
    speakers.state.warning("signature.replayed")
    assert speakers.peers.take_suppressed()["signature.replayed"] == 1
    speakers.clock.now = 1.0
    speakers.flood()
    speakers.state.warning("signature.replayed")
    assert lines(output)[-1]["event"] == "signature.replayed"


def test_the_reserve_is_bounded_too(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    speakers = Speakers(events=3)
    speakers.flood()
    for number in range(10):
        speakers.state.warning(f"event.number_{number}")
    assert [line["event"][-1] for line in lines(output)[-3:]] == ["0", "1", "2"]
    speakers.clock.now = 1.0
    speakers.flood()
    speakers.state.warning("event.number_9")
    assert lines(output)[-1]["event"] == "event.number_9"


def test_a_traceback_takes_its_place_in_the_reserve_for_as_long_as_it_is() -> None:
    clock = StillClock()
    reserve = LineReserve(2, clock)
    admitted = []
    for tenth in range(300):
        clock.now = tenth / 10
        if reserve.admit("gate.fault", cost=10.0):
            admitted.append(clock.now)
    assert admitted == [0.0, 10.0, 20.0]


def test_all_limits_together_keep_the_promise() -> None:
    clock = StillClock()
    own = (vars(PEER_LINES), vars(call_lines(clock)))
    in_a_second = sum(limit["_burst"] + limit["_per_second"] for limit in own)
    suppression_lines = 2
    assert in_a_second + vars(RESERVED_LINES)["_events"] + suppression_lines <= 100
    peers, calls = own
    bytes_a_minute = 330 * (peers["_burst"] + 60 * peers["_per_second"])
    bytes_a_minute += 650 * (calls["_burst"] + 60 * calls["_per_second"])
    assert bytes_a_minute <= 1 << 20


def test_errors_of_libraries_are_not_hidden_either(output: io.StringIO) -> None:
    configure_logging(LogSettings(), output)
    for _ in range(100):
        get_limited_logger("earhook.x").warning("ingest.refused")
        logging.getLogger("asyncio").warning("peer left")
    logging.getLogger("asyncio").error("task exception was never retrieved")
    get_state_logger("earhook.x").info("shedding.ended")
    last = [line["event"] for line in lines(output)[-2:]]
    assert last == ["library.logged", "shedding.ended"]
    PEER_LINES.take_suppressed()


def test_a_closed_stream_causes_no_further_lines(
    output: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(LogSettings(), output)
    output.close()
    get_logger("earhook.x").info("lost.line")
    assert capsys.readouterr().err == ""
