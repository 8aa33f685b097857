"""Who counts as stuck, judged by what a process has written and a clock moved by hand."""

from __future__ import annotations

from earhook.analytics.pulse import Signs, Watch


class Story:
    """A process that is looked at every second."""

    def __init__(self) -> None:
        self.watch = Watch(stuck_seconds=10.0, start_seconds=60.0)
        self.now = 0.0
        self.signs = Signs(1, 0, 0)
        self.look()

    def look(self, seconds: float = 1.0, **signs: int) -> bool:
        self.now += seconds
        self.signs = self.signs._replace(**signs)
        return self.watch.is_stuck(self.signs, self.now)

    def stuck_after(self, **signs: int) -> int:
        """Seconds until it is taken for stuck."""
        return next(second for second in range(1, 1000) if self.look(**signs))


def test_audio_that_nobody_takes_is_a_process_that_is_stuck_whatever_its_loop_does() -> None:
    story = Story()
    for second in range(1, 10):
        assert not story.look(turns=second, waiting=1)
    assert story.look(turns=10, waiting=1)


def test_a_loop_that_does_not_turn_is_stuck_without_any_audio() -> None:
    assert Story().stuck_after() == 10


def test_an_engine_that_takes_a_piece_now_and_then_is_slow_and_not_stuck() -> None:
    story = Story()
    for piece in range(1, 20):
        for _ in range(9):
            assert not story.look(waiting=5)
        assert not story.look(steps=piece)


def test_a_process_without_audio_lives_as_long_as_its_loop_turns() -> None:
    story = Story()
    assert not any(story.look(turns=second) for second in range(2, 200))


def test_an_engine_may_take_longer_to_be_made() -> None:
    story = Story()
    story.watch = Watch(stuck_seconds=10.0, start_seconds=60.0)
    story.look(turns=0)
    assert story.stuck_after() == 60


def test_an_absence_of_the_one_who_watches_is_nobodys_silence() -> None:
    story = Story()
    story.look(waiting=1)
    for _ in range(4):
        assert not story.look(seconds=3600.0)
    assert story.look(seconds=3600.0)
