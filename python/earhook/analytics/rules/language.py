"""What a file of rules may hold. The reference page is made from these classes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from earhook.settings import Settings

__all__ = [
    "AllOfRule",
    "CallRule",
    "DeadAirRule",
    "DtmfRule",
    "InterruptionRule",
    "PersonalRule",
    "Rule",
    "RuleFile",
    "SentimentRule",
    "Severity",
    "TalkOverRule",
    "TranscriptRule",
    "Who",
]

Severity: TypeAlias = Literal["info", "warning", "critical"]
Who: TypeAlias = Literal["agent", "customer", "either"]

CALL = "call"
FIRST_WORDS = "first-words"


class Rule(Settings):
    """What every rule has, whatever it is about."""

    id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="Names the rule in hits: small letters, digits and `-`. Unique.",
    )
    name: str = Field(min_length=1, max_length=120, description="What a hit is called, for people.")
    severity: Severity = Field(
        default="warning", description="How bad a hit is: `info`, `warning` or `critical`."
    )
    language: str | None = Field(
        default=None,
        max_length=35,
        description="Only in calls of this language, such as `en` or `es-US`. Left out: that of "
        "the file; without one, any.",
    )
    enabled: bool = Field(default=True, description="Whether it is looked at.")
    negate: bool = Field(
        default=False,
        description="True: it is a hit when this does *not* happen in the window; known when the "
        "window is over.",
    )
    threshold: int = Field(
        default=1, ge=1, le=100, description="How often it must happen in the window to count."
    )
    repeat: bool = Field(
        default=False,
        description="Whether there is a hit each time the threshold is reached, or one per call.",
    )
    since: str = Field(
        default=CALL,
        description="What the window counts from: `call`, its start; `first-words`, the first that "
        "`who` says; or the id of another rule, its first hit.",
    )
    first_seconds: float | None = Field(
        default=None, gt=0, description="The window: so long from its beginning."
    )
    last_seconds: float | None = Field(
        default=None, gt=0, description="The window: so long before the end of the call."
    )
    start_seconds: float | None = Field(
        default=None, ge=0, description="The window begins so long after `since`."
    )
    end_seconds: float | None = Field(
        default=None, gt=0, description="The window ends so long after `since`."
    )
    action: Literal["pause"] | None = Field(
        default=None,
        description="`pause`: a hit pauses the call's audio, and with it every recording. Left "
        "out: nothing is done.",
    )
    pause_seconds: float | None = Field(
        default=None,
        ge=1,
        le=3600,
        description="Resumes so long after the hit. Left out: the call stays paused until somebody "
        "else resumes it.",
    )


class SpeakerRule(Rule):
    """What rules about a speaker have besides."""

    who: Who = Field(
        default="either", description="Who it is about: `agent`, `customer` or `either`."
    )


class TranscriptRule(SpeakerRule):
    """A phrase is said; with `negate`, it is not."""

    kind: Literal["transcript"]
    phrases: tuple[Annotated[str, Field(max_length=200)], ...] = Field(
        min_length=1, max_length=200, description="Any of these; see *Phrases*."
    )


class DeadAirRule(Rule):
    """Nobody speaks. Seen from what the gateway calls dead air (`[signal] dead_air_seconds`) on."""

    kind: Literal["dead-air"]
    seconds: float = Field(default=5.0, gt=0, description="For so long.")


class TalkOverRule(Rule):
    """Both speak at once."""

    kind: Literal["talk-over"]
    seconds: float = Field(default=1.0, ge=0, description="For so long.")


class InterruptionRule(SpeakerRule):
    """`who` comes in while the other speaks, and the other falls silent."""

    kind: Literal["interruption"]
    seconds: float = Field(default=0.0, ge=0, description="Both were heard for so long.")


class SentimentRule(SpeakerRule):
    """What is said sounds bad, or good. Scores go from -1 to 1."""

    kind: Literal["sentiment"]
    of: Literal["segment", "rolling"] = Field(
        default="rolling",
        description="`rolling`: the curve of a speaker crosses the line; `segment`: each segment "
        "beyond it counts.",
    )
    below: float | None = Field(default=None, ge=-1, le=1, description="A score below this.")
    above: float | None = Field(default=None, ge=-1, le=1, description="A score above this.")


class PersonalRule(SpeakerRule):
    """Something is said that redaction recognises."""

    kind: Literal["personal"]
    of: tuple[
        Literal["card", "security-code", "national-id", "phone", "email", "bank-account"], ...
    ] = Field(min_length=1, description="Any of these.")


class DtmfRule(SpeakerRule):
    """Keys are pressed: as many as `digits`, with no more than ten seconds between two."""

    kind: Literal["dtmf"]
    digits: int = Field(default=1, ge=1, le=64, description="So many keys.")
    during: Literal["recorded", "paused", "any"] = Field(
        default="recorded",
        description="`recorded`: while the call is not paused, as card numbers must not be; "
        "`paused`; or `any`.",
    )


class AllOfRule(Rule):
    """Each of some other rules has had a hit: *and* between them. They are told as well.

    The hit begins where the earliest of theirs does, and is known when the last is. With `repeat`,
    the next one wants a new hit of each. It cannot be negated; a rule that it names can.
    """

    kind: Literal["all-of"]
    rules: tuple[str, ...] = Field(
        min_length=2, max_length=5, description="Their ids, in whatever order they are hit."
    )
    within_seconds: float | None = Field(
        default=None,
        gt=0,
        description="Only if no more than this lies between the ends of their hits. Left out: it "
        "does not matter.",
    )


CallRule: TypeAlias = Annotated[
    TranscriptRule
    | DeadAirRule
    | TalkOverRule
    | InterruptionRule
    | SentimentRule
    | PersonalRule
    | DtmfRule
    | AllOfRule,
    Field(discriminator="kind"),
]


class RuleFile(Settings):
    """A file of rules."""

    name: str = Field(default="", max_length=120, description="What the set is called, for people.")
    language: str | None = Field(
        default=None, max_length=35, description="What its phrases are in, such as `en`."
    )
    rules: tuple[CallRule, ...] = Field(
        min_length=1, max_length=500, description="One `[[rules]]` table each."
    )
