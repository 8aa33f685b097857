"""Places for strangers: the caps, and that the table stays small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.edge.caps import Place, Strangers
from earhook.edge.settings import ConnectionLimits
from earhook.edge.tally import Closing


def strangers(**limits: object) -> Strangers:
    return Strangers(ConnectionLimits(**limits))


def test_the_total_is_never_exceeded() -> None:
    places = strangers(unproven=3, unproven_per_address=100)
    taken = [places.enter(f"192.0.2.{number}") for number in range(3)]
    assert places.enter("192.0.2.9") is Closing.FULL
    first = taken[0]
    assert isinstance(first, Place)
    first.leave()
    assert isinstance(places.enter("192.0.2.9"), Place)


def test_one_address_cannot_take_all_places() -> None:
    places = strangers(unproven=100, unproven_per_address=2)
    for _ in range(2):
        assert isinstance(places.enter("192.0.2.1"), Place)
    assert places.enter("192.0.2.1") is Closing.ADDRESS_FULL
    assert isinstance(places.enter("192.0.2.2"), Place)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
    ],
)
def test_addresses_count_as_what_one_customer_gets(one: str, other: str, *, same: bool) -> None:
    places = strangers(unproven_per_address=1)
    assert isinstance(places.enter(one), Place)
    assert (places.enter(other) is Closing.ADDRESS_FULL) == same


def test_shared_addresses_are_bound_by_the_total_only() -> None:
    places = strangers(
        unproven=5, unproven_per_address=1, shared_addresses=("10.0.0.0/8", "2001:db8::/32")
    )
    assert all(isinstance(places.enter("10.1.2.3"), Place) for _ in range(4))
    assert isinstance(places.enter("2001:db8::5"), Place)
    assert places.enter("10.1.2.3") is Closing.FULL
    assert places.addresses == 0


def test_a_place_is_given_back_once() -> None:
    places = strangers()
    one, two = places.enter("192.0.2.1"), places.enter("192.0.2.1")
    assert isinstance(one, Place)
    assert isinstance(two, Place)
    one.leave()
    one.leave()
    assert places.count == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=200))
def test_the_table_holds_only_addresses_that_are_here(steps: list[tuple[bool, int]]) -> None:
    places, here = strangers(unproven=20, unproven_per_address=6), []
    for comes, number in steps:
        if comes:
            place = places.enter(f"192.0.2.{number}")
            if isinstance(place, Place):
                here.append((number, place))
        elif here:
            here.pop(number % len(here))[1].leave()
        assert places.count == len(here) <= 20
        assert places.addresses == len({number for number, _ in here})


def test_a_network_that_is_none_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ValueError, match="not-a-network"):
        ConnectionLimits(shared_addresses=("not-a-network",))
