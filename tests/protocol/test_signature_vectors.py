"""The published and captured request signatures (AudioHook protocol §3.8).

Each vector is checked from both sides: our verifier accepts it, and our signer makes it.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass

import pytest

from earhook.ids import KeyName
from earhook.protocol.keyring import Credential, KeyRing
from earhook.protocol.settings import SignatureSettings
from earhook.protocol.signature import Accepted, Refusal, Refused, SignedRequest, verify
from earhook.protocol.signature_input import AUTHORITY, Claim, read_claim, signature_base
from earhook.protocol.signing import (
    PRODUCTION_COMPONENTS,
    REFERENCE_COMPONENTS,
    RequestToSign,
    production_parameters,
    reference_parameters,
    sign,
)

ORG, SES, COR = (
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
)
DOCUMENTED_SECRET = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
DOCUMENTED_KEY = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
OWN_SECRET = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
OWN_KEY = "Z2F0ZXdheS10ZXN0LWtleS0wMDE="
OWN = {
    ORG: "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f",
    SES: "0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40",
    COR: "b7a9c1d2-3e4f-4051-8263-748596a7b8c9",
}
OWN_TARGET = "/gw/v1/audiohook/bot-7?lang=en-US&tier=gold"
OWN_HOST = "gateway.example.net:8443"


@dataclass(frozen=True)
class Vector:
    name: str
    secret: str
    key: str
    target: str
    host: str
    ids: dict[str, str]
    components: tuple[str, ...]
    parameters: tuple[tuple[str, str | int], ...]
    base_bytes: int
    base_sha256: str
    mac: str

    @property
    def created(self) -> int:
        return int(dict(self.parameters)["created"])

    @property
    def fields(self) -> list[tuple[str, str]]:
        return [("Host", self.host), ("X-API-KEY", self.key), *self.ids.items()]

    @property
    def signature_input(self) -> str:
        names = " ".join(f'"{name}"' for name in self.components)
        shown = "".join(
            f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
            for name, value in self.parameters
        )
        return f"sig1=({names}){shown}"

    def request(self, mac: str | None = None) -> SignedRequest:
        signed = [
            ("Signature-Input", self.signature_input),
            ("Signature", f"sig1=:{mac or self.mac}:"),
        ]
        return SignedRequest(self.target.encode(), [*self.fields, *signed])

    @property
    def base(self) -> bytes:
        claim = read_claim(self.signature_input, f"sig1=:{self.mac}:")
        assert isinstance(claim, Claim)
        values = {**self.ids, "x-api-key": self.key, AUTHORITY: self.host}
        base = signature_base(claim, self.target.encode(), values)
        assert base is not None
        return base


NONCE = "QUJDREVGR0hJSktMTU5PUFFS"
A = Vector(
    "A, of the documentation",
    DOCUMENTED_SECRET,
    DOCUMENTED_KEY,
    "/api/v1/voicebiometrics/ws",
    "audiohook.example.com",
    {
        ORG: "d7934305-0972-4844-938e-9060eef73d05",
        SES: "30b0e395-84d3-4570-ac13-9a62d8f514c0",
        COR: "e160e428-53e2-487c-977d-96989bf5c99d",
    },
    REFERENCE_COMPONENTS,
    (
        ("keyid", DOCUMENTED_KEY),
        ("nonce", "VGhpc0lzQVVuaXF1ZU5vbmNl"),
        ("alg", "hmac-sha256"),
        ("created", 1641013200),
        ("expires", 3282026430),
    ),
    593,
    "6fc7f72e95dddd7420441f42fb08c533151f55c9d4603a3632cdebb4488afd5f",
    "NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=",
)
B = Vector(
    "B, reference order",
    OWN_SECRET,
    OWN_KEY,
    OWN_TARGET,
    OWN_HOST,
    OWN,
    REFERENCE_COMPONENTS,
    reference_parameters(OWN_KEY, NONCE, 1767225600),
    605,
    "8bf423d8be2bc2709aadbfd28f2e3b19beb1339e311e0da98f1ba75188747926",
    "F0hniFVE3veglL3Y1uuc7xPhJLUibhVCRrIINc4YHMs=",
)
C = Vector(
    "C, any order",
    OWN_SECRET,
    OWN_KEY,
    OWN_TARGET,
    OWN_HOST,
    OWN,
    ("x-api-key", "@authority", "@request-target", SES, ORG, COR),
    (
        ("created", 1767225600),
        ("expires", 1767225630),
        ("keyid", OWN_KEY),
        ("alg", "hmac-sha256"),
        ("nonce", NONCE),
    ),
    605,
    "6791b8b66cb053b80b0ba53bda3e3d969f3490969edecc102c61bc446805b311",
    "aP5ziT7L0+z+F2eudkWe3on5QBxMUihw06ORfqUFewc=",
)
D = Vector(
    "D, production order",
    OWN_SECRET,
    OWN_KEY,
    OWN_TARGET,
    OWN_HOST,
    OWN,
    PRODUCTION_COMPONENTS,
    production_parameters(OWN_KEY, NONCE, 1767225600),
    605,
    "3aef686a2027d44ac83405c7696126d5a6e49d2e42dd21a890db3eedd1c37946",
    "Khb4uGA0f8I10GCBj3v0FSPqVeLH/mKN7HdicwuyZxI=",
)
R = Vector(
    "R, made by Genesys Cloud",
    DOCUMENTED_SECRET,
    DOCUMENTED_KEY,
    "/webhooks/genesys/websocket",
    "pro-grouse-possibly.ngrok-free.app",
    {
        ORG: "22352111-6076-492a-8163-514a00723975",
        SES: "386dc26f-6d1d-4cf0-b153-93c43f540874",
        COR: "386dc26f-6d1d-4cf0-b153-93c43f540874",
    },
    PRODUCTION_COMPONENTS,
    production_parameters(DOCUMENTED_KEY, "9qAwwlMvkHqzxf0DoOOXVvNe", 1744210396),
    607,
    "04f49892ff353b8d52523650542698780440bf047d9ef70064d3c887c5185ef1",
    "Y6jeGihkrFCi3XwNcwQzw1TeDurpB4bZsMAT6KUiGj4=",
)
VECTORS = [A, B, C, D, R]
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)


def ring(vector: Vector) -> KeyRing:
    credential = Credential(KeyName("k"), vector.key, (b64decode(vector.secret),))
    return KeyRing([credential], b"\x5a" * 32)


def judge(vector: Vector, mac: str | None = None, age_seconds: float = 1.0) -> object:
    wall_seconds = vector.created + age_seconds
    return verify(vector.request(mac), ring(vector), SignatureSettings(), wall_seconds)


@each_vector
def test_the_base_is_as_published(vector: Vector) -> None:
    assert len(vector.base) == vector.base_bytes
    assert hashlib.sha256(vector.base).hexdigest() == vector.base_sha256


@each_vector
def test_the_verifier_accepts_it(vector: Vector) -> None:
    verdict = judge(vector)
    assert isinstance(verdict, Accepted)
    assert verdict.credential.name == "k"
    assert verdict.age_seconds == pytest.approx(1.0)
    assert verdict.nonce == dict(vector.parameters)["nonce"]
    assert verdict.expires == dict(vector.parameters)["expires"]


@each_vector
def test_the_signer_makes_it(vector: Vector) -> None:
    request = RequestToSign(vector.target, vector.host, vector.fields)
    made = sign(request, b64decode(vector.secret), vector.parameters, components=vector.components)
    assert made == [
        ("Signature-Input", vector.signature_input),
        ("Signature", f"sig1=:{vector.mac}:"),
    ]


def test_the_secret_is_decoded_before_use() -> None:
    assert len(b64decode(DOCUMENTED_SECRET)) == 32
    assert b64decode(DOCUMENTED_SECRET).hex() == (
        "4d7953757065725365637265744b657954656c6c4e6f2d312132403323342435"
    )
    assert b64decode(OWN_SECRET) == bytes(range(1, 33))


def test_the_macs_in_hexadecimal() -> None:
    assert b64decode(B.mac).hex() == (
        "174867885544def7a094bdd8d6eb9cef13e124b5226e154246b20835ce181ccb"
    )
    assert b64decode(D.mac).hex() == (
        "2a16f8b860347fc235d060818f7bf41523ea55e2c7fe628dec7762730bb26712"
    )


def mac_of(secret: bytes, base: bytes) -> str:
    return b64encode(hmac.digest(secret, base, "sha256")).decode()


MISTAKES = {
    "secret not decoded": (
        mac_of(OWN_SECRET.encode(), B.base),
        "G2erQXCdZ/wqt6rrjB+h4FAAcxCpSII22XOBwivcxIc=",
    ),
    "method before the target": (
        mac_of(b64decode(OWN_SECRET), B.base.replace(b": /gw", b": get /gw", 1)),
        "ou34/MX3b2Z1URENs2UQiAPSy9fs1VGiT7RzYbeavR8=",
    ),
    "newline after the last line": (
        mac_of(b64decode(OWN_SECRET), B.base + b"\n"),
        "nUhuo2NCbW7o4seS+h4732s+Nc8WRnDNY6sdzVwHvdQ=",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_known_mistakes_give_their_known_macs_and_are_refused(mistake: str) -> None:
    made, published = MISTAKES[mistake]
    assert made == published
    assert judge(B, published) == Refused(Refusal.MISMATCH, 1.0)


@pytest.mark.parametrize("age_seconds", [-3.0, 0.0, 7.0, 7.5, 10.0, 13.0])
def test_the_captured_request_is_accepted_throughout_the_window(age_seconds: float) -> None:
    assert isinstance(judge(R, age_seconds=age_seconds), Accepted)


@pytest.mark.parametrize(
    ("age_seconds", "refusal"),
    [(-3.001, Refusal.FUTURE), (13.001, Refusal.EXPIRED), (1e6, Refusal.EXPIRED)],
)
def test_the_captured_request_is_refused_outside_the_window(
    age_seconds: float, refusal: Refusal
) -> None:
    verdict = judge(R, age_seconds=age_seconds)
    assert isinstance(verdict, Refused)
    assert verdict.reason is refusal
    assert verdict.age_seconds == pytest.approx(age_seconds)


def test_a_long_lifetime_does_not_stretch_the_window() -> None:
    """Vector A says that it lives for half a century."""
    assert isinstance(judge(A, age_seconds=13.0), Accepted)
    verdict = judge(A, age_seconds=13.5)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Refusal.EXPIRED
