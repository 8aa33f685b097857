"""What a scripted service hears."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Spoken"]


@dataclass(frozen=True, slots=True)
class Spoken:
    """An utterance, from one second of the audio that was sent to another."""

    text: str
    start_seconds: float
    end_seconds: float

    def words(self) -> list[tuple[str, float, float]]:
        """Its words, each as long as the others."""
        texts = self.text.split()
        each = (self.end_seconds - self.start_seconds) / len(texts)
        starts = [self.start_seconds + place * each for place in range(len(texts))]
        return [(text, start, start + each) for text, start in zip(texts, starts, strict=True)]

    def until(self, seconds: float) -> str:
        """What has been said of it by then."""
        return " ".join(text for text, _, end in self.words() if end <= seconds)
