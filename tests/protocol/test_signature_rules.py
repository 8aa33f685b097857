"""What counts as a signature, and who may come in (AudioHook protocol §3.2, §3.5 to §3.7)."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earhook.errors import ConfigurationError
from earhook.ids import KeyName
from earhook.protocol import signature
from earhook.protocol.keyring import Credential, KeyRing
from earhook.protocol.settings import SignatureSettings
from earhook.protocol.signature import Accepted, Refusal, Refused, SignedRequest, Verdict, verify
from earhook.protocol.signing import (
    PRODUCTION_COMPONENTS,
    RequestToSign,
    production_parameters,
    sign,
)

NOW = 1_767_225_601.5
CREATED = 1_767_225_600
TARGET = "/audiohook?x=1"
HOST = "gateway.example.net:8443"
KEY = "Z2F0ZXdheS10ZXN0LWtleS0wMDE="
NONCE = "QUJDREVGR0hJSktMTU5PUFFS"
OLD, NEW, DUMMY = b"old secret", b"new secret", b"\x5a" * 32
ORGANIZATION = "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"
FIELDS = [
    ("Host", HOST),
    ("Audiohook-Organization-Id", ORGANIZATION),
    ("Audiohook-Session-Id", "0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"),
    ("Audiohook-Correlation-Id", "b7a9c1d2-3e4f-4051-8263-748596a7b8c9"),
    ("X-API-KEY", KEY),
]
Fields = list[tuple[str, str]]


def credential(*secrets: bytes, **changes: Any) -> Credential:
    return Credential(KeyName("k"), KEY, secrets, **changes)


RING = KeyRing([credential(NEW)], DUMMY)


def signed(
    fields: Sequence[tuple[str, str]] = FIELDS,
    *,
    secret: bytes = NEW,
    host: str = HOST,
    target: str = TARGET,
    components: Sequence[str] = PRODUCTION_COMPONENTS,
    parameters: Any = None,
    label: str = "sig1",
) -> Fields:
    chosen = production_parameters(KEY, NONCE, CREATED) if parameters is None else parameters
    request = RequestToSign(target, host, fields)
    return [*fields, *sign(request, secret, chosen, components=components, label=label)]


def judge(
    fields: Fields,
    *,
    ring: KeyRing = RING,
    settings: SignatureSettings | None = None,
    now: float = NOW,
    target: str = TARGET,
) -> Verdict:
    request = SignedRequest(target.encode(), fields)
    return verify(request, ring, settings or SignatureSettings(), now)


def refusal(*args: Any, **options: Any) -> Refusal:
    verdict = judge(*args, **options)
    assert isinstance(verdict, Refused), verdict
    return verdict.reason


def changed(name: str, change: Callable[[str], str], fields: Fields | None = None) -> Fields:
    rows = signed() if fields is None else fields
    return [(n, change(v) if n.lower() == name.lower() else v) for n, v in rows]


def without(name: str, fields: Fields | None = None) -> Fields:
    rows = signed() if fields is None else fields
    return [(n, v) for n, v in rows if n.lower() != name.lower()]


def resigned(signature_input: str, *, label: str = "sig1") -> Fields:
    """A request whose MAC is right for whatever `Signature-Input` says after re-serialising."""
    names = [item.strip('"') for item in signature_input.split("(")[1].split(")")[0].split()]
    parameters = signature_input.split(")")[1]
    values = {n.lower(): v for n, v in FIELDS} | {"@request-target": TARGET, "@authority": HOST}
    lines = [f'"{name}": {values[name]}' for name in names]
    inner = "(" + " ".join(f'"{name}"' for name in names) + ")" + parameters
    base = "\n".join([*lines, f'"@signature-params": {inner}'])
    mac = b64encode(hmac.digest(NEW, base.encode(), "sha256")).decode()
    return [
        *FIELDS,
        ("Signature-Input", f"{label}={signature_input}"),
        ("Signature", f"{label}=:{mac}:"),
    ]


QUOTED = " ".join(f'"{name}"' for name in PRODUCTION_COMPONENTS)
PARAMETERS = f';created={CREATED};expires={CREATED + 10};keyid="{KEY}";nonce="{NONCE}"'


# Reading the two headers, row by row of §3.2.


def test_both_headers_absent_is_unsigned() -> None:
    assert refusal(FIELDS) is Refusal.UNSIGNED


@pytest.mark.parametrize("name", ["Signature", "Signature-Input"])
def test_one_header_of_the_two_is_invalid(name: str) -> None:
    assert refusal(without(name)) is Refusal.INVALID


@pytest.mark.parametrize("name", ["Signature", "Signature-Input"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "sig1",
        "sig1=",
        "sig1=(",
        "=x",
        "SIG1=:AAAA:",
        "sig1=:AA:,",
        "sig1=é",
        "sig1=\u20ac",
        "sig1=@9999999999999999",
    ],
)
def test_what_is_no_dictionary_is_invalid(name: str, value: str) -> None:
    assert refusal(changed(name, lambda _: value)) is Refusal.INVALID


def test_a_label_without_its_signature_is_invalid_even_beside_a_good_one() -> None:
    two = changed("Signature-Input", lambda value: f"{value}, sig2=({QUOTED}){PARAMETERS}")
    assert refusal(two) is Refusal.INVALID


def test_the_label_is_the_senders_choice() -> None:
    assert isinstance(judge(signed(label="any*thing.else-1")), Accepted)


def test_of_two_complete_labels_the_first_counts() -> None:
    bad = ":" + b64encode(b"\0" * 32).decode() + ":"
    fields = changed("Signature-Input", lambda value: f"{value}, sig2=({QUOTED}){PARAMETERS}")
    fields = changed("Signature", lambda value: f"sig2={bad}, {value}", fields)
    assert isinstance(judge(fields), Accepted)
    swapped = changed("Signature-Input", lambda _: f"sig2=({QUOTED}){PARAMETERS}")
    swapped = changed("Signature", lambda value: f"sig2={bad}, {value}", swapped)
    assert refusal(swapped) is Refusal.MISMATCH


def test_more_than_two_labels_are_invalid() -> None:
    fields = changed("Signature", lambda value: f"{value}, a=:AAAA:, b=:AAAA:")
    assert refusal(fields) is Refusal.INVALID


@pytest.mark.parametrize("value", ['"text"', "7", "token", "?1", "(:AAAA:)", "1.5", "@7"])
def test_a_signature_that_is_no_byte_sequence_is_invalid(value: str) -> None:
    assert refusal(changed("Signature", lambda _: f"sig1={value}")) is Refusal.INVALID


@pytest.mark.parametrize(
    "value", ['"x"', "7", ":AAAA:", "?1", "token", "(7)", "(token)", "(:AAAA:)", "(?1)"]
)
def test_an_input_that_is_no_list_of_strings_is_invalid(value: str) -> None:
    fields = changed("Signature-Input", lambda _: f"sig1={value}{PARAMETERS}")
    assert refusal(fields) is Refusal.INVALID


@pytest.mark.parametrize("extra", [';tag="x"', ";foo", ";x=1"])
def test_an_unknown_parameter_is_invalid(extra: str) -> None:
    assert refusal(resigned(f"({QUOTED}){PARAMETERS}{extra}")) is Refusal.INVALID


@pytest.mark.parametrize("name", ["created", "expires"])
@pytest.mark.parametrize(
    "value",
    ['="1767225600"', "=-1", "=1767225600.0", "=token", "", "=?1", "=:AAAA:", "=@1767225600"],
)
def test_times_that_are_no_integers_are_invalid(name: str, value: str) -> None:
    head, _, rest = PARAMETERS.partition(f";{name}=")
    tail = rest[rest.index(";") :]
    assert refusal(resigned(f"({QUOTED}){head};{name}{value}{tail}")) is Refusal.INVALID


@pytest.mark.parametrize("name", ["keyid", "nonce", "alg"])
def test_texts_that_are_no_strings_are_invalid(name: str) -> None:
    parameters = f";created={CREATED};expires={CREATED + 10}"
    for other in {"keyid": KEY, "nonce": NONCE}:
        if other != name:
            parameters += f';{other}="{({"keyid": KEY, "nonce": NONCE})[other]}"'
    assert refusal(resigned(f"({QUOTED}){parameters};{name}=7")) is Refusal.INVALID


@pytest.mark.parametrize("name", PRODUCTION_COMPONENTS)
def test_a_component_listed_twice_is_invalid(name: str) -> None:
    assert refusal(resigned(f'({QUOTED} "{name}"){PARAMETERS}')) is Refusal.INVALID


@pytest.mark.parametrize("name", ["@signature-params", "@unknown", "@", "X-API-KEY", "", "a b"])
def test_components_that_do_not_exist_are_invalid(name: str) -> None:
    fields = changed("Signature-Input", lambda _: f'sig1=({QUOTED} "{name}"){PARAMETERS}')
    assert refusal(fields) is Refusal.INVALID


@pytest.mark.parametrize(
    "item",
    [
        '"@query-params";name="x"',
        '"@query-params"',
        '"host";sf',
        '"host";bs',
        '"host";req',
        '"@method"',
        '"@path"',
    ],
)
def test_components_that_we_do_not_support(item: str) -> None:
    expected = Refusal.INVALID if "name=" in item else Refusal.UNSUPPORTED
    fields = changed("Signature-Input", lambda _: f"sig1=({QUOTED} {item}){PARAMETERS}")
    assert refusal(fields) is expected


def test_a_covered_header_that_is_absent_is_a_failed_precondition() -> None:
    fields = changed("Signature-Input", lambda _: f'sig1=({QUOTED} "x-extra"){PARAMETERS}')
    assert refusal(fields) is Refusal.PRECONDITION
    assert refusal(without("Audiohook-Correlation-Id")) is Refusal.PRECONDITION
    assert refusal(without("Host")) is Refusal.PRECONDITION


@pytest.mark.parametrize("name", PRODUCTION_COMPONENTS)
def test_each_of_the_six_components_must_be_covered(name: str) -> None:
    rest = [other for other in PRODUCTION_COMPONENTS if other != name]
    assert refusal(signed(components=rest)) is Refusal.PRECONDITION


def test_more_components_than_the_six_may_be_covered() -> None:
    fields = [*FIELDS, ("User-Agent", "GenesysCloud-AudioHook-Client")]
    more = signed(fields, components=[*PRODUCTION_COMPONENTS, "user-agent", "host"])
    assert isinstance(judge(more), Accepted)
    assert refusal(changed("User-Agent", str.upper, more)) is Refusal.MISMATCH


@pytest.mark.parametrize("algorithm", ["hmac-sha512", "HMAC-SHA256", "", "rsa-pss-sha512"])
def test_another_algorithm_is_unsupported(algorithm: str) -> None:
    fields = resigned(f'({QUOTED}){PARAMETERS};alg="{algorithm}"')
    assert refusal(fields) is Refusal.UNSUPPORTED


def test_the_algorithm_may_be_left_out() -> None:
    assert isinstance(judge(resigned(f"({QUOTED}){PARAMETERS}")), Accepted)


def test_extra_spaces_are_accepted() -> None:
    def spread(value: str) -> str:
        return (
            value.replace('" "', '"   "').replace("(", "(  ").replace(")", " )").replace(";", ";  ")
        )

    assert isinstance(judge(changed("Signature-Input", spread)), Accepted)


def test_padding_around_a_covered_value_is_accepted() -> None:
    assert isinstance(judge(changed("X-API-KEY", lambda value: f" \t{value} \t")), Accepted)


def test_folded_lines_count_as_one_space() -> None:
    fields = [*FIELDS, ("X-Extra", "one two")]
    covered = signed(fields, components=[*PRODUCTION_COMPONENTS, "x-extra"])
    assert isinstance(judge(changed("X-Extra", lambda _: "one\r\n \t two", covered)), Accepted)


def test_several_lines_of_a_header_are_joined() -> None:
    fields = [*FIELDS, ("X-Extra", "one, two")]
    covered = signed(fields, components=[*PRODUCTION_COMPONENTS, "x-extra"])
    split = [*without("X-Extra", covered), ("X-Extra", "one"), ("x-extra", "two")]
    assert isinstance(judge(split), Accepted)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
def test_a_mac_of_the_wrong_length_is_invalid(size: int) -> None:
    mac = b64encode(b"\0" * size).decode()
    assert refusal(changed("Signature", lambda _: f"sig1=:{mac}:")) is Refusal.INVALID


def test_a_mac_has_one_spelling_only() -> None:
    def sloppy(value: str) -> str:
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        last = letters[letters.index(value[-3]) ^ 1]
        return f"{value[:-3]}{last}=:"

    assert refusal(changed("Signature", sloppy)) is Refusal.INVALID
    assert (
        refusal(changed("Signature", lambda value: value.replace("=:", ":", 2))) is Refusal.INVALID
    )


def test_headers_beyond_the_limits_are_invalid() -> None:
    padded = changed("Signature-Input", lambda value: value.replace("(", "(" + " " * 2048))
    assert refusal(padded) is Refusal.INVALID
    many = " ".join(f'"x-{number}"' for number in range(11))
    fields = changed("Signature-Input", lambda _: f"sig1=({QUOTED} {many}){PARAMETERS}")
    assert refusal(fields) is Refusal.INVALID


def test_two_host_headers_are_a_failed_precondition() -> None:
    assert refusal([*signed(), ("Host", HOST)]) is Refusal.PRECONDITION


def test_a_repeated_parameter_keeps_its_place_and_takes_the_last_value() -> None:
    doubled = PARAMETERS.replace(";created=", ";created=1;created=")
    right = changed(
        "Signature-Input",
        lambda _: f"sig1=({QUOTED}){doubled}",
        resigned(f"({QUOTED}){PARAMETERS}"),
    )
    assert isinstance(judge(right), Accepted)


# Values that would forge lines of the base.


@pytest.mark.parametrize("forged", ["a\rb", "a\0b"])
def test_a_value_with_a_control_character_is_invalid(forged: str) -> None:
    assert refusal(changed("Audiohook-Correlation-Id", lambda _: forged)) is Refusal.INVALID


def test_a_value_that_is_no_latin_1_is_invalid() -> None:
    assert refusal(changed("Audiohook-Correlation-Id", lambda _: "\u20ac")) is Refusal.INVALID


def test_a_target_with_a_line_break_is_invalid() -> None:
    assert refusal(signed(), target="/a\n/b") is Refusal.INVALID


# The authority.


def test_the_authority_is_taken_as_received_and_then_in_lower_case() -> None:
    mixed = "Gateway.Example.net"
    as_sent = [("Host", mixed), *FIELDS[1:]]
    for host in (mixed, mixed.lower()):
        assert isinstance(judge(signed(as_sent, host=host)), Accepted)
    assert refusal(signed(as_sent, host=mixed.upper())) is Refusal.MISMATCH


# Time, §3.5.


@pytest.mark.parametrize(
    ("created", "expires", "now", "expected"),
    [
        (100, 110, 97.0, None),
        (100, 110, 96.9, Refusal.FUTURE),
        (100, 110, 113.0, None),
        (100, 110, 113.1, Refusal.EXPIRED),
        (100, 105, 108.0, None),
        (100, 105, 108.1, Refusal.EXPIRED),
        (100, 999, 113.0, None),
        (100, 999, 113.1, Refusal.EXPIRED),
        (100, 100, 103.0, None),
        (100, 99, 100.0, Refusal.PRECONDITION),
        (None, 110, 100.0, Refusal.PRECONDITION),
        (100, None, 100.0, Refusal.PRECONDITION),
        (0, 0, 0.0, None),
    ],
)
def test_the_window(
    created: int | None, expires: int | None, now: float, expected: Refusal | None
) -> None:
    times = [("created", created), ("expires", expires)]
    parameters = [(name, value) for name, value in times if value is not None]
    fields = signed(parameters=(*parameters, ("keyid", KEY), ("nonce", NONCE)))
    verdict = judge(fields, now=now)
    assert (verdict.reason if isinstance(verdict, Refused) else None) is expected


def test_a_missing_expiry_can_be_allowed() -> None:
    fields = signed(parameters=(("created", CREATED), ("keyid", KEY), ("nonce", NONCE)))
    lenient = SignatureSettings(require_expires=False)
    verdict = judge(fields, settings=lenient)
    assert isinstance(verdict, Accepted)
    assert verdict.expires is None
    assert refusal(fields, settings=lenient, now=CREATED + 13.1) is Refusal.EXPIRED


def test_the_age_is_told_when_accepted_and_when_refused() -> None:
    accepted = judge(signed())
    assert isinstance(accepted, Accepted)
    assert accepted.age_seconds == 1.5
    refused = judge(signed(), now=CREATED + 100.0)
    assert refused == Refused(Refusal.EXPIRED, 100.0)


# Nonce and key id, §3.6, §3.7.


@pytest.mark.parametrize("nonce", ["", "x" * 21])
def test_a_short_nonce_is_a_failed_precondition(nonce: str) -> None:
    fields = signed(parameters=production_parameters(KEY, nonce, CREATED))
    assert refusal(fields) is Refusal.PRECONDITION


@pytest.mark.parametrize("name", ["keyid", "nonce"])
def test_key_id_and_nonce_are_demanded(name: str) -> None:
    rest = [item for item in production_parameters(KEY, NONCE, CREATED) if item[0] != name]
    assert refusal(signed(parameters=tuple(rest))) is Refusal.PRECONDITION


def test_a_nonce_of_22_characters_is_enough() -> None:
    fields = signed(parameters=production_parameters(KEY, "x" * 22, CREATED))
    assert isinstance(judge(fields), Accepted)


def test_a_key_id_other_than_the_key_is_refused() -> None:
    fields = signed(parameters=production_parameters("another", NONCE, CREATED))
    assert refusal(fields) is Refusal.KEY_ID


# The decision table, §3.7.

UNSIGNED_FIELDS = list(FIELDS)
STRANGER = KeyRing([], DUMMY)
NO_SECRET = KeyRing([credential()], DUMMY)
KEY_ALONE = KeyRing([credential(unsigned=True)], DUMMY)


@pytest.mark.parametrize(
    ("ring", "is_signed", "expected"),
    [
        (STRANGER, False, Refusal.UNKNOWN_KEY),
        (STRANGER, True, Refusal.UNKNOWN_KEY),
        (RING, False, Refusal.UNSIGNED),
        (RING, True, None),
        (NO_SECRET, False, Refusal.UNSIGNED),
        (NO_SECRET, True, Refusal.NO_SECRET),
        (KEY_ALONE, False, None),
        (KEY_ALONE, True, Refusal.NO_SECRET),
        (KeyRing([credential(NEW, unsigned=True)], DUMMY), False, Refusal.UNSIGNED),
        (KeyRing([credential(NEW, unsigned=True)], DUMMY), True, None),
        (KeyRing([credential(OLD)], DUMMY), True, Refusal.MISMATCH),
    ],
)
def test_the_decision_table(ring: KeyRing, is_signed: bool, expected: Refusal | None) -> None:
    verdict = judge(signed() if is_signed else UNSIGNED_FIELDS, ring=ring)
    assert (verdict.reason if isinstance(verdict, Refused) else None) is expected


def test_a_missing_key_is_refused() -> None:
    assert refusal(without("X-API-KEY", UNSIGNED_FIELDS)) is Refusal.NO_KEY
    assert refusal(without("X-API-KEY")) is Refusal.PRECONDITION


def test_signing_with_an_empty_or_the_dummy_secret_opens_nothing() -> None:
    for secret in (b"", DUMMY, b"\0" * 64):
        for ring in (STRANGER, RING, NO_SECRET, KEY_ALONE):
            assert isinstance(judge(signed(secret=secret), ring=ring), Refused)


def test_while_rotating_both_secrets_open_and_the_verdict_says_which() -> None:
    both = KeyRing([credential(OLD, NEW)], DUMMY)
    for number, secret in enumerate((OLD, NEW)):
        verdict = judge(signed(secret=secret), ring=both)
        assert isinstance(verdict, Accepted)
        assert verdict.secret_number == number
    assert refusal(signed(secret=OLD)) is Refusal.MISMATCH


@pytest.mark.parametrize(
    "ring", [STRANGER, NO_SECRET, RING, KeyRing([credential(OLD, NEW)], DUMMY)]
)
@pytest.mark.parametrize("secret", [OLD, NEW, b"wrong"])
def test_the_work_is_the_same_whatever_the_key(
    ring: KeyRing, secret: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    macs: list[int] = []
    compared: list[tuple[int, int]] = []

    class CountingHmac:
        @staticmethod
        def digest(key: bytes, base: bytes, name: str) -> bytes:
            macs.append(len(base))
            return hmac.digest(key, base, name)

        @staticmethod
        def compare_digest(left: bytes, right: bytes) -> bool:
            compared.append((len(left), len(right)))
            return hmac.compare_digest(left, right)

    monkeypatch.setattr(signature, "hmac", CountingHmac)
    judge(signed(secret=secret), ring=ring)
    assert len(macs) == 2
    assert len(compared) == 3
    assert all(left == right == 32 for left, right in compared)


# Organizations.


def test_a_key_can_be_bound_to_organizations() -> None:
    bound = KeyRing([credential(NEW, organizations=frozenset({ORGANIZATION}))], DUMMY)
    assert isinstance(judge(signed(), ring=bound), Accepted)
    shouted = changed("Audiohook-Organization-Id", str.upper, FIELDS)
    assert isinstance(judge(signed(shouted), ring=bound), Accepted)
    foreign = changed("Audiohook-Organization-Id", lambda _: "another", FIELDS)
    assert refusal(signed(foreign), ring=bound) is Refusal.ORGANIZATION
    alone = KeyRing([credential(unsigned=True, organizations=frozenset({"x"}))], DUMMY)
    assert refusal(UNSIGNED_FIELDS, ring=alone) is Refusal.ORGANIZATION


# Credentials that must not exist.


def test_faulty_credentials_are_configuration_errors() -> None:
    for make in (
        lambda: credential(b""),
        lambda: credential(OLD, b""),
        lambda: credential(b"1", b"2", b"3"),
        lambda: Credential(KeyName("k"), "", (NEW,)),
        lambda: KeyRing([credential(NEW), credential(OLD)], DUMMY),
        lambda: KeyRing([], b"short"),
    ):
        with pytest.raises(ConfigurationError):
            make()


def test_a_request_that_cannot_be_signed_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="x-api-key"):
        signed(FIELDS[:-1])
    with pytest.raises(ConfigurationError, match="line break"):
        signed([*FIELDS[:-1], ("X-API-KEY", "a\nb")])


def test_secrets_never_show_in_a_repr() -> None:
    shown = repr([credential(NEW), judge(signed()), SignedRequest(b"/", signed())])
    assert "new secret" not in shown
    assert KEY not in shown
    assert NONCE not in shown


# Whatever comes in.


@given(st.text(max_size=80), st.text(max_size=80), st.binary(max_size=40))
def test_any_headers_give_a_verdict(left: str, right: str, target: bytes) -> None:
    fields = [*FIELDS, ("Signature-Input", left), ("Signature", right)]
    assert isinstance(
        verify(SignedRequest(target, fields), RING, SignatureSettings(), NOW), Refused
    )


@given(st.data())
def test_changing_one_byte_of_anything_covered_refuses(data: st.DataObject) -> None:
    fields = signed()
    covered = [i for i, (name, _) in enumerate(fields) if name != "Host"]
    index = data.draw(st.sampled_from([*covered, -1]))
    text = TARGET if index == -1 else fields[index][1]
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.integers(33, 126).map(chr).filter(lambda c: c != text[at]))
    damaged = text[:at] + byte + text[at + 1 :]
    if index == -1:
        verdict = judge(fields, target=damaged)
    else:
        fields[index] = (fields[index][0], damaged)
        verdict = judge(fields)
    assert isinstance(verdict, Refused)


@given(st.integers(0, len(HOST) - 1), st.integers(33, 126).map(chr))
def test_changing_one_byte_of_the_host_refuses_unless_only_its_case(at: int, byte: str) -> None:
    damaged = HOST[:at] + byte + HOST[at + 1 :]
    verdict = judge(changed("Host", lambda _: damaged))
    assert isinstance(verdict, Accepted) == (damaged.lower() == HOST)


@given(st.lists(st.sampled_from(["X-API-KEY", "Host", "Audiohook-Session-Id"]), min_size=1))
def test_a_second_line_of_a_covered_header_refuses(names: list[str]) -> None:
    assert isinstance(judge([*signed(), *((name, "more") for name in names)]), Refused)
