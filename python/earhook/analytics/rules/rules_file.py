"""Reads files of rules, with the faults of all of them at once."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from earhook.analytics.phrases import PhraseBook, PhraseError
from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ops.redaction import printable

from .language import (
    CALL,
    FIRST_WORDS,
    AllOfRule,
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
    broken: set[str] = set()
    for path in paths:
        found = _read(path)
        faults += found.faults
        broken |= found.broken
        rules += [(f"{path}: rules[{number}]", rule) for number, rule in found.rules]
    faults += _faults_together(rules, broken)
    for where, rule in rules:
        faults += _faults_of_rule(where, rule)
    if faults:
        raise ConfigurationError(faults)
    return tuple(rule for _, rule in rules if rule.enabled)


class _Found(NamedTuple):
    """What one file holds.

    Attributes:
        rules: Those that have the shape of one, with their places.
        broken: Ids of the others: what refers to them is no fault.
    """

    rules: Sequence[tuple[int, CallRule]] = ()
    broken: frozenset[str] = frozenset()
    faults: Sequence[ConfigurationFault] = ()


def _read(path: Path) -> _Found:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        remedy = "`earhook analyze --example-rules` writes one to start from"
        return _unreadable(path, "does not exist", remedy)
    except OSError as error:
        return _unreadable(path, f"cannot be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return _unreadable(path, f"is no TOML: {printable(str(error), 120)}")
    try:
        file = RuleFile.model_validate(table)
    except ValidationError as error:
        return _misshapen(path, table, error.errors(include_url=False))
    return _Found([(at, _in_language(rule, file.language)) for at, rule in enumerate(file.rules)])


def _misshapen(path: Path, table: dict[str, Any], found: list[ErrorDetails]) -> _Found:
    """The faults of a file, and those of its rules that have none of this kind."""
    faults: list[ErrorDetails] = []
    # A list whose items are bad is reported as too short as well.
    blamed = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
    for one in found:
        if one["loc"] not in blamed:
            faults.append(one)
        if one["type"] in _NO_KIND:
            faults += _faults_besides_kind(one)
    language = table.get("language")
    rules: list[tuple[int, CallRule]] = []
    broken: set[str] = set()
    written = table.get("rules")
    for at, rule in enumerate(written if isinstance(written, list) else ()):
        try:
            read = _RULE.validate_python(rule)
        except ValidationError:
            broken.add(str(rule.get("id")) if isinstance(rule, dict) else "")
        else:
            rules.append((at, _in_language(read, language if isinstance(language, str) else None)))
    told = [_shape_fault(path, one, table) for one in faults]
    return _Found(rules, frozenset(broken), told)


def _faults_besides_kind(details: ErrorDetails) -> list[ErrorDetails]:
    """What else is wrong with a rule of no known kind: as far as can be said without it."""
    rule = details["input"]
    if not isinstance(rule, dict):
        return []
    near = difflib.get_close_matches(str(rule.get("kind")), list(_SCHEMAS), n=1)
    kind = near[0] if near else next(iter(_SCHEMAS))
    try:
        _SCHEMAS[kind].model_validate({**rule, "kind": kind})
    except ValidationError as error:
        found = error.errors(include_url=False)
    else:
        return []
    if not near:  # only what every rule has
        known = {name for schema in _SCHEMAS.values() for name in schema.model_fields}
        found = [
            one
            for one in found
            if one["loc"][0] in {*Rule.model_fields} - {"kind"}
            or (one["type"] == "extra_forbidden" and one["loc"][0] not in known)
        ]
    return [{**one, "loc": (*details["loc"], kind, *one["loc"])} for one in found]


def _in_language(rule: CallRule, language: str | None) -> CallRule:
    """The rule, with the language that it is in."""
    return rule if rule.language else rule.model_copy(update={"language": language})


def _unreadable(path: Path, what: str, remedy: str = "") -> _Found:
    return _Found(faults=[ConfigurationFault(str(path), what, remedy)])


def _shape_fault(path: Path, details: ErrorDetails, table: dict[str, Any]) -> ConfigurationFault:
    """One finding of pydantic: where it is in the file, and what belongs there."""
    place = list(details["loc"])
    schema: type[RuleFile | Rule] = RuleFile
    if len(place) > 2 and place[0] == "rules":
        schema = _schema_of(str(place.pop(2)))  # pydantic names the kind here, the file does not
    where = f"{path}: {_dotted(place)}" + _called(place, table)
    kind = details["type"]
    if kind in _NO_KIND:
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
        least = details.get("ctx", {}).get("min_length", 1)
        what = f"wants {least} at least" if details["input"] else "is empty"
        return ConfigurationFault(where, what, remedy)
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


def _faults_together(
    rules: Sequence[tuple[str, CallRule]], broken: Collection[str]
) -> Iterator[ConfigurationFault]:
    """What is wrong between rules: ids, what counts from what, and what asks for what.

    Args:
        rules: All that could be read, and where they stand.
        broken: Ids of those that could not.
    """
    known: dict[str, CallRule] = {}
    for where, rule in rules:
        if rule.id in known or rule.id in (CALL, FIRST_WORDS):
            what = f"{rule.id!r} is there twice" if rule.id in known else f"{rule.id!r} is reserved"
            yield ConfigurationFault(f"{where}.id", what, "ids are unique over all files")
        known.setdefault(rule.id, rule)
    for where, rule in rules:
        for key, other in _references(rule):
            place = f"{where}.{key} ({rule.id})"
            if other in broken:
                continue
            if other not in known:
                words = [CALL, FIRST_WORDS] if key == "since" else []
                near = difflib.get_close_matches(other, [*known, *words], n=1)
                remedy = f"did you mean {near[0]!r}?" if near else ""
                yield ConfigurationFault(place, f"no rule is called {other!r}", remedy)
            elif not known[other].enabled and rule.enabled:
                yield ConfigurationFault(place, f"needs {other!r}, which is not enabled")
            elif _leads_to(other, rule.id, known):
                yield ConfigurationFault(place, "needs itself, in a ring")


def _references(rule: CallRule) -> Iterator[tuple[str, str]]:
    """The rules that a rule needs, with the key that says so."""
    if rule.since not in (CALL, FIRST_WORDS):
        yield "since", rule.since
    if isinstance(rule, AllOfRule):
        yield from (("rules", other) for other in rule.rules)


def _leads_to(start: str, goal: str, known: dict[str, CallRule]) -> bool:
    """Whether what a rule needs, or what that needs, and so on, is `goal`."""
    seen: set[str] = set()
    ahead = [start]
    while ahead:
        at = ahead.pop()
        if at == goal:
            return True
        if at in known and at not in seen:
            seen.add(at)
            ahead += [other for _, other in _references(known[at])]
    return False


def _faults_of_rule(where: str, rule: CallRule) -> Iterator[ConfigurationFault]:
    """What no type can say."""
    where = f"{where}.{{}} ({rule.id})"
    yield from _faults_of_window(where, rule)
    yield from _faults_of_action(where, rule)
    if isinstance(rule, SentimentRule) and (rule.below is None) == (rule.above is None):
        yield ConfigurationFault(where.format("below"), "give `below` or `above`, one of them")
    if isinstance(rule, AllOfRule):
        yield from _faults_of_all_of(where, rule)
    if isinstance(rule, TranscriptRule):
        for number, phrase in enumerate(rule.phrases):
            try:
                PhraseBook([(phrase, 0)])
            except PhraseError as error:
                yield ConfigurationFault(where.format(f"phrases[{number}]"), str(error))


def _faults_of_all_of(where: str, rule: AllOfRule) -> Iterator[ConfigurationFault]:
    if len(set(rule.rules)) < len(rule.rules):
        yield ConfigurationFault(where.format("rules"), "names a rule twice")
    if rule.negate:  # it would be a hit where only a part of it went unheard
        what = "cannot be said of several rules"
        yield ConfigurationFault(where.format("negate"), what, "negate the rules that it names")


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
_RULE: Final[TypeAdapter[CallRule]] = TypeAdapter(CallRule)
_NO_KIND: Final = frozenset({"union_tag_invalid", "union_tag_not_found"})
