"""Which of the offered media is chosen (AudioHook protocol §5.2, §5.3, §7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.protocol.messages import Channel, Codec, MediaOffer
from earhook.protocol.negotiate import choose_media
from earhook.protocol.settings import ChannelChoice, MediaWish

E, I = Channel.EXTERNAL, Channel.INTERNAL  # noqa: E741


def offer(codec: str, *channels: Channel) -> MediaOffer:
    return MediaOffer(Codec(codec), channels)


STEREO, SWAPPED = offer("PCMU", E, I), offer("PCMU", I, E)
CUSTOMER, AGENT = offer("PCMU", E), offer("PCMU", I)
WIDE, WIDE_CUSTOMER = offer("L16", E, I), offer("L16", E)
MONITOR = (STEREO, CUSTOMER, AGENT)


@pytest.mark.parametrize(
    ("offers", "channels", "codecs", "chosen"),
    [
        (MONITOR, "both external internal", "PCMU L16", STEREO),
        (MONITOR, "external", "PCMU L16", CUSTOMER),
        (MONITOR, "internal", "PCMU L16", AGENT),
        (MONITOR, "internal external", "PCMU L16", AGENT),
        ((CUSTOMER,), "both external internal", "PCMU L16", CUSTOMER),
        ((AGENT,), "both external internal", "PCMU L16", AGENT),
        ((CUSTOMER,), "both", "PCMU L16", None),
        ((STEREO,), "external", "PCMU L16", None),
        ((CUSTOMER,), "internal", "PCMU L16", None),
        ((), "both external internal", "PCMU L16", None),
        (MONITOR, "both external internal", "L16", None),
        ((SWAPPED,), "both", "PCMU", SWAPPED),
        ((SWAPPED, STEREO), "both", "PCMU", SWAPPED),
        ((STEREO, WIDE), "both", "PCMU L16", STEREO),
        ((STEREO, WIDE), "both", "L16 PCMU", WIDE),
        ((WIDE, STEREO), "both", "PCMU L16", STEREO),
        ((STEREO, WIDE_CUSTOMER), "external both", "PCMU L16", WIDE_CUSTOMER),
        ((CUSTOMER, WIDE), "both external", "PCMU L16", WIDE),
    ],
)
def test_choices(
    offers: tuple[MediaOffer, ...], channels: str, codecs: str, chosen: MediaOffer | None
) -> None:
    wish = MediaWish(channels=tuple(channels.split()), codecs=tuple(codecs.split()))
    assert choose_media(offers, wish) is chosen


some_offer = st.builds(
    MediaOffer, st.sampled_from(Codec), st.sampled_from([(E, I), (I, E), (E,), (I,)])
)
some_wish = st.builds(
    MediaWish,
    channels=st.permutations(list(ChannelChoice)).flatmap(
        lambda order: st.integers(1, 3).map(lambda count: tuple(order[:count]))
    ),
    codecs=st.sampled_from([("PCMU", "L16"), ("L16", "PCMU"), ("PCMU",), ("L16",)]),
)


@given(st.lists(some_offer, max_size=8), some_wish)
def test_what_is_chosen_was_offered_and_is_wished(
    offers: list[MediaOffer], wish: MediaWish
) -> None:
    chosen = choose_media(offers, wish)
    if chosen is None:
        assert not any(acceptable(one, wish) for one in offers)
    else:
        assert any(chosen is one for one in offers)
        assert acceptable(chosen, wish)


def acceptable(one: MediaOffer, wish: MediaWish) -> bool:
    choice = "both" if len(one.channels) == 2 else one.channels[0].value
    return choice in wish.channels and one.codec in wish.codecs


def test_bytes_of_a_group_and_canonical_channel_numbers() -> None:
    assert [m.group_bytes for m in (STEREO, CUSTOMER, WIDE, WIDE_CUSTOMER)] == [2, 1, 4, 2]
    assert SWAPPED.channel_numbers == (1, 0)
    assert AGENT.channel_numbers == (1,)
