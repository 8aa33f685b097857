"""Which digits are what: card numbers, phone numbers, national ids, bank accounts."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

__all__ = ["find_card", "has_luhn_check", "is_bank_account", "is_phone", "is_us_social_security"]


def has_luhn_check(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def find_card(digits: str, starts: Collection[int]) -> tuple[int, int] | None:
    """Where in `digits` a payment card number stands.

    Looked for only where a group begins (`starts`): in any long row of digits every tenth window
    has a right check digit. The longest at the earliest place wins.
    """
    for begin in sorted(starts):
        for issuer, lengths in _ISSUERS:
            if issuer.match(digits, begin):
                for length in lengths:
                    end = begin + length
                    if end <= len(digits) and has_luhn_check(digits[begin:end]):
                        return begin, end
    return None


def is_phone(digits: str) -> bool:
    """A number of the North American plan, with its 1 or without, or one with a country code."""
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    return _NORTH_AMERICAN.fullmatch(digits) is not None


def is_us_social_security(digits: str) -> bool:
    """Nine digits that the Social Security Administration can have given out."""
    return _SOCIAL_SECURITY.fullmatch(digits) is not None


def is_bank_account(text: str) -> int:
    """How many characters of `text`, from its first, are an IBAN (ISO 13616); 0: none are."""
    length = _IBAN_LENGTHS.get(text[:2], 0)
    account = text[:length]
    if not length or len(account) < length or not account[2:4].isdecimal():
        return 0
    turned = account[4:] + account[:4]
    return length if int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1 else 0


# First digits and lengths as ISO/IEC 7812 issuers publish them; the usual length first.
_ISSUERS: Final = tuple(
    (re.compile(pattern), lengths)
    for pattern, lengths in (
        ("3[47]", (15,)),  # American Express
        ("5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,)),  # Mastercard
        ("4", (16, 19, 13)),  # Visa
        ("6011|64[4-9]|65", (16, 19)),  # Discover
        ("3(?:0[0-5]|[689])", (14, 16)),  # Diners Club
        ("35(?:2[89]|[3-8])", (16, 19)),  # JCB
        ("62|81", (16, 17, 18, 19)),  # UnionPay
        ("5018|5020|5038|6304|6759|676[1-3]", (16, 18, 19, 17, 13)),  # Maestro
        ("220[0-4]", (16, 19)),  # Mir
        ("60|6521|508[1-9]", (16,)),  # RuPay
    )
)
_NORTH_AMERICAN: Final = re.compile(r"[2-9]\d\d[2-9]\d{6}")
_SOCIAL_SECURITY: Final = re.compile(r"(?!000|666|9)\d{3}(?!00)\d\d(?!0000)\d{4}")
_IBAN_LENGTHS: Final = {
    code[:2]: int(code[2:])
    for code in [
        "AD24",
        "AE23",
        "AT20",
        "BE16",
        "BG22",
        "CH21",
        "CY28",
        "CZ24",
        "DE22",
        "DK18",
        "EE20",
        "ES24",
        "FI18",
        "FR27",
        "GB22",
        "GR27",
        "HR21",
        "HU28",
        "IE22",
        "IL23",
        "IS26",
        "IT27",
        "LI21",
        "LT20",
        "LU20",
        "LV21",
        "MC27",
        "MT31",
        "NL18",
        "NO15",
        "PL28",
        "PT25",
        "RO24",
        "SA24",
        "SE24",
        "SI19",
        "SK24",
        "SM27",
        "TR26",
        "UA29",
    ]
}
