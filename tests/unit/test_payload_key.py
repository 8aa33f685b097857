"""The sender's half of payload encryption, against the examples of RFC 8188 §3."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.testing.payload_key import PayloadKey, Seal


def unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_one_record() -> None:
    key = PayloadKey(b"", unbase64("yqdlZ-tYemfogSmv7Ws5PQ"), 4096)
    expected = "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"
    body = key.seal(b"I am the walrus", salt=unbase64("I1BsxtFttlv3u_Oo94xnmw"))
    assert body == unbase64(expected)


def test_the_example_of_two_records_as_far_as_it_is_padded_alike() -> None:
    key = PayloadKey(b"a1", unbase64("BO3ZVPxUlnLORbVGMpbT1Q"), 25)
    expected = unbase64(
        "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3"
        "SsLWIqS_uA"
    )
    seal = Seal(key, unbase64("uNCkWiNYzKTnBN9ji3-qWA"))
    # The example pads its first record by one byte, which leaves room for seven.
    records = [*seal.add(b"I am th"), seal.flush(), *seal.add(b"e walrus"), seal.finish()]
    assert seal.header + b"".join(records) == expected


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 16, 100])
def test_no_record_is_longer_than_stated(length: int) -> None:
    key = PayloadKey(b"k", bytes(16), 25)
    body = key.seal(bytes(length))
    records = -(-max(1, length) // 8)
    assert len(body) == 21 + 1 + length + 17 * records


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_pieces_make_the_same_body_as_the_whole(pieces: list[bytes]) -> None:
    key, salt = PayloadKey(b"k", bytes(16), 30), bytes(16)
    seal = Seal(key, salt)
    body = seal.header + b"".join(record for piece in pieces for record in seal.add(piece))
    assert body + seal.finish() == key.seal(b"".join(pieces), salt=salt)
