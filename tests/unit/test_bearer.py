"""Bearer tokens: what opens the ingest, for how long, and everything that only looks like it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from earhook.control.bearer import MAX_REMEMBERED_FLAWS, BearerTokens, StaticToken, token_digest
from earhook.control.jwks import FixedKeys, KeySet, parse_key_set
from earhook.control.jwt import Flaw, Issuer, read_token, verify_token
from earhook.ids import KeyName
from earhook.ingest.credentials import Accepted

NOW = 1_767_225_600.0
ORGANIZATION = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
OTHER_ORGANIZATION = "11111111-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
SECRET = b"a shared secret of thirty-two by"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
STATIC = "static-token-0123456789"
Claims = dict[str, Any]


def jwk(key: Any, kid: str | None = None, **members: Any) -> dict[str, Any]:
    kinds = {True: jwt.algorithms.RSAAlgorithm, False: jwt.algorithms.ECAlgorithm}
    algorithm = kinds[isinstance(key, rsa.RSAPrivateKey)]
    entry = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**entry, **({} if kid is None else {"kid": kid}), **members}


def key_set(*entries: dict[str, Any]) -> KeySet:
    return parse_key_set(json.dumps({"keys": entries}).encode())


def issuer(**changes: Any) -> Issuer:
    standard: dict[str, Any] = {
        "name": KeyName("idp"),
        "issuer": "https://idp.example",
        "audience": "earhook",
        "algorithms": frozenset({"RS256", "ES256"}),
        "keys": FixedKeys(key_set(jwk(RSA_KEY, "rsa"), jwk(EC_KEY, "ec"))),
        "leeway_seconds": 5.0,
    }
    return Issuer(**{**standard, **changes})


SHARED = issuer(
    name=KeyName("shared"),
    issuer="https://shared.example",
    algorithms=frozenset({"HS256"}),
    keys=FixedKeys(KeySet()),
    secret=SECRET,
)
ANY = StaticToken(KeyName("static"), token_digest(STATIC))


def claims(**changes: Any) -> Claims:
    standard = {"iss": "https://idp.example", "aud": "earhook", "exp": NOW + 60, "sub": "sender"}
    return {name: value for name, value in {**standard, **changes}.items() if value is not None}


def token(
    body: Claims | None = None, key: Any = RSA_KEY, algorithm: str = "RS256", **header: Any
) -> str:
    return jwt.encode(body or claims(), key, algorithm, {"kid": "rsa", **header})


def raw(header: object, body: object, signature: bytes = b"\0" * 32) -> str:
    """Any token at all, signed or not."""
    parts = [json.dumps(part).encode() for part in (header, body)]
    return ".".join(base64.urlsafe_b64encode(p).rstrip(b"=").decode() for p in (*parts, signature))


def shared(body: Claims | None = None) -> str:
    return jwt.encode(body or claims(iss=SHARED.issuer), SECRET, "HS256")


def judge(
    text: str, *issuers: Issuer, now: float = NOW, static: StaticToken = ANY
) -> Accepted | Flaw:
    tokens = BearerTokens([static], issuers or (issuer(), SHARED))
    return asyncio.run(tokens.judge(text, now))


@pytest.mark.parametrize(
    "text",
    [
        token(),
        token(claims(aud=["other", "earhook"])),
        token(claims(exp=int(NOW) + 1, nbf=NOW - 1, iat=NOW)),
        token(key=EC_KEY, algorithm="ES256", kid="ec"),
        token(claims(), typ="at+jwt"),
        shared(),
    ],
    ids=["rs256", "audiences", "times", "es256", "typ", "hs256"],
)
def test_a_good_web_token_opens_the_door(text: str) -> None:
    accepted = judge(text)
    assert isinstance(accepted, Accepted)
    assert accepted.expires_wall_seconds is not None
    assert "sender" not in repr(accepted)


def test_a_token_without_key_id_is_tried_with_a_handful_of_keys() -> None:
    unnamed = jwt.encode(claims(), RSA_KEY, "RS256")
    assert isinstance(judge(unnamed), Accepted)
    many = [jwk(RSA_KEY, f"k{number}") for number in range(5)]
    assert judge(unnamed, issuer(keys=FixedKeys(key_set(*many)))) is Flaw.UNKNOWN_KEY


def public_pem() -> bytes:
    return RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def forged_with_public_key() -> str:
    """The classic: HS256 over the public key, hoping that it is taken for a shared secret."""
    import hashlib
    import hmac

    unsigned = raw({"alg": "HS256", "kid": "rsa"}, claims()).rpartition(".")[0]
    mac = hmac.digest(public_pem(), unsigned.encode(), hashlib.sha256)
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def tampered() -> str:
    head, _, signature = token().split(".")
    return ".".join((head, raw({}, claims(sub="admin")).split(".")[1], signature))


BAD_TOKENS: dict[str, tuple[Callable[[], str], Flaw]] = {
    "expired": (lambda: token(claims(exp=NOW - 6)), Flaw.EXPIRED),
    "expired this moment": (lambda: token(claims(exp=NOW - 5)), Flaw.EXPIRED),
    "not valid yet": (lambda: token(claims(nbf=NOW + 6)), Flaw.FUTURE),
    "issued in the future": (lambda: token(claims(iat=NOW + 60)), Flaw.FUTURE),
    "no expiry": (lambda: token(claims(exp=None)), Flaw.CLAIMS),
    "expiry is text": (lambda: token(claims(exp="tomorrow")), Flaw.CLAIMS),
    "expiry is a number in text": (lambda: token(claims(exp=str(NOW + 60))), Flaw.CLAIMS),
    "expiry is true": (lambda: token(claims(exp=True)), Flaw.CLAIMS),
    "expiry is a list": (lambda: token(claims(exp=[NOW + 60])), Flaw.CLAIMS),
    "expiry is endless": (lambda: token(claims(exp=1e300)), Flaw.CLAIMS),
    "expiry is infinite": (lambda: token(claims(exp=float("inf"))), Flaw.MALFORMED),
    "expiry is no number": (lambda: token(claims(exp=float("nan"))), Flaw.MALFORMED),
    "expiry is negative": (lambda: token(claims(exp=-1)), Flaw.CLAIMS),
    "begin is text": (lambda: token(claims(nbf="now")), Flaw.CLAIMS),
    "begin is no number": (lambda: token(claims(nbf=float("nan"))), Flaw.MALFORMED),
    "other audience": (lambda: token(claims(aud="other")), Flaw.AUDIENCE),
    "other audiences": (lambda: token(claims(aud=["a", "b"])), Flaw.AUDIENCE),
    "audience in a longer word": (lambda: token(claims(aud="earhook2")), Flaw.AUDIENCE),
    "audience is a number": (lambda: token(claims(aud=7)), Flaw.AUDIENCE),
    "audience is an object": (lambda: token(claims(aud={"earhook": 1})), Flaw.AUDIENCE),
    "no audience": (lambda: token(claims(aud=None)), Flaw.CLAIMS),
    "other issuer": (lambda: token(claims(iss="https://evil")), Flaw.UNKNOWN_ISSUER),
    "longer issuer": (lambda: token(claims(iss="https://idp.example/")), Flaw.UNKNOWN_ISSUER),
    "shorter issuer": (lambda: token(claims(iss="https://idp.exampl")), Flaw.UNKNOWN_ISSUER),
    "no issuer": (lambda: token(claims(iss=None)), Flaw.CLAIMS),
    "subject is no text": (lambda: token(claims(sub=["a"])), Flaw.CLAIMS),
    "none": (lambda: raw({"alg": "none"}, claims(), b""), Flaw.MALFORMED),
    "none with a signature": (lambda: raw({"alg": "none"}, claims()), Flaw.ALGORITHM),
    "None": (lambda: raw({"alg": "None", "kid": "rsa"}, claims()), Flaw.ALGORITHM),
    "no algorithm": (lambda: raw({"kid": "rsa"}, claims()), Flaw.MALFORMED),
    "algorithm is a list": (lambda: raw({"alg": ["RS256"]}, claims()), Flaw.MALFORMED),
    "rs512": (lambda: token(algorithm="RS512"), Flaw.ALGORITHM),
    "ps256": (lambda: token(algorithm="PS256"), Flaw.ALGORITHM),
    "hs256 with the public key": (forged_with_public_key, Flaw.ALGORITHM),
    "hs256 of another issuer": (
        lambda: jwt.encode(claims(), SECRET, "HS256"),
        Flaw.ALGORITHM,
    ),
    "hs256 with another secret": (
        lambda: jwt.encode(claims(iss=SHARED.issuer), b"x" * 32, "HS256"),
        Flaw.MISMATCH,
    ),
    "rs256 at a shared secret": (lambda: token(claims(iss=SHARED.issuer)), Flaw.ALGORITHM),
    "es256 key, rs256 said": (lambda: token(kid="ec"), Flaw.UNKNOWN_KEY),
    "unknown key": (lambda: token(kid="nobody"), Flaw.UNKNOWN_KEY),
    "key id is a number": (lambda: raw({"alg": "RS256", "kid": 7}, claims()), Flaw.MALFORMED),
    "key id is a path": (lambda: token(kid="../../dev/null"), Flaw.UNKNOWN_KEY),
    "key id is long": (lambda: token(kid="k" * 257), Flaw.MALFORMED),
    "key in the token": (
        lambda: token(key=OTHER_RSA_KEY, jwk=jwk(OTHER_RSA_KEY, "rsa")),
        Flaw.MISMATCH,
    ),
    "key elsewhere": (
        lambda: token(key=OTHER_RSA_KEY, jku="https://evil/keys", x5u="https://evil/x"),
        Flaw.MISMATCH,
    ),
    "another key": (lambda: token(key=OTHER_RSA_KEY), Flaw.MISMATCH),
    "changed claims": (tampered, Flaw.MISMATCH),
    "cut signature": (lambda: token()[:-6], Flaw.MISMATCH),
    "critical extension": (lambda: raw({"alg": "RS256", "crit": ["x"]}, claims()), Flaw.MALFORMED),
    "payload elsewhere": (
        lambda: raw({"alg": "RS256", "b64": False, "crit": ["b64"]}, claims()),
        Flaw.MALFORMED,
    ),
    "header is a list": (lambda: raw(["RS256"], claims()), Flaw.MALFORMED),
    "claims are a list": (lambda: raw({"alg": "RS256"}, ["iss"]), Flaw.MALFORMED),
    "claims are text": (lambda: raw({"alg": "RS256"}, "iss"), Flaw.MALFORMED),
    "deep claims": (
        lambda: raw({"alg": "RS256"}, 0).replace(".MA.", f".{'W1tb' * 900}."),
        Flaw.MALFORMED,
    ),
    "two parts": (lambda: token().rpartition(".")[0], Flaw.UNKNOWN_TOKEN),
    "four parts": (lambda: f"{token()}.x", Flaw.UNKNOWN_TOKEN),
    "five parts, encrypted": (lambda: "a.b.c.d.e", Flaw.UNKNOWN_TOKEN),
    "empty parts": (lambda: "..", Flaw.MALFORMED),
    "padded": (lambda: f"{token()}=", Flaw.MALFORMED),
    "white space": (lambda: token().replace(".", ". ", 1), Flaw.MALFORMED),
    "standard alphabet": (lambda: "ab+/.cd.ef", Flaw.MALFORMED),
    "not ascii": (lambda: "ä.ö.ü", Flaw.MALFORMED),
    "surrogates": (lambda: "\ud800.\ud800.x", Flaw.MALFORMED),
    "empty": (lambda: "", Flaw.UNKNOWN_TOKEN),
    "nul": (lambda: "\0", Flaw.UNKNOWN_TOKEN),
    "huge": (lambda: "a" * 4097, Flaw.TOO_LONG),
    "huge web token": (lambda: token(claims(x="y" * 3000)), Flaw.TOO_LONG),
    "long header": (lambda: token(x="y" * 800), Flaw.MALFORMED),
    "signature of an impossible length": (lambda: f"{token()}AAAAA", Flaw.MISMATCH),
    "static, one letter less": (lambda: STATIC[:-1], Flaw.UNKNOWN_TOKEN),
    "static, one letter more": (lambda: f"{STATIC}0", Flaw.UNKNOWN_TOKEN),
    "static, other case": (STATIC.upper, Flaw.UNKNOWN_TOKEN),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused_for_the_right_reason(name: str) -> None:
    make, flaw = BAD_TOKENS[name]
    assert judge(make()) is flaw


def test_an_expired_static_token_is_refused_from_that_moment_on() -> None:
    dated = StaticToken(KeyName("dated"), token_digest(STATIC), frozenset(), NOW)
    assert isinstance(judge(STATIC, static=dated, now=NOW - 0.001), Accepted)
    assert judge(STATIC, static=dated) is Flaw.EXPIRED


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{1,40}"))
def test_no_text_raises(text: str) -> None:
    assert isinstance(judge(text), Flaw)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none()))
def test_no_header_raises(header: dict[str, Any]) -> None:
    read_token(raw({"alg": "RS256", **header}, claims()))


def test_identity_is_the_senders_and_outlives_its_token() -> None:
    def identity(text: str) -> bytes:
        accepted = judge(text)
        assert isinstance(accepted, Accepted)
        return accepted.identity

    assert identity(token()) == identity(token(claims(exp=NOW + 900)))
    assert identity(token()) != identity(token(claims(sub="somebody else")))
    assert identity(token()) != identity(token(claims(sub=None, client_id="sender")))
    assert identity(STATIC) == b"token static"


@pytest.mark.parametrize(
    ("claim", "allowed", "expected"),
    [
        (ORGANIZATION, frozenset(), {ORGANIZATION}),
        (ORGANIZATION.upper(), frozenset({ORGANIZATION}), {ORGANIZATION}),
        ([ORGANIZATION, OTHER_ORGANIZATION], frozenset({ORGANIZATION}), {ORGANIZATION}),
        (OTHER_ORGANIZATION, frozenset({ORGANIZATION}), Flaw.ORGANIZATION),
        (None, frozenset({ORGANIZATION}), Flaw.CLAIMS),
        ([], frozenset(), Flaw.CLAIMS),
        ([7], frozenset(), Flaw.CLAIMS),
        ("", frozenset(), Flaw.CLAIMS),
        ({"id": ORGANIZATION}, frozenset(), Flaw.CLAIMS),
    ],
)
def test_organizations_come_from_the_claim(
    claim: object, allowed: frozenset[str], expected: object
) -> None:
    found = judge(token(claims(org=claim)), issuer(organization_claim="org", organizations=allowed))
    assert (found.organizations if isinstance(found, Accepted) else found) == expected


def test_two_tables_of_one_issuer_are_tried_one_after_the_other() -> None:
    first = issuer(name=KeyName("first"), audience="elsewhere")
    accepted = judge(token(), first, issuer())
    assert isinstance(accepted, Accepted)
    assert accepted.name == "idp"


class Changing:
    """Keys that are others from the next `renew` on."""

    def __init__(self, current: KeySet, later: KeySet) -> None:
        self.current, self.later = current, later
        self.renewals = 0

    async def renew(self) -> bool:
        self.renewals += 1
        self.current = self.later
        return True


def test_what_was_refused_is_not_checked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, checks = BearerTokens([], [issuer()]), Counter[str]()

    def counted(text: str, *rest: Any) -> Any:
        checks[text] += 1
        return verify_token(text, *rest)

    monkeypatch.setattr("earhook.control.bearer.verify_token", counted)
    forged = tampered()
    for now in (NOW, NOW + 9.9, NOW + 10.1, NOW + 10.2, NOW - 60):
        assert asyncio.run(tokens.judge(forged, now)) is Flaw.MISMATCH
    assert checks == {forged: 3}


def test_what_was_refused_is_judged_anew_as_soon_as_there_are_other_keys() -> None:
    keys = FixedKeys(key_set(jwk(OTHER_RSA_KEY, "old")))
    tokens, good = BearerTokens([], [issuer(keys=keys)]), token()
    assert asyncio.run(tokens.judge(good, NOW)) is Flaw.UNKNOWN_KEY
    keys.current = key_set(jwk(RSA_KEY, "rsa"))
    assert isinstance(asyncio.run(tokens.judge(good, NOW)), Accepted)


def test_what_strangers_make_up_is_remembered_within_bounds() -> None:
    tokens = BearerTokens([], [issuer()])
    for number in range(MAX_REMEMBERED_FLAWS + 50):
        made_up = raw({"alg": "RS256", "kid": "rsa"}, claims(iss=f"https://evil/{number}"))
        assert asyncio.run(tokens.judge(made_up, NOW)) is Flaw.UNKNOWN_ISSUER
    assert tokens.remembered_flaws == MAX_REMEMBERED_FLAWS


@pytest.mark.parametrize("kid", ["new", None])
def test_an_unknown_key_has_the_keys_renewed_before_anybody_is_refused(kid: str | None) -> None:
    keys = Changing(key_set(jwk(OTHER_RSA_KEY, kid and "old")), key_set(jwk(RSA_KEY, kid)))
    header = {} if kid is None else {"kid": kid}
    text = jwt.encode(claims(), RSA_KEY, "RS256", header)
    assert isinstance(judge(text, issuer(keys=keys)), Accepted)
    assert keys.renewals == 1


def test_what_was_checked_is_remembered_until_it_ends_or_its_key_goes() -> None:
    keys = Changing(key_set(jwk(RSA_KEY, "rsa")), key_set(jwk(OTHER_RSA_KEY, "other")))
    tokens = BearerTokens([], [issuer(keys=keys)], max_remembered=2)
    text = token()

    def verdict(shown: str, now: float = NOW) -> Accepted | Flaw:
        return asyncio.run(tokens.judge(shown, now))

    assert isinstance(verdict(text), Accepted)
    assert tokens.remembered == 1
    assert isinstance(verdict(text, NOW + 64.9), Accepted)
    assert verdict(text, NOW + 65) is Flaw.EXPIRED
    for number in range(4):
        verdict(token(claims(sub=str(number))))
    assert tokens.remembered == 2
    assert verdict(token(claims(aud="other"))) is Flaw.AUDIENCE
    assert tokens.remembered == 2
    verdict(text)
    keys.current = keys.later
    assert verdict(text) is Flaw.UNKNOWN_KEY


@given(st.binary(max_size=300))
def test_no_document_raises_anything_else(document: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_key_set(document)


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"},
        jwk(rsa.generate_private_key(65537, 1024)),
        jwk(ec.generate_private_key(ec.SECP384R1())),
        jwk(RSA_KEY, use="enc"),
        jwk(RSA_KEY, alg="RS512"),
        jwk(RSA_KEY, key_ops=["encrypt"]),
        jwk(RSA_KEY, key_ops="verify"),
        {**jwk(RSA_KEY), "n": "!"},
        {**jwk(RSA_KEY), "e": 3},
        {**jwk(EC_KEY), "x": "AAAA"},
        {**jwk(RSA_KEY), "kid": 7},
        {"kty": ["RSA"]},
        {},
    ],
)
def test_unfit_keys_are_passed_over(entry: dict[str, Any]) -> None:
    assert len(key_set(entry, jwk(EC_KEY, "good")).keys) == 1
    with pytest.raises(ValueError, match="holds no public"):
        key_set(entry)


def test_no_private_part_of_a_key_is_kept() -> None:
    private = jwt.algorithms.RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True)
    (found,) = key_set({**private, "key_ops": ["sign", "verify"]}).keys
    assert isinstance(found.key.key, rsa.RSAPublicKey)
