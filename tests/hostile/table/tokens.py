"""Family S at the ingest port: bearer tokens that are wrong (RFC 6750, RFC 7519, RFC 8725).

A row is a value of `Authorization`, or several; `rows` makes those that hold the time.
"""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .cases import ORGANIZATION_ID
from .posts import TOKEN

ISSUER, AUDIENCE = "https://issuer.example", "earhook-of-the-tables"
SHARED = b"the shared secret of the issuer of the tables"
EXPIRED_TOKEN = "a-token-whose-time-is-over"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_set() -> dict[str, Any]:
    """The public keys of the issuer, as its file holds them."""
    rsa_key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    ec_key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(EC_KEY.public_key()))
    return {"keys": [{**rsa_key, "kid": "rsa"}, {**ec_key, "kid": "ec"}]}


def claims(now: int, **changed: Any) -> dict[str, Any]:
    """Claims that are in order; `...` leaves one out."""
    written = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 300, "sub": "a", **changed}
    return {name: value for name, value in written.items() if value is not ...}


def coded(value: Any) -> str:
    """JSON, or bytes, in base64 for URLs."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def sealed(now: int, header: dict[str, Any], secret: bytes = SHARED, **changed: Any) -> str:
    """A token with any header, signed with HMAC whatever the header says."""
    signed = f"{coded(header)}.{coded(claims(now, **changed))}"
    return f"{signed}.{coded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def issued(now: int, **changed: Any) -> str:
    """A token of the issuer with other claims."""
    return jwt.encode(claims(now, **changed), RSA_KEY, "RS256", {"kid": "rsa"})


def good_token(now: int) -> str:
    """A token of the issuer that is in order."""
    return issued(now)


def rows(now: int) -> dict[str, tuple[str, ...]]:
    """What stands in `Authorization`, by what is wrong with it."""
    token = good_token(now)
    head, body, signature = token.split(".")
    return {
        "nothing": (),
        "an empty value": ("",),
        "another scheme": ("Basic dTpw",),
        "a scheme alone": ("Bearer",),
        "a scheme and spaces": ("Bearer   ",),
        "the token without a scheme": (TOKEN,),
        "the token in quotes": (f'Bearer "{TOKEN}"',),
        "two tokens in a line": (f"Bearer {TOKEN}, Bearer {TOKEN}",),
        "two words": (f"Bearer {TOKEN} {TOKEN}",),
        "a tab for the space": (f"Bearer\t{TOKEN}",),
        "an unknown token": ("Bearer nobody-knows-this-token",),
        "a token cut short": (f"Bearer {TOKEN[:-1]}",),
        "a token and one letter": (f"Bearer {TOKEN}x",),
        "a token in capitals": (f"Bearer {TOKEN.upper()}",),
        "an expired token": (f"Bearer {EXPIRED_TOKEN}",),
        "a token of 9,000 letters": ("Bearer " + "a" * 9000,),
        "a token that is not ASCII": ("Bearer tökèn",),
        "a nested scheme": (f"Bearer Bearer {TOKEN}",),
        "no algorithm": (f"Bearer {coded({'alg': 'none'})}.{body}.",),
        "no algorithm, with a signature": (f"Bearer {coded({'alg': 'none'})}.{body}.{signature}",),
        "no algorithm in capitals": (f"Bearer {coded({'alg': 'NONE'})}.{body}.AA",),
        "the public key as a secret": (
            "Bearer " + sealed(now, {"alg": "HS256", "kid": "rsa"}, RSA_PEM),
        ),
        "an algorithm that is not allowed": (
            "Bearer " + jwt.encode(claims(now), RSA_KEY, "RS512", {"kid": "rsa"}),
        ),
        "HS256 where it is not allowed": ("Bearer " + sealed(now, {"alg": "HS256"}),),
        "an algorithm in small letters": (f"Bearer {coded({'alg': 'rs256'})}.{body}.{signature}",),
        "an algorithm as a list": (f"Bearer {coded({'alg': ['RS256']})}.{body}.{signature}",),
        "a header without an algorithm": (f"Bearer {coded({})}.{body}.{signature}",),
        "the key of somebody else": (
            "Bearer " + jwt.encode(claims(now), OTHER_RSA_KEY, "RS256", {"kid": "rsa"}),
        ),
        "a key in the header": (
            "Bearer "
            + jwt.encode(
                claims(now),
                OTHER_RSA_KEY,
                "RS256",
                {"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OTHER_RSA_KEY.public_key()))},
            ),
        ),
        "a key by address": (
            "Bearer "
            + jwt.encode(claims(now), OTHER_RSA_KEY, "RS256", {"jku": "https://evil.example/keys"}),
        ),
        "an unknown key id": (
            "Bearer " + jwt.encode(claims(now), RSA_KEY, "RS256", {"kid": "nobody"}),
        ),
        "a key id that climbs": (
            "Bearer "
            + jwt.encode(claims(now), OTHER_RSA_KEY, "RS256", {"kid": "../../../dev/null"}),
        ),
        "a key id with SQL": (
            "Bearer "
            + jwt.encode(claims(now), OTHER_RSA_KEY, "RS256", {"kid": "' UNION SELECT 'a"}),
        ),
        "a key id of 300 letters": (
            "Bearer " + jwt.encode(claims(now), RSA_KEY, "RS256", {"kid": "k" * 300}),
        ),
        "the other kind of key": (
            "Bearer " + jwt.encode(claims(now), EC_KEY, "ES256", {"kid": "rsa"}),
        ),
        "a signature of zeros": (
            f"Bearer {coded({'alg': 'ES256', 'kid': 'ec'})}.{body}.{coded(bytes(64))}",
        ),
        "an empty signature": (f"Bearer {head}.{body}.",),
        "no signature": (f"Bearer {head}.{body}",),
        "a signature too many": (f"Bearer {token}.{signature}",),
        "an encrypted token": (f"Bearer {head}.{body}.{signature}.AA.AA",),
        "another body": (f"Bearer {head}.{coded(claims(now, sub='b'))}.{signature}",),
        "a body that is no JSON": (f"Bearer {head}.{coded(b'{')}.{signature}",),
        "a body that is a list": (f"Bearer {head}.{coded([1])}.{signature}",),
        "a header that is no JSON": (f"Bearer {coded(b'no')}.{body}.{signature}",),
        "a header of a thousand levels": (
            f"Bearer {coded(b'[' * 1000 + b']' * 1000)}.{body}.{signature}",
        ),
        "a signature that is no base64": (f"Bearer {head}.{body}.!!!!",),
        "a header that must be understood": (
            "Bearer "
            + jwt.encode(claims(now), RSA_KEY, "RS256", {"kid": "rsa", "crit": ["x"], "x": 1}),
        ),
        "expired": (f"Bearer {issued(now, exp=now - 60)}",),
        "not yet valid": (f"Bearer {issued(now, nbf=now + 600)}",),
        "issued in the future": (f"Bearer {issued(now, iat=now + 600)}",),
        "without an end": (f"Bearer {issued(now, exp=...)}",),
        "an end in words": ("Bearer " + sealed(now, {"alg": "RS256", "kid": "rsa"}, exp="never"),),
        "an end beyond all": (f"Bearer {issued(now, exp=10**300)}",),
        "an end as true": (f"Bearer {issued(now, exp=True)}",),
        "another audience": (f"Bearer {issued(now, aud='somebody-else')}",),
        "no audience": (f"Bearer {issued(now, aud=...)}",),
        "an audience as a number": (f"Bearer {issued(now, aud=1)}",),
        "another issuer": (f"Bearer {issued(now, iss='https://evil.example')}",),
        "no issuer": (f"Bearer {issued(now, iss=...)}",),
        "an issuer with a slash more": (f"Bearer {issued(now, iss=ISSUER + '/')}",),
        "an issuer as a list": (f"Bearer {coded({'alg': 'RS256'})}.{coded({'iss': [ISSUER]})}.AA",),
    }


def request(values: tuple[str, ...]) -> bytes:
    """A block with these values of `Authorization`."""
    lines = "".join(f"Authorization: {value}\r\n" for value in values)
    return (
        "POST /stream/v1/audiohook HTTP/1.1\r\nHost: gateway.example\r\n"
        f"Audiohook-Organization-Id: {ORGANIZATION_ID}\r\n{lines}"
        "Content-Type: audio/PCMU\r\nContent-Length: 4\r\n\r\n"
    ).encode("latin-1") + b"\xff" * 4
