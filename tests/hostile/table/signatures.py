"""Family S: requests that are signed, and wrong (AudioHook protocol §3).

A row says what is done to a request in order; `signed_request` makes it, for both doors. What
comes back is 401, whatever is wrong: the reason is nobody's business.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from earhook.protocol.signing import (
    PRODUCTION_COMPONENTS,
    RequestToSign,
    production_parameters,
    sign,
)

from .cases import ORGANIZATION_ID, SESSION_ID

API_KEY = "table-key-with-a-secret"
OTHER_KEY = "table-key-with-another-secret"
SECRET, OTHER_SECRET = b"the secret of the tables" * 2, b"another secret of the tables"
HOST = "gateway.example"
NONCES = (f"nonce-of-the-tables-{number:08}" for number in range(10**8))

Headers = list[tuple[str, str]]


@dataclass
class Signing:
    """A request about to be signed; a row changes it before, or its headers behind."""

    target: str
    now: int
    created: int = 0
    keyid: str = API_KEY
    api_key: str = API_KEY
    secret: bytes = SECRET
    nonce: str = field(default_factory=lambda: next(NONCES))
    components: tuple[str, ...] = PRODUCTION_COMPONENTS
    label: str = "sig1"
    parameters: Any = None
    after: Callable[[Headers], Headers] = lambda headers: headers

    def headers(self) -> Headers:
        """The headers of the request, Host among them."""
        fields = [
            ("Host", HOST),
            ("Audiohook-Organization-Id", ORGANIZATION_ID),
            ("Audiohook-Session-Id", SESSION_ID),
            ("Audiohook-Correlation-Id", SESSION_ID),
            ("X-API-KEY", self.api_key),
        ]
        written = self.parameters or production_parameters(
            self.keyid, self.nonce, self.now + self.created
        )
        signature = sign(
            RequestToSign(self.target, HOST, fields),
            self.secret,
            written(self) if callable(written) else written,
            components=self.components,
            label=self.label,
        )
        return self.after([*fields, *signature])


def without(name: str) -> Callable[[Headers], Headers]:
    """Leave a header out."""
    return lambda headers: [row for row in headers if row[0] != name]


def replaced(name: str, change: Callable[[str], str]) -> Callable[[Headers], Headers]:
    """Change the value of a header."""
    return lambda headers: [(n, change(v) if n == name else v) for n, v in headers]


def swapped(name: str, old: str, new: str) -> Callable[[Headers], Headers]:
    """Replace a part of a header."""
    return replaced(name, lambda value: value.replace(old, new))


def lasting(seconds: int) -> Callable[[Signing], Any]:
    """Parameters of a signature that expires so long after it was made."""

    def written(signing: Signing) -> Any:
        created = signing.now + signing.created
        return (
            ("created", created),
            ("expires", created + seconds),
            ("keyid", signing.keyid),
            ("nonce", signing.nonce),
            ("alg", "hmac-sha256"),
        )

    return written


def lacking(*names: str) -> Callable[[Signing], Any]:
    """Parameters without some of them."""
    return lambda signing: tuple(row for row in lasting(10)(signing) if row[0] not in names)


def holding(name: str, value: Any) -> Callable[[Signing], Any]:
    """Parameters with another value."""
    return lambda signing: tuple((n, value if n == name else v) for n, v in lasting(10)(signing))


def uncovered(name: str) -> tuple[str, ...]:
    """The components without one of them."""
    return tuple(component for component in PRODUCTION_COMPONENTS if component != name)


INPUT, MAC = "Signature-Input", "Signature"
ROWS: dict[str, dict[str, Any]] = {
    "no key": {"after": without("X-API-KEY")},
    "no signature at all": {"after": lambda headers: headers[:5]},
    "an unknown key": {"api_key": "nobody", "keyid": "nobody"},
    "an empty key": {"after": replaced("X-API-KEY", lambda _: "")},
    "a key of 4,000 letters": {"api_key": "k" * 4000, "keyid": "k" * 1000},
    "a key in other letters": {"api_key": API_KEY.upper(), "keyid": API_KEY.upper()},
    "another key's secret": {"secret": OTHER_SECRET},
    "an empty secret": {"secret": b""},
    "the key as the secret": {"secret": API_KEY.encode()},
    "the secret in base64": {"secret": b64encode(SECRET)},
    "a key id of another key": {"keyid": OTHER_KEY},
    "the header of another key": {"after": replaced("X-API-KEY", lambda _: OTHER_KEY)},
    "input without signature": {"after": without(MAC)},
    "signature without input": {"after": without(INPUT)},
    "empty input": {"after": replaced(INPUT, lambda _: "")},
    "empty signature": {"after": replaced(MAC, lambda _: "")},
    "a signature of nothing": {"after": replaced(MAC, lambda _: "sig1=::")},
    "a signature of zeros": {
        "after": replaced(MAC, lambda _: f"sig1=:{b64encode(bytes(32)).decode()}:")
    },
    "a signature of 31 bytes": {
        "after": replaced(MAC, lambda _: f"sig1=:{b64encode(bytes(31)).decode()}:")
    },
    "a signature of another algorithm": {
        "after": replaced(
            MAC, lambda _: f"sig1=:{b64encode(hmac.digest(SECRET, b'', 'sha512')).decode()}:"
        )
    },
    "a signature without colons": {"after": swapped(MAC, ":", "")},
    "a signature under another label": {"after": swapped(MAC, "sig1", "sig2")},
    "a second label without signature": {
        "after": replaced(INPUT, lambda value: f"{value}, sig2=()")
    },
    "three labels": {
        "after": lambda headers: replaced(INPUT, lambda v: f"{v}, b=(), c=()")(
            replaced(MAC, lambda v: f"{v}, b=:AA==:, c=:AA==:")(headers)
        )
    },
    "input that is no structured field": {"after": replaced(INPUT, lambda _: "sig1=(")},
    "input of 4,000 letters": {"after": replaced(INPUT, lambda v: f'{v};x="{"a" * 4000}"')},
    "input that is a number": {"after": replaced(INPUT, lambda _: "sig1=1")},
    "input that is not ASCII": {"after": replaced(INPUT, lambda v: v + "ü")},
    "an unknown parameter": {"after": replaced(INPUT, lambda value: f"{value};admin")},
    "a flag on a component": {"after": swapped(INPUT, '"x-api-key"', '"x-api-key";req')},
    "a component twice": {
        "after": swapped(INPUT, '("@request-target"', '("@authority" "@request-target"')
    },
    "a component of no name": {
        "after": swapped(INPUT, '("@request-target"', '("a b" "@request-target"')
    },
    "a header that is not there": {
        "after": swapped(INPUT, '("@request-target"', '("x-missing" "@request-target"')
    },
    "seventeen components": {
        "after": swapped(INPUT, "(", "(" + " ".join(f'"x-{n}"' for n in range(12)) + " ")
    },
    **{f"{name} is not covered": {"components": uncovered(name)} for name in PRODUCTION_COMPONENTS},
    "made long ago": {"created": -3600},
    "made 21 seconds ago": {"created": -21},
    "made in the future": {"created": 3600},
    "made 16 seconds from now": {"created": 16},
    "expires before it is made": {"parameters": lasting(-1)},
    "made and expired long ago": {"created": -600, "parameters": lasting(10)},
    "valid for a year, made yesterday": {"created": -86_400, "parameters": lasting(31_536_000)},
    "no time": {"parameters": lacking("created", "expires")},
    "no nonce": {"parameters": lacking("nonce")},
    "no key id": {"parameters": lacking("keyid")},
    "a short nonce": {"nonce": "short"},
    "another algorithm": {"parameters": holding("alg", "hmac-sha1")},
    "no algorithm": {"parameters": holding("alg", "none")},
    "a time below zero": {"parameters": holding("created", -1)},
    "a time as a text": {"parameters": holding("created", "now")},
    "another organization": {
        "after": replaced("Audiohook-Organization-Id", lambda _: SESSION_ID),
    },
    "another session": {"after": replaced("Audiohook-Session-Id", lambda _: ORGANIZATION_ID)},
    "another host": {"after": replaced("Host", lambda _: "other.example")},
    "another correlation": {
        "after": replaced("Audiohook-Correlation-Id", lambda _: ORGANIZATION_ID)
    },
}


def signed_request(line: str, target: str, more: Headers, now: int, row: dict[str, Any]) -> bytes:
    """The bytes of a request of that line, with what the row has done to it.

    Args:
        line: The method, such as `GET`.
        target: The target that is signed and sent, unless the row has its own.
        more: Headers that the door asks for.
        now: The time.
        row: See `ROWS`.
    """
    headers = Signing(target, now, **row).headers()
    text = f"{line} {target} HTTP/1.1\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in [*headers, *more])
    return (text + "\r\n").encode("latin-1")
