"""Reads files of rules, with the faults of all of them at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from earhook.analytics.phrases import PhraseBook, PhraseError
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import printable

from .language import (
    CALL,
    FIRST_WORDS,
    CallRule,
    Rule,
    RuleFile,
    SentimentRule,
    SpeakerRule,
    TranscriptRule,
)

__all__ = ["example_rules", "read_rules"]


def example_rules() -> Path:
    """The rules for a contact centre in the United States that come with Earhook."""
    return Path(str(files(__package__) / "us-contact-centre.toml"))


def read_rules(paths: Iterable[Path]) -> tuple[CallRule, ...]:
    """The rules of all files, in order, disabled ones left out.

    Raises:
        ConfigurationError: With every fault of every file.
    """
    faults: list[ConfigurationFault] = []
    rules: list[tuple[str, CallRule]] = []
    for path in paths:
        try:
            found = _rules_in(_read(path))
        except ConfigurationError as error:
            faults += error.faults
            continue
        rules += [(f"{path}: rules[{number}]", rule) for number, rule in enumerate(found)]
    faults += _faults_together(rules)
    for where, rule in rules:
        faults += _faults_of_rule(where, rule)
    if faults:
        raise ConfigurationError(faults)
    return tuple(rule for _, rule in rules if rule.enabled)


def _read(path: Path) -> RuleFile:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "`earhook analyze --example-rules` writes one to start from"
        raise _broken(path, "does not exist", remedy) from None
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _broken(path, f"is no TOML: {printable(str(error), 120)}") from None
    try:
        return RuleFile.model_validate(table)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list whose items are bad is reported as too short as well.
        blamed = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
        faults = [_shape_fault(path, one, table) for one in found if one["loc"] not in blamed]
        raise ConfigurationError(faults) from None


def _rules_in(file: RuleFile) -> list[CallRule]:
    """Its rules, each with the language that it is in."""
    return [
        rule if rule.language else rule.model_copy(update={"language": file.language})
        for rule in file.rules
    ]


def _broken(path: Path, what: str, remedy: str = "") -> ConfigurationError:
    return ConfigurationError.of(str(path), what, remedy)


def _shape_fault(path: Path, details: ErrorDetails, table: dict[str, Any]) -> ConfigurationFault:
    """One finding of pydantic: where it is in the file, and what belongs there."""
    place = list(details["loc"])
    schema: type[RuleFile | Rule] = RuleFile
    if len(place) > 2 and place[0] == "rules":
        schema = _schema_of(str(place.pop(2)))  # pydantic names the kind here, the file does not
    where = f"{path}: {_dotted(place)}" + _called(place, table)
    kind = details["type"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_kind(where, details)
    key = str(place[-1]) if place else ""
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(key, schema.model_fields, n=1)
        known = f"known here: {', '.join(schema.model_fields)}"
        remedy = f"did you mean {near[0]!r}?" if near else known
        return ConfigurationFault(where, "unknown key", remedy)
    named = [one for one in place if isinstance(one, str)]
    described = schema.model_fields.get(named[-1]) if named else None
    remedy = (described.description or "").split(". ")[0].rstrip(".") if described else ""
    if kind == "missing":
        return ConfigurationFault(where, "is missing", remedy)
    if kind == "too_short":
        return ConfigurationFault(where, "is empty", remedy)
    what = "is malformed" if kind == "string_pattern_mismatch" else details["msg"]
    what = what.replace("Input should be", "must be").replace("String should have", "must have")
    value = details["input"]
    shown = f", not {printable(repr(value), 64)}" if isinstance(value, str | int | float) else ""
    return ConfigurationFault(where, what + shown, remedy)


def _wrong_kind(where: str, details: ErrorDetails) -> ConfigurationFault:
    kinds = list(_SCHEMAS)
    tag = details.get("ctx", {}).get("tag")
    if tag is None:
        return ConfigurationFault(where, "kind is missing", f"one of {', '.join(kinds)}")
    near = difflib.get_close_matches(str(tag), kinds, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(kinds)}"
    return ConfigurationFault(where, f"unknown kind {printable(repr(tag), 64)}", remedy)


def _dotted(place: Sequence[str | int]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{printable(part, 64)}"
    return text.lstrip(".")


def _called(place: Sequence[str | int], table: dict[str, Any]) -> str:
    """The id of the rule that a place is in, for people who do not count tables."""
    if len(place) < 2 or place[0] != "rules" or not isinstance(place[1], int):
        return ""
    rule = table["rules"][place[1]]
    name = rule.get("id") if isinstance(rule, dict) else None
    return f" ({printable(name, 64)})" if isinstance(name, str) and place[2:] != ["id"] else ""


def _faults_together(rules: Sequence[tuple[str, CallRule]]) -> Iterator[ConfigurationFault]:
    """What is wrong between rules: ids and what counts from what."""
    known: dict[str, CallRule] = {}
    for where, rule in rules:
        if rule.id in known or rule.id in (CALL, FIRST_WORDS):
            what = f"{rule.id!r} is there twice" if rule.id in known else f"{rule.id!r} is reserved"
            yield ConfigurationFault(f"{where}.id", what, "ids are unique over all files")
        known.setdefault(rule.id, rule)
    for where, rule in rules:
        if rule.since in (CALL, FIRST_WORDS):
            continue
        if rule.since not in known:
            near = difflib.get_close_matches(rule.since, [*known, CALL, FIRST_WORDS], n=1)
            remedy = f"did you mean {near[0]!r}?" if near else ""
            what = f"no rule is called {rule.since!r}"
            yield ConfigurationFault(f"{where}.since ({rule.id})", what, remedy)
        elif not known[rule.since].enabled:
            what = f"counts from {rule.since!r}, which is not enabled"
            yield ConfigurationFault(f"{where}.since ({rule.id})", what)
        elif _goes_round(rule, known):
            yield ConfigurationFault(f"{where}.since ({rule.id})", "counts from itself, in a ring")


def _goes_round(rule: CallRule, known: dict[str, CallRule]) -> bool:
    seen: set[str] = set()
    at: CallRule | None = rule
    while at is not None and at.id not in seen:
        seen.add(at.id)
        at = known.get(at.since)
    return at is not None and at.id == rule.id


def _faults_of_rule(where: str, rule: CallRule) -> Iterator[ConfigurationFault]:
    """What no type can say."""
    where = f"{where}.{{}} ({rule.id})"
    yield from _faults_of_window(where, rule)
    yield from _faults_of_action(where, rule)
    if isinstance(rule, SentimentRule) and (rule.below is None) == (rule.above is None):
        yield ConfigurationFault(where.format("below"), "give `below` or `above`, one of them")
    if isinstance(rule, TranscriptRule):
        for number, phrase in enumerate(rule.phrases):
            try:
                PhraseBook([(phrase, 0)])
            except PhraseError as error:
                yield ConfigurationFault(where.format(f"phrases[{number}]"), str(error))


def _faults_of_window(where: str, rule: CallRule) -> Iterator[ConfigurationFault]:
    timed = [rule.first_seconds, rule.start_seconds, rule.end_seconds]
    if rule.last_seconds is not None and (rule.since != CALL or any(timed)):
        what = "the last seconds stand alone"
        yield ConfigurationFault(where.format("last_seconds"), what, "leave out the other times")
    if rule.first_seconds is not None and rule.end_seconds is not None:
        what = "the window ends twice"
        yield ConfigurationFault(where.format("end_seconds"), what, "or `first_seconds`, not both")
    elif rule.end_seconds is not None and rule.end_seconds <= (rule.start_seconds or 0):
        yield ConfigurationFault(where.format("end_seconds"), "ends before it begins")
    if rule.since == FIRST_WORDS and not isinstance(rule, SpeakerRule):
        what = f"a rule of kind {rule.kind!r} is about nobody's words"
        yield ConfigurationFault(where.format("since"), what)


def _faults_of_action(where: str, rule: CallRule) -> Iterator[ConfigurationFault]:
    if rule.negate and rule.repeat:
        what = "what does not happen does so once"
        yield ConfigurationFault(where.format("repeat"), what, "leave it out")
    has_end = rule.first_seconds is not None or rule.end_seconds is not None
    if rule.action and (rule.last_seconds is not None or (rule.negate and not has_end)):
        what = "is known only when the call is over, too late to pause it"
        yield ConfigurationFault(where.format("action"), what, "leave it out")
    if rule.pause_seconds is not None and rule.action != "pause":
        what = "says how long to pause, and nothing pauses"
        yield ConfigurationFault(where.format("pause_seconds"), what, 'add action = "pause"')


def _schema_of(kind: str) -> type[Rule]:
    return _SCHEMAS.get(kind, Rule)


_SCHEMAS: dict[str, type[Rule]] = {
    get_args(schema.model_fields["kind"].annotation)[0]: schema
    for schema in get_args(get_args(CallRule)[0])
}
