"""Which client certificates are wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from earhook.edge.client_certificate import ClientPatterns, PeerCertificate
from earhook.edge.settings import TlsSettings

SHOWN = PeerCertificate(
    "CN=genesys-eu,OU=Voice,O=Example\\, Inc.,C=DE",
    (
        "DNS:Caller.Example.com",
        "URI:spiffe://example/caller",
        "IP:192.0.2.7",
        "email:a@example.com",
    ),
)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("CN=genesys-eu", True),
        ("CN=genesys-*", True),
        ("CN=genesys-??", True),
        ("CN=genesys-[eu]?", True),
        ("CN=Genesys-eu", False),
        ("CN=genesys", False),
        ("CN=enesys-eu", False),
        ("OU=Voice", True),
        ("O=Example\\, Inc.", True),
        ("CN=*,OU=Voice,O=Example\\, Inc.,C=DE", True),
        ("CN=*,OU=*,O=*,C=DE", True),
        ("CN=*,C=DE", False),
        ("CN=*,OU=Voice,O=Example\\, Inc.,C=FR", False),
        ("DNS:caller.example.com", True),
        ("DNS:*.EXAMPLE.com", True),
        ("DNS:example.com", False),
        ("DNS:*.example.com.evil", False),
        ("URI:spiffe://example/*", True),
        ("URI:SPIFFE://example/*", False),
        ("IP:192.0.2.7", True),
        ("IP:192.0.2.8", False),
        ("email:*@example.com", True),
        ("email:192.0.2.7", False),
        ("DNS:192.0.2.7", False),
    ],
)
def test_a_pattern_matches_an_attribute_a_subject_or_a_name(pattern: str, *, wanted: bool) -> None:
    assert ClientPatterns([pattern]).match(SHOWN) == wanted
    assert ClientPatterns(["CN=nobody", "DNS:nobody", pattern]).match(SHOWN) == wanted


def test_without_a_pattern_everybody_is_wanted() -> None:
    assert ClientPatterns().match(SHOWN)
    assert ClientPatterns().match(PeerCertificate("", ()))
    assert not ClientPatterns(["CN=*"]).match(PeerCertificate("", ()))
    assert not ClientPatterns(["DNS:*"]).match(PeerCertificate("", ()))


@pytest.mark.parametrize(
    "subject",
    [
        "CN=evil\\,O=Wanted",  # one attribute whose value holds a comma
        "CN=evil\\,O=Wanted,O=Other",
        "CN=evil,O=Other,CN=x\\,O=Wanted",
        "CN=DNS:wanted.example",
    ],
)
def test_a_value_cannot_pass_for_an_attribute(subject: str) -> None:
    patterns = ClientPatterns(["CN=*,O=Wanted", "O=Wanted", "DNS:wanted.example"])
    assert not patterns.match(PeerCertificate(subject, ()))


def test_a_name_cannot_pass_for_another_kind() -> None:
    shown = PeerCertificate("CN=x", ("URI:DNS:wanted.example", "email:CN=wanted"))
    assert not ClientPatterns(["DNS:wanted.example", "CN=wanted"]).match(shown)


@pytest.mark.parametrize(
    "pattern", ["", "genesys", "*.example.com", "CN", "CN=", "dns:example.com"]
)
def test_a_pattern_that_can_never_match_is_a_fault_of_the_configuration(pattern: str) -> None:
    with pytest.raises(ValueError, match="allowed_clients"):
        settings(client_ca=Path("ca"), allowed_clients=(pattern,))


@pytest.mark.parametrize(
    "field", [{"client_certificates": "optional"}, {"allowed_clients": ("CN=x",)}]
)
def test_clients_without_authorities_are_a_fault_of_the_configuration(
    field: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match="means nothing without client_ca"):
        settings(**field)
    settings(client_ca=Path("ca"), **field)


def settings(**fields: object) -> TlsSettings:
    files = {"certificate": Path("crt"), "private_key": Path("key")}
    return TlsSettings.model_validate({**files, **fields})
