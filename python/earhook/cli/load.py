"""`earhook load`: many simulated calls, and figures of what the server made of them."""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypedDict

import typer

from earhook.errors import ConfigurationError

from .dialling import (
    ApiKeyFileOption,
    ApiKeyOption,
    CafileOption,
    InsecureOption,
    SecretFileOption,
    SecretOption,
    read_credential,
    read_secret_text,
)
from .exit_codes import INTERRUPTED

if TYPE_CHECKING:
    from earhook.load.opus import OpusPackets
    from earhook.load.outcome import Outcome
    from earhook.load.plan import Carrier, LoadPlan, Target
    from earhook.load.shape import Shape
    from earhook.load.threshold import Threshold
    from earhook.testing.peer_setup import MediaChoice, PeerCredential
    from earhook.testing.sources import Source

app = typer.Typer(add_completion=False)

LOAD_FAILED: Final = 3
NO_MEASURE: Final = 4

UrlArgument = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="ws:// or wss:// with host, port and path; with --http, http:// or https://.",
        show_default=False,
    ),
]
CallsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Calls held at once; with --hold, one that ends is followed."),
]
RampOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="How long it takes until --calls are held, and in the end until all have hung up; "
        "0s is a storm.",
        show_default="100 calls a second",
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="New calls per second: all the time (with --hold), or until --calls are held.",
    ),
]
DurationOption = Annotated[
    str, typer.Option(metavar="TIME", help="How long it goes on after the ramp.")
]
HoldOption = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Lengths of calls: 90s, 30s-5m (evenly between), exp:3m (exponential). Left out: "
        "to the end.",
        show_default=False,
    ),
]
MixOption = Annotated[
    str,
    typer.Option(
        metavar="WORD=SHARE,…",
        help="What befalls which share of the calls: pause, discard, burst, late, abrupt, probe. "
        "For example pause=10%,abrupt=1%.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        help="The same calls with the same audio again; their ids are fresh in each run.",
        show_default="a new one",
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        metavar="WORD|FILE",
        help="pattern (pseudo-random: every sample can be checked), tone, speech, or a WAV file, "
        "over and over.",
        show_default="pattern",
    ),
]
CodecOption = Annotated[
    Literal["PCMU", "L16", "OPUS"],
    typer.Option(
        help="How the audio is coded. OPUS is for --http, and says speech or a FILE.opus."
    ),
]
ChannelsOption = Annotated[
    int, typer.Option(min=1, max=2, help="2: customer and agent; 1: the customer alone.")
]
FrameOption = Annotated[
    int, typer.Option(min=20, max=1000, help="Length of a frame; Genesys Cloud sends 200.")
]
ProcessesOption = Annotated[
    int, typer.Option(min=1, max=256, help="Generators; one fills one core at the most.")
]
VerifyOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="unix:/path or tcp:host:port of the server's PCM stream: prove there that every "
        "sample arrived.",
        show_default=False,
    ),
]
LateOption = Annotated[
    str, typer.Option(metavar="TIME", help="With --verify: audio that takes longer is late.")
]
FailOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="CONDITION",
        help="For example opened.p99>200ms, failed>0.1%, lost>0. May be given again. Left out: "
        "any failed call, any rule broken, any sample not right.",
        show_default=False,
    ),
]
LogOption = Annotated[
    Path | None,
    typer.Option("--hlog", metavar="FILE", help="Write the histograms, tagged, for other tools."),
]
PidOption = Annotated[
    int | None,
    typer.Option(help="Of a server on this machine: tell its CPU and memory, children included."),
]
HttpOption = Annotated[
    bool, typer.Option("--http", help="Post the calls over HTTPS, a block for each frame.")
]
StreamOption = Annotated[
    bool, typer.Option("--stream", help="With --http: a call is one request in chunks.")
]
TokenOption = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="EARHOOK_TOKEN",
        help="With --http: the bearer token. Better a file, or the environment. Left out: requests "
        "are signed.",
        show_default=False,
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="A file with the bearer token."),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume-tls", help="Resume TLS sessions; left out: each call shakes hands anew."
    ),
]
PayloadKeyIdOption = Annotated[
    str | None,
    typer.Option(
        "--payload-key-id",
        metavar="ID",
        help="With --http: encrypt bodies (aes128gcm); the key is in --payload-key-file, or base64 "
        "in EARHOOK_PAYLOAD_KEY.",
        show_default=False,
    ),
]
PayloadKeyFileOption = Annotated[
    Path | None,
    typer.Option("--payload-key-file", metavar="FILE", help="A file with that key, in base64."),
]
VerifyTokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--verify-token-file",
        metavar="FILE",
        help="With --verify: what the stream asks for; or in EARHOOK_PCM_TOKEN.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object at the end.")]


@app.command()
def load(  # noqa: PLR0913, PLR0917 - a command's options
    url: UrlArgument,
    calls: CallsOption = None,
    ramp: RampOption = None,
    rate: RateOption = None,
    duration: DurationOption = "60s",
    hold: HoldOption = None,
    mix: MixOption = "",
    seed: SeedOption = None,
    source: SourceOption = None,
    codec: CodecOption = "PCMU",
    channels: ChannelsOption = 2,
    frame_ms: FrameOption = 200,
    processes: ProcessesOption = 1,
    verify: VerifyOption = None,
    verify_token_file: VerifyTokenFileOption = None,
    late_after: LateOption = "1s",
    fail_if: FailOption = None,
    http: HttpOption = False,
    stream: StreamOption = False,
    api_key: ApiKeyOption = None,
    api_key_file: ApiKeyFileOption = None,
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    token: TokenOption = None,
    token_file: TokenFileOption = None,
    payload_key_id: PayloadKeyIdOption = None,
    payload_key_file: PayloadKeyFileOption = None,
    cafile: CafileOption = None,
    insecure: InsecureOption = False,
    resume_tls: ResumeOption = False,
    server_pid: PidOption = None,
    hlog: LogOption = None,
    as_json: JsonOption = False,
) -> None:
    """Play Genesys Cloud many times over, in real time, and measure what the server does.

    Calls and frames are sent when they are due, whatever the server does meanwhile, and latency
    counts from then. Ends with 0; 3 when a condition of --fail-if holds; 4 when the generator
    itself was too slow for the figures to mean anything; 1 when it could not run.
    """
    from earhook.load.plan import LoadPlan

    thresholds = _thresholds(fail_if)
    credential = read_credential(api_key, api_key_file, secret, secret_file)
    bearer = read_secret_text("--token", token, token_file) if http else None
    own = (credential, bearer, _payload_key(payload_key_id, payload_key_file))
    plan = LoadPlan(
        target=_target(url, own, cafile, insecure=insecure, resumes_tls=resume_tls),
        shape=_shape((calls, rate), (ramp, duration, hold), mix, seed),
        carrier=_carrier(http=http, stream=stream),
        processes=processes,
        **_audio(codec, channels, frame_ms, source),
        **_verification(verify, verify_token_file, late_after),
    )
    raise typer.Exit(_run(plan, thresholds, (server_pid, hlog), as_json=as_json))


class _Audio(TypedDict):
    media: MediaChoice
    frame_milliseconds: int
    source: Source | None
    opus: OpusPackets | None


class _Verification(TypedDict):
    verify: str | None
    verify_token: str | None
    late_seconds: float


def _target(
    url: str,
    own: tuple[PeerCredential | None, str | None, tuple[str, bytes] | None],
    cafile: Path | None,
    *,
    insecure: bool,
    resumes_tls: bool,
) -> Target:
    """Where it goes and who we are: by key, bearer token, and payload key."""
    from earhook.load.plan import Target

    return Target(
        url=url,
        credential=own[0],
        token=own[1],
        payload_key=own[2],
        cafile=cafile,
        insecure=insecure,
        resumes_tls=resumes_tls,
    )


def _audio(
    codec: Literal["PCMU", "L16", "OPUS"], channels: int, frame_ms: int, word: str | None
) -> _Audio:
    from earhook.testing.peer_setup import MediaChoice

    if codec == "OPUS":
        media, source, opus = MediaChoice(channels=tuple(range(channels))), None, _opus(word)
    else:
        media, opus = MediaChoice(codec, tuple(range(channels))), None
        source = _source(word or "pattern")
    return _Audio(media=media, frame_milliseconds=frame_ms, source=source, opus=opus)


def _verification(address: str | None, token_file: Path | None, late: str) -> _Verification:
    token = os.environ.get("EARHOOK_PCM_TOKEN")
    return _Verification(
        verify=address,
        verify_token=read_secret_text("--verify-token", token, token_file),
        late_seconds=_seconds("--late-after", late),
    )


def _thresholds(texts: list[str] | None) -> list[Threshold]:
    from earhook.load.threshold import Threshold

    return [Threshold.parse(text) for text in texts or ()]


def _shape(
    numbers: tuple[int | None, float | None],
    times: tuple[str | None, str, str | None],
    mix: str,
    seed: int | None,
) -> Shape:
    """How many calls and how fast; how long it all takes; what befalls them."""
    from earhook.load.hold import Hold
    from earhook.load.mix import Mix
    from earhook.load.shape import Shape

    calls, rate = numbers
    ramp, duration, hold = times
    return Shape(
        calls=calls,
        rate=rate,
        ramp_seconds=None if ramp is None else _seconds("--ramp", ramp),
        duration_seconds=_seconds("--duration", duration),
        hold=None if hold is None else Hold.parse(hold),
        mix=Mix.parse(mix),
        seed=secrets.randbits(32) if seed is None else seed,
    )


def _run(
    plan: LoadPlan,
    thresholds: list[Threshold],
    extras: tuple[int | None, Path | None],
    *,
    as_json: bool,
) -> int:
    from earhook.load.histograms import write_log
    from earhook.load.processes import run_load
    from earhook.load.usage import ProcessTree

    from .load_view import LoadView

    plan.check()
    server_pid, hlog = extras
    server = None if server_pid is None else ProcessTree(server_pid)
    view = LoadView(plan, quiet=as_json)
    outcome = run_load(plan, view.look, server)
    crossed = _crossed(outcome, thresholds)
    if hlog is not None:
        write_log(hlog, outcome.latencies, (outcome.began_wall_seconds, outcome.seconds))
    if as_json:
        view.print_json(outcome, crossed)
    else:
        view.print_summary(outcome, crossed)
    if outcome.interrupted:
        return INTERRUPTED
    if crossed:
        return LOAD_FAILED
    return NO_MEASURE if outcome.bottleneck else 0


def _crossed(outcome: Outcome, thresholds: list[Threshold]) -> list[str]:
    """What makes the load a failure, in words."""
    crossed = [threshold.text for threshold in thresholds if threshold.holds(outcome)]
    if not thresholds:
        names = ("failed", "objections", "unproved")
        crossed = [f"{name}>0" for name in names if outcome.figures().get(name, 0) > 0]
    if outcome.findings is not None and outcome.findings.trouble:
        crossed.append(f"nothing could be verified: {outcome.findings.trouble}")
    return crossed + outcome.troubles


def _carrier(*, http: bool, stream: bool) -> Carrier:
    if not http:
        if stream:
            raise ConfigurationError.of("--stream", "is for --http only")
        return "websocket"
    return "stream" if stream else "blocks"


def _seconds(option: str, text: str) -> float:
    from earhook.load.hold import seconds_of

    try:
        return seconds_of(text)
    except ValueError as error:
        raise ConfigurationError.of(option, str(error)) from None


def _source(word: str) -> Source | None:
    """What is said, without end; None is the pattern."""
    from earhook.demo import speech
    from earhook.testing.sources import Source
    from earhook.testing.wav_source import read_wav

    if word == "pattern":
        return None
    if word == "tone":
        return Source.tone()
    said = speech() if word == "speech" else read_wav(Path(word))
    return Source(said.codes, said.channels)


def _opus(word: str | None) -> OpusPackets:
    from earhook.load.opus import OpusPackets

    if word in {None, "speech"}:
        return OpusPackets.speech()
    return OpusPackets.read(Path(word or ""))


def _payload_key(key_id: str | None, file: Path | None) -> tuple[str, bytes] | None:
    """What bodies are encrypted with."""
    if key_id is None:
        if file is not None:
            raise ConfigurationError.of("--payload-key-file", "wants an id too")
        return None
    text = read_secret_text("--payload-key", os.environ.get("EARHOOK_PAYLOAD_KEY"), file)
    try:
        key = base64.b64decode(text or "", validate=True)
    except ValueError:
        key = b""
    if not key or len(key_id.encode()) > 255:
        what = "a key in base64, and an id of at most 255 bytes, are needed"
        raise ConfigurationError.of("--payload-key-id", what)
    return key_id, key
