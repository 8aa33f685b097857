"""Decode of a call into its ring. `Pipeline` is the native class itself."""

from __future__ import annotations

from earhook._core import Budget, Pipeline

from .format import MediaFormat

__all__ = ["Budget", "Pipeline", "open_pipeline"]


def open_pipeline(budget: Budget, media: MediaFormat, *, ring_seconds: float) -> Pipeline:
    """Make the pipeline of a call.

    Args:
        budget: What the ring's bytes are taken from, until pipeline and readers are gone.
        media: What the peer sends.
        ring_seconds: How much audio stays readable.

    Raises:
        BudgetExhausted: The ring does not fit.
        ValueError: A ring of less than one sample.
    """
    return Pipeline(
        budget,
        codec=media.codec,
        channels=media.channels,
        capacity_samples=media.samples_in(ring_seconds),
    )
