"""`earhook call`: one simulated call from a WAV file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from earhook.errors import ConfigurationError, ConfigurationFault
from earhook.ids import is_uuid
from earhook.testing.peer_setup import Product

from .dialling import (
    ApiKeyFileOption,
    ApiKeyOption,
    CafileOption,
    InsecureOption,
    SecretFileOption,
    SecretOption,
    UrlArgument,
    read_credential,
    tls_context,
)
from .exit_codes import INTERRUPTED

if TYPE_CHECKING:
    from earhook.testing.peer import CallPlan
    from earhook.testing.peer_setup import CallSetup, MediaChoice
    from earhook.testing.sources import Source

app = typer.Typer(add_completion=False)

CALL_FAILED: Final = 3


WavArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE.wav",
        help="PCM16, mu-law or A-law, mono (the customer) or stereo (customer left, agent "
        "right), any rate. Left out: the speech of the demo.",
        show_default=False,
    ),
]
ProductOption = Annotated[Product, typer.Option(help="What the call is for.")]
IdOption = Annotated[
    str | None, typer.Option(metavar="UUID", help="Left out: a fresh one.", show_default=False)
]
LanguageOption = Annotated[str | None, typer.Option(metavar="TAG", help="Such as en-us.")]
SecondsOption = Annotated[
    float | None, typer.Option(min=0.001, help="Hang up after so much audio.")
]
SpeedOption = Annotated[float, typer.Option(min=0.01, help="2 is twice as fast as real time.")]
FrameOption = Annotated[
    int, typer.Option(min=1, max=2000, help="Length of a frame; Genesys Cloud sends 200.")
]
ProbeOption = Annotated[
    bool, typer.Option("--probe", help="Only test the connection, as an administrator does.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object at the end instead of the ladder.")
]


@app.command()
def call(  # noqa: PLR0913, PLR0917 - a command's options
    url: UrlArgument,
    wav: WavArgument = None,
    api_key: ApiKeyOption = None,
    api_key_file: ApiKeyFileOption = None,
    secret: SecretOption = None,
    secret_file: SecretFileOption = None,
    cafile: CafileOption = None,
    insecure: InsecureOption = False,
    product: ProductOption = "monitor",
    conversation_id: IdOption = None,
    organization_id: IdOption = None,
    language: LanguageOption = None,
    seconds: SecondsOption = None,
    speed: SpeedOption = 1.0,
    frame_ms: FrameOption = 200,
    probe: ProbeOption = False,
    as_json: JsonOption = False,
) -> None:
    """Place one call as Genesys Cloud would, signed, in real time, and show the conversation.

    Ends with 0 when the call went as it should, 1 when it could not be placed, 3 when it failed:
    refused or ended by the server with an error, lost, or the server broke a rule.
    """
    from earhook.testing.peer import CallPlan
    from earhook.testing.peer_setup import Pace

    fields = {
        "conversation_id": conversation_id,
        "organization_id": organization_id,
        "language": language,
    }
    credential = read_credential(api_key, api_key_file, secret, secret_file)
    ssl_context = tls_context(url, cafile, insecure=insecure)
    source = _source(wav)
    limit = None if seconds is None else round(seconds * 8000)
    plan = CallPlan(
        source=source,
        setup=_setup(product, source.offers, fields, probe=probe),
        credential=credential,
        pace=Pace(frame_samples=frame_ms * 8, speed=speed, limit_samples=limit),
    )
    raise typer.Exit(_run(_Errand(url, plan, ssl_context, as_json)))


@dataclass(frozen=True, slots=True)
class _Errand:
    url: str
    plan: CallPlan
    ssl_context: SSLContext | None
    as_json: bool


def _source(wav: Path | None) -> Source:
    from earhook.demo import speech
    from earhook.testing.wav_source import read_wav

    return speech() if wav is None else read_wav(wav)


def _setup(
    product: Product,
    offers: tuple[MediaChoice, ...],
    given: dict[str, str | None],
    *,
    probe: bool,
) -> CallSetup:
    from earhook.testing.peer_setup import CallSetup

    _check(given, probe=probe)
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if probe:
        return CallSetup.probe(**fields)
    if product == "audio-connector":
        return CallSetup.audio_connector(**fields)
    return CallSetup(product=product, offers=offers, **fields)


def _check(given: dict[str, str | None], *, probe: bool) -> None:
    faults = [
        ConfigurationFault(f"--{name.replace('_', '-')}", f"{value!r} is no UUID")
        for name, value in given.items()
        if name.endswith("_id") and value is not None and not is_uuid(value)
    ]
    if probe and given["conversation_id"] is not None:
        faults.append(ConfigurationFault("--probe", "has no conversation: leave the id out"))
    if faults:
        raise ConfigurationError(faults)


def _run(errand: _Errand) -> int:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_place(errand))


async def _place(errand: _Errand) -> int:
    from rich.console import Console

    from earhook.testing.peer import CallPeer

    from .call_view import CallView, print_json, print_summary, went_well

    peer = await CallPeer.connect(errand.url, errand.plan, errand.ssl_context)
    interrupted = False
    console = Console(highlight=False, soft_wrap=True)
    view = CallView(peer, console)
    follow = peer.finished if errand.as_json else view.follow
    try:
        if not errand.as_json:
            view.print_heading(errand.url)
        await follow()
    except asyncio.CancelledError:
        # Ctrl-C hangs up as a person would; a second one drops the connection.
        interrupted = True
        peer.close()
        await follow()
    finally:
        peer.abort()
    if errand.as_json:
        print_json(peer, errand.url)
    else:
        print_summary(peer, console)
    if interrupted:
        return INTERRUPTED
    return 0 if went_well(peer.record) else CALL_FAILED
