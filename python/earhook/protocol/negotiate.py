"""Choosing one of the offered media. A pure function of offers and wish."""

from __future__ import annotations

from collections.abc import Sequence

from .messages import Channel, Codec, MediaOffer
from .settings import ChannelChoice, MediaWish

__all__ = ["choose_media"]


def choose_media(offers: Sequence[MediaOffer], wish: MediaWish) -> MediaOffer | None:
    """Pick the offer that the wish likes best, or None if it likes none.

    Channel sets decide first, in the wish's order; then codecs, in the wish's order; then
    the peer's own order. The result is one of `offers` unchanged, so that echoing it is
    exact in every field and in channel order (AudioHook protocol §5.3, §7).
    """
    for choice in wish.channels:
        for codec in wish.codecs:
            for offer in offers:
                if _carries(offer, choice, codec):
                    return offer
    return None


def _carries(offer: MediaOffer, choice: ChannelChoice, codec: Codec) -> bool:
    return offer.codec is codec and frozenset(offer.channels) == _SIDES[choice]


_SIDES = {
    ChannelChoice.BOTH: frozenset({Channel.EXTERNAL, Channel.INTERNAL}),
    ChannelChoice.EXTERNAL: frozenset({Channel.EXTERNAL}),
    ChannelChoice.INTERNAL: frozenset({Channel.INTERNAL}),
}
