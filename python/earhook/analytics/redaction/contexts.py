"""What is being asked for or given, told by the words around: then fewer digits say more."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from earhook.analytics.phrases import PhraseBook

__all__ = ["CONTEXTS", "CONTEXT_SECONDS", "Context"]

Context: TypeAlias = Literal["card", "security-code", "national-id", "secret", "account", "phone"]

CONTEXT_SECONDS: Final = 30
"""How long after such words digits are taken for what they name, whoever says them."""

_PHRASES: Final[dict[Context, tuple[str, ...]]] = {
    "card": (
        "[credit|debit|gift|payment|bank|visa|your|my|the|new] card*",
        "card number",
        "card ending",
        "[visa|mastercard|master card|amex|american express]",
        "[expir*|exp] date",
        "expir*",
        "valid [thru|through|until]",
    ),
    "security-code": (
        "[cvv|cvc|cvv2|csc|cbv]",
        "[c|see|sea] v [v|b|c|we]",
        "security [code|number|digits]",
        "verification [code|number|value]",
        "[three|four|3|4] digit* [code|number]?",
        "[code|number|digits] on the [back|front]",
    ),
    "national-id": (
        "social security",
        "[your|my|his|her|the|full] social",
        "ssn",
        "s s n",
        "national insurance",
        "[tax|taxpayer] [id|identification]",
        "[itin|passport|driver s license|drivers license|driver's license|medicare|medicaid]",
        "date of birth",
        "[birthday|birth date|birthdate|d o b|dob]",
        "[was|were] born",
    ),
    "secret": (
        "[pin|pass code|passcode|password|pin code|access code|one time code|one time password]",
        "[confirmation|authentication|authorization] code",
        "security question",
    ),
    "account": (
        "account number",
        "[routing|aba] number",
        "sort code",
        "[iban|swift]",
        "[member|policy|patient|customer] [id|number]",
    ),
    "phone": (
        "[phone|cell|mobile|telephone|callback|call back] number",
        "[reach|call] [me|you|him|her|us] [back]? [at|on]",
        "[best|good] number",
    ),
}

CONTEXTS: Final[PhraseBook[Context]] = PhraseBook(
    (phrase, context) for context, phrases in _PHRASES.items() for phrase in phrases
)
