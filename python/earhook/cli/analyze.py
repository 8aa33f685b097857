"""`earhook analyze`: what calls say, as they say it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from earhook.errors import ConfigurationError

from .consuming import (
    CallOption,
    CallsOption,
    CertificateOption,
    ChannelChoice,
    ConversationOption,
    KeyOption,
    TokenOption,
    channels_of,
)
from .dialling import CafileOption
from .exit_codes import INTERRUPTED

if TYPE_CHECKING:
    from earhook.analytics.analysis import AnalystSettings
    from earhook.analytics.plan import AnalysisPlan

app = typer.Typer(add_completion=False)


AddressOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="ADDRESS",
        help="unix:/path, tcp:host:port or tls:host:port of a pcm-stream sink.",
        show_default=False,
    ),
]
EngineOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="pocketsphinx, vosk, deepgram, wyoming, or one of yours."),
]
EngineAddressOption = Annotated[
    str, typer.Option("--engine-address", metavar="URL", help="Where the engine's service is.")
]
EngineTokenOption = Annotated[
    str | None,
    typer.Option(
        "--engine-token",
        envvar="EARHOOK_ENGINE_TOKEN",
        help="What the engine's service asks for.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which of the engine's models.")
]
ExtraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-option", metavar="NAME=VALUE", help="Whatever else it knows; repeatable."
    ),
]
LanguageOption = Annotated[
    str | None,
    typer.Option(metavar="TAG", help="Of calls whose peer names none, such as en-US."),
]
ProcessesOption = Annotated[
    int, typer.Option(min=1, max=1024, help="How many processes divide the calls.")
]
RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="Rules in TOML; repeatable."),
]
LexiconOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Words and how they feel, over ours; TOML.")
]
SentimentOption = Annotated[bool, typer.Option(help="Score how speakers feel.")]
InterimOption = Annotated[
    bool, typer.Option("--interim/--final", help="Readings that may still change, too.")
]
ChannelOption = Annotated[ChannelChoice, typer.Option(help="The customer, the agent, or both.")]
StartOption = Annotated[
    Literal["start", "now"], typer.Option(help="Where to begin in calls that run already.")
]
PatienceOption = Annotated[
    float | None,
    typer.Option(min=0.0, metavar="SECONDS", help="Give up after so long unconnected."),
]
StuckOption = Annotated[
    float,
    typer.Option(
        min=1.0,
        max=3600.0,
        metavar="SECONDS",
        help="Replace a process whose engine takes no audio for so long.",
    ),
]
ToGatewayOption = Annotated[
    bool,
    typer.Option(
        "--to-gateway/--local",
        help="Hand results back to the gateway, for its console and its other consumers.",
    ),
]
TranscriptsOption = Annotated[
    Literal["auto", "always", "never"],
    typer.Option(help="To Genesys: of calls of a Transcription Connector, of all, of none."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON lines, not text.")]
CheckOption = Annotated[
    list[Path] | None,
    typer.Option("--check-rules", metavar="FILE", help="Say what is wrong with rules, and end."),
]
ExampleOption = Annotated[
    bool, typer.Option("--example-rules", help="Print a file of rules to start from, and end.")
]
TranscriptOption = Annotated[
    Path | None,
    typer.Option(
        "--transcript", metavar="FILE", help="Analyse segments in JSON lines instead of calls."
    ),
]


@app.command()
def analyze(  # noqa: PLR0913, PLR0917 - a command's options
    address: AddressOption = None,
    engine: EngineOption = "pocketsphinx",
    engine_address: EngineAddressOption = "",
    engine_token: EngineTokenOption = None,
    model: ModelOption = None,
    engine_option: ExtraOption = None,
    language: LanguageOption = None,
    processes: ProcessesOption = 1,
    rules: RulesOption = None,
    lexicon: LexiconOption = None,
    sentiment: SentimentOption = True,
    interim: InterimOption = True,
    channel: ChannelOption = "both",
    conversation: ConversationOption = None,
    call: CallOption = None,
    key: KeyOption = None,
    start: StartOption = "start",
    calls: CallsOption = None,
    patience: PatienceOption = None,
    stuck_after: StuckOption = 30.0,
    token: TokenOption = None,
    cafile: CafileOption = None,
    certificate: CertificateOption = None,
    to_gateway: ToGatewayOption = True,
    transcripts: TranscriptsOption = "auto",
    as_json: JsonOption = False,
    check_rules: CheckOption = None,
    example_rules: ExampleOption = False,
    transcript: TranscriptOption = None,
) -> None:
    """Transcribe calls, score how speakers feel, and hold rules to what is said.

    In processes of its own, as a consumer of the gateway's PCM stream. What it finds goes to
    standard output and back to the gateway; card numbers and the like are out of it before.

      earhook analyze --from unix:/run/earhook/pcm.sock --rules rules.toml

      earhook analyze --from tcp:127.0.0.1:9300 --engine vosk --engine-address ws://127.0.0.1:2700

    PocketSphinx, the engine that needs no service, is for trying out: of a person's words on the
    telephone it misses most, and it knows US English only.
    """
    asked = _Asked(**locals())
    if example_rules or check_rules or transcript is not None:
        _work_offline(asked)
        return
    raise typer.Exit(_run(_plan(asked), calls, as_json=as_json))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options of the command, by their names there."""

    address: str | None
    engine: str
    engine_address: str
    engine_token: str | None
    model: str | None
    engine_option: list[str] | None
    language: str | None
    processes: int
    rules: list[Path] | None
    lexicon: Path | None
    sentiment: bool
    interim: bool
    channel: ChannelChoice
    conversation: list[str] | None
    call: list[str] | None
    key: list[str] | None
    start: Literal["start", "now"]
    calls: int | None
    patience: float | None
    stuck_after: float
    token: str | None
    cafile: Path | None
    certificate: Path | None
    to_gateway: bool
    transcripts: Literal["auto", "always", "never"]
    as_json: bool
    check_rules: list[Path] | None
    example_rules: bool
    transcript: Path | None


def _work_offline(asked: _Asked) -> None:
    from earhook.analytics.analysis import Analyst

    from . import analyze_offline as offline

    if asked.example_rules:
        offline.print_example_rules()
    elif asked.check_rules:
        offline.check_rules(asked.check_rules, as_json=asked.as_json)
    elif asked.transcript is not None:
        analyst = Analyst.of(_analyst(asked))
        offline.run_transcript(analyst, asked.transcript, as_json=asked.as_json)


def _plan(asked: _Asked) -> AnalysisPlan:
    from earhook.analytics.engine import EngineOptions
    from earhook.analytics.hearing import HearingSettings
    from earhook.analytics.plan import AnalysisPlan, Door

    if asked.address is None:
        raise ConfigurationError.of("--from", "is missing: which calls are to be heard", _REMEDY)
    door = Door(
        address=asked.address,
        token=asked.token,
        cafile=None if asked.cafile is None else str(asked.cafile),
        certificate=None if asked.certificate is None else str(asked.certificate),
        start=asked.start,
        patience_seconds=asked.patience,
        channels=channels_of(asked.channel),
        conversations=tuple(asked.conversation or ()),
        sessions=tuple(asked.call or ()),
        keys=tuple(asked.key or ()),
    )
    options = EngineOptions(
        address=asked.engine_address,
        token=asked.engine_token,
        model=asked.model,
        language=asked.language,
        interim=asked.interim,
        extra=_pairs(asked.engine_option or []),
    )
    return AnalysisPlan(
        door=door,
        engine=asked.engine,
        options=options,
        analyst=_analyst(asked),
        processes=asked.processes,
        to_gateway=asked.to_gateway,
        transcripts=asked.transcripts,
        stuck_seconds=asked.stuck_after,
        hearing=HearingSettings(step_seconds=2 * asked.stuck_after),
    )


def _run(plan: AnalysisPlan, calls: int | None, *, as_json: bool) -> int:
    import uvloop

    from earhook.address import parse_address
    from earhook.analytics.analysis import Analyst
    from earhook.analytics.engine import find_engine
    from earhook.analytics.processes import Analyze

    from .analyze_view import JsonView, TextView

    try:
        parse_address(plan.door.address)
    except ValueError as error:
        raise ConfigurationError.of("--from", str(error)) from None
    find_engine(plan.engine)
    Analyst.of(plan.analyst)
    view = JsonView(sys.stdout.buffer) if as_json else TextView()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        was_interrupted = runner.run(Analyze(plan, view.take, calls).run())
    return INTERRUPTED if was_interrupted else 0


_REMEDY = (
    "the address of a pcm-stream sink, such as --from unix:/run/earhook/pcm.sock or "
    "--from tcp:127.0.0.1:9300; `earhook demo --analyze --keep-open` has one to try"
)


def _analyst(asked: _Asked) -> AnalystSettings:
    from earhook.analytics.analysis import AnalystSettings

    return AnalystSettings(
        rules=tuple(asked.rules or ()), sentiment=asked.sentiment, lexicon=asked.lexicon
    )


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ConfigurationError.of("--engine-option", f"{text} is not NAME=VALUE")
        pairs[name] = value
    return pairs
