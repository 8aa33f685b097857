"""Sources of simulated audio, and the signed request: known to the last byte."""

from __future__ import annotations

import pytest

from earhook.media.g711 import decode_g711
from earhook.testing.peer_request import upgrade_headers
from earhook.testing.peer_setup import CallSetup, MediaChoice, Pace, PeerCredential
from earhook.testing.sources import Source

STEREO = MediaChoice()


def test_random_is_the_same_for_a_seed_and_another_for_another() -> None:
    first, again, other = (Source.random(seed).track(STEREO) for seed in ("a", "a", "b"))
    assert first.read(0, 8000) == again.read(0, 8000) != other.read(0, 8000)


@pytest.mark.parametrize("media", [MediaChoice(channels=(1, 0)), MediaChoice(channels=(1,))])
def test_channels_are_arranged_as_negotiated(media: MediaChoice) -> None:
    source = Source.random("x")
    groups = [source.track(STEREO).read(5, 100)[i : i + 2] for i in range(0, 200, 2)]
    expected = b"".join(bytes(group[channel] for channel in media.channels) for group in groups)
    assert source.track(media).read(5, 100) == expected


def test_l16_carries_the_decoded_samples() -> None:
    source = Source.random("x")
    wire = source.track(MediaChoice("L16")).read(10, 50)
    assert wire == decode_g711(source.track(STEREO).read(10, 50), "PCMU")
    assert source.pcm(1, 10, 50) == b"".join(wire[i + 2 : i + 4] for i in range(0, 200, 4))


def test_reading_in_pieces_is_reading_at_once_also_across_the_end_of_the_loop() -> None:
    track = Source.ramp().track(STEREO)
    pieces = b"".join(track.read(position, 7) for position in range(0, 1400, 7))
    assert pieces == track.read(0, 1400)
    assert pieces[:4] == bytes([0, 255, 1, 254])


def test_a_source_that_ends_ends_with_a_short_frame() -> None:
    track = Source.silence().limited(2000).track(STEREO)
    assert [track.left(position, 1600) for position in (0, 1600, 2000, 3200)] == [1600, 400, 0, 0]
    assert len(track.read(1600, 1600)) == 800


def test_a_mono_source_offers_mono_and_is_silent_elsewhere() -> None:
    source = Source.once(bytes(range(256)), channels=(0,))
    assert source.offers == (MediaChoice(channels=(0,)),)
    assert source.track(STEREO).read(0, 2) == bytes([0, 0xFF, 1, 0xFF])


def test_a_tone_has_the_peak_it_was_asked_for() -> None:
    pcm = memoryview(Source.tone((1000,), peak=8000).pcm(0, 0, 8000)).cast("h")
    assert 7700 <= max(pcm) <= 8200


def test_pace_refuses_what_cannot_be() -> None:
    for wrong in ({"frame_samples": 0}, {"speed": 0.0}, {"burst_frames": 0}):
        with pytest.raises(ValueError, match="above 0"):
            Pace(**wrong)
    assert Pace(speed=float("inf")).tick_seconds == 0.0
    assert Pace(speed=2.0).tick_seconds == pytest.approx(0.1)


def test_requests_are_signed_in_production_order_vector_d() -> None:
    setup = CallSetup(
        session_id="0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40",
        organization_id="6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f",
        correlation_id="b7a9c1d2-3e4f-4051-8263-748596a7b8c9",
    )
    credential = PeerCredential.from_base64(
        "Z2F0ZXdheS10ZXN0LWtleS0wMDE=", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
    )
    url = "wss://gateway.example.net:8443/gw/v1/audiohook/bot-7?lang=en-US&tier=gold"
    headers = dict(
        upgrade_headers(url, setup, credential, 1767225600.9, "QUJDREVGR0hJSktMTU5PUFFS")
    )
    assert headers["Host"] == "gateway.example.net:8443"
    assert headers["Signature"] == "sig1=:Khb4uGA0f8I10GCBj3v0FSPqVeLH/mKN7HdicwuyZxI=:"
    assert headers["Signature-Input"].endswith(
        ';created=1767225600;expires=1767225610;keyid="Z2F0ZXdheS10ZXN0LWtleS0wMDE=";'
        'nonce="QUJDREVGR0hJSktMTU5PUFFS";alg="hmac-sha256"'
    )


def test_unsigned_requests_carry_the_key_alone() -> None:
    setup = CallSetup()
    headers = dict(upgrade_headers("wss://h/a", setup, PeerCredential("key"), 0.0, "n" * 24))
    assert headers["X-API-KEY"] == "key"
    assert headers["Host"] == "h"
    assert not {"Signature", "Signature-Input"} & headers.keys()
    assert headers["Audiohook-Correlation-Id"] == setup.session_id


@pytest.mark.parametrize("secret", ["", "not base64!", "YWJ"])
def test_a_secret_must_be_base64(secret: str) -> None:
    with pytest.raises(ValueError, match=r"empty|base64|padding"):
        PeerCredential.from_base64("key", secret)
