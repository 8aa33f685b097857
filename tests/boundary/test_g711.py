"""G.711 of whole buffers, against the formulas of ITU-T G.711."""

from __future__ import annotations

import numpy as np
import pytest

from earhook.media.g711 import decode_g711, encode_g711

CODES = bytes(range(256))


def mu_law(code: int) -> int:
    """G.711 table 2, as a formula; 14-bit values moved to the top of 16."""
    bits = ~code & 0xFF
    magnitude = (((bits & 0x0F) << 3) + 132 << (bits >> 4 & 7)) - 132
    return -magnitude if bits & 0x80 else magnitude


def a_law(code: int) -> int:
    """G.711 table 1, as a formula; 13-bit values moved to the top of 16."""
    bits = code ^ 0x55
    segment, step = bits >> 4 & 7, bits & 0x0F
    magnitude = (step << 4) + 8 if segment == 0 else ((step << 4) + 264) << (segment - 1)
    return magnitude if bits & 0x80 else -magnitude


@pytest.mark.parametrize(("law", "formula"), [("PCMU", mu_law), ("PCMA", a_law)])
def test_every_code_decodes_as_the_formula_says(law: str, formula: object) -> None:
    assert callable(formula)
    decoded = np.frombuffer(decode_g711(CODES, law), "<i2").tolist()
    assert decoded == [formula(code) for code in CODES]


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_every_sample_survives_within_half_a_step(law: str) -> None:
    pcm = np.arange(-32_768, 32_768).astype("<i2")
    again = np.frombuffer(decode_g711(encode_g711(pcm.tobytes(), law), law), "<i2").astype(int)
    values = np.unique(np.frombuffer(decode_g711(CODES, law), "<i2").astype(int))
    nearest = np.abs(values[None, :] - pcm.astype(int)[::17, None]).min(axis=1)
    assert np.all(np.abs(again - pcm)[::17] <= nearest + 1024)
    assert encode_g711(again.astype("<i2").tobytes(), law) == encode_g711(
        decode_g711(encode_g711(pcm.tobytes(), law), law), law
    )


@pytest.mark.parametrize("law", ["L16", "ulaw", ""])
def test_unknown_laws_are_refused(law: str) -> None:
    with pytest.raises(ValueError, match="PCMU or PCMA"):
        decode_g711(b"", law)
    with pytest.raises(ValueError, match="PCMU or PCMA"):
        encode_g711(b"", law)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        encode_g711(bytes(3), "PCMU")
