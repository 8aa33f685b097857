"""`earhook listen`: what a gateway hears, as PCM on standard output or in files."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal

import typer

from earhook.errors import ConfigurationError, reason_of

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
    from earhook.client import Call, CallClosed, CallEvent, ChannelName, Item, Wishes

    from .listen_outlets import Format, Outlet

app = typer.Typer(add_completion=False)


AddressArgument = Annotated[
    str,
    typer.Argument(
        metavar="ADDRESS",
        help="unix:/path, tcp:host:port or tls:host:port of a pcm-stream sink.",
        show_default=False,
    ),
]
OrganizationOption = Annotated[
    list[str] | None,
    typer.Option("--organization", metavar="ID", help="Only this organization; repeatable."),
]
ChannelOption = Annotated[
    ChannelChoice,
    typer.Option(help="The customer, the agent, or both side by side, the customer first."),
]
FormatOption = Annotated[
    Literal["raw", "wav", "jsonl"],
    typer.Option(
        "--format", help="Samples alone, with a WAV header, or JSON lines with samples in base64."
    ),
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="-|DIR",
        help="`-` is standard output: one call after the other (jsonl: all). A directory: one "
        "file per call.",
    ),
]
FromOption = Annotated[
    Literal["start", "now"],
    typer.Option("--from", help="Where to begin in calls that run already."),
]
FillOption = Annotated[
    bool,
    typer.Option("--fill-gaps", help="Silence where there is no audio: time becomes position."),
]
PatienceOption = Annotated[
    float, typer.Option(min=0.0, metavar="SECONDS", help="Give up after so long unconnected.")
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="What happens to calls as JSON lines, not as text.")
]


@app.command()
def listen(  # noqa: PLR0913, PLR0917 - a command's options
    address: AddressArgument,
    call: CallOption = None,
    conversation: ConversationOption = None,
    organization: OrganizationOption = None,
    key: KeyOption = None,
    channel: ChannelOption = "both",
    form: FormatOption = "raw",
    output: OutputOption = "-",
    start: FromOption = "start",
    fill_gaps: FillOption = False,
    calls: CallsOption = None,
    patience: PatienceOption = 10.0,
    token: TokenOption = None,
    cafile: CafileOption = None,
    certificate: CertificateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hear calls: 16-bit PCM at the rate of the call, to standard output or into files.

    AudioHook calls have 8000 Hz, calls over HTTPS what the gateway is set to.

    Play a call while it runs, from its beginning:

      earhook listen unix:/run/earhook/pcm.sock | sox -t raw -r 8000 -e signed -b 16 -c 2 - -d

    Turn a conversation into FLAC, the silence of pauses and losses kept:

      earhook listen tcp:127.0.0.1:9300 --conversation ID --fill-gaps --calls 1 |
      ffmpeg -f s16le -ar 8000 -ac 2 -i - conversation.flac

    Keep every call in a file of its own:

      earhook listen unix:/run/earhook/pcm.sock --format wav --output heard

    With --channel external or internal the samples are of one channel (sox -c 1, ffmpeg -ac 1).
    What happens to calls is told on standard error.
    """
    from earhook.trust import client_context

    # Without either the scheme of the address decides.
    has_context = cafile is not None or certificate is not None
    wishes: Wishes = {
        "sessions": call or (),
        "conversations": conversation or (),
        "organizations": organization or (),
        "keys": key or (),
        "channels": channels_of(channel),
        "start": start,
        "gaps": True,
        "events": True,
        "name": "earhook listen",
        "token": token,
        "ssl": client_context(cafile, certificate) if has_context else None,
        "give_up_seconds": patience,
    }
    raise typer.Exit(_run(_Errand(address, wishes, form, output, fill_gaps, calls, as_json)))


@dataclass(frozen=True, slots=True)
class _Errand:
    address: str
    wishes: Wishes
    form: Format
    output: str
    fill_gaps: bool
    calls: int | None
    as_json: bool


def _run(errand: _Errand) -> int:
    import ssl

    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_hear(errand))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever took our output has heard enough (`earhook listen … | head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ssl.SSLCertVerificationError as error:  # which is a ValueError too
        what = f"the gateway's certificate is not trusted: {error.verify_message}"
        raise ConfigurationError.of(
            errand.address, what, "name its authority with --cafile"
        ) from None
    except ValueError as error:
        raise ConfigurationError.of("ADDRESS", str(error)) from None
    except OSError as error:
        what = f"cannot be reached: {error.strerror or error}"
        remedy = "is the gateway running, with a pcm-stream sink there?"
        raise ConfigurationError.of(errand.address, what, remedy) from None
    return 0


async def _hear(errand: _Errand) -> None:
    from earhook.client import CallClosed, connect

    teller = _Teller(as_json=errand.as_json)
    wishes: Wishes = {**errand.wishes, "on_trouble": teller.trouble}
    stream = connect(errand.address, **wishes)
    outlet = _outlet(errand, teller)
    left = errand.calls
    try:
        async with stream:
            async for item in stream:
                _pass_on(item, outlet, teller)
                if left is not None and isinstance(item, CallClosed):
                    left -= 1
                    if left == 0:
                        return
    finally:
        outlet.finish()


def _pass_on(item: Item, outlet: Outlet, teller: _Teller) -> None:
    from earhook.client import Block, CallClosed, CallEvent, CallOpened, Gap

    if isinstance(item, Block | Gap):
        outlet.audio(item)
    elif isinstance(item, CallOpened):
        teller.opened(item.call)
        outlet.opened(item.call)
    elif isinstance(item, CallEvent):
        outlet.event(item)
        teller.event(item)
    elif isinstance(item, CallClosed):
        outlet.closed(item)
        teller.closed(item)


def _outlet(errand: _Errand, teller: _Teller) -> Outlet:
    from .listen_outlets import Files, JsonLines, OneAtATime

    channels: tuple[ChannelName, ...] = tuple(errand.wishes["channels"])
    standard_output = sys.stdout.buffer
    if errand.output != "-":
        if errand.form == "jsonl":
            raise ConfigurationError.of(
                "--format", "jsonl is for standard output; calls are told apart in it"
            )
        directory = Path(errand.output)
        try:
            return Files(
                directory, errand.form, channels, teller.notify, fill_gaps=errand.fill_gaps
            )
        except OSError as error:
            raise ConfigurationError.of("--output", f"{directory}: {error.strerror}") from None
    if errand.form == "jsonl":
        return JsonLines(standard_output)
    if standard_output.isatty():
        remedy = "pipe it into sox or ffmpeg (see --help), or give --output DIR"
        raise ConfigurationError.of("--output", "samples are not for a terminal", remedy)
    return OneAtATime(
        standard_output,
        channels,
        teller.notify,
        wav=errand.form == "wav",
        fill_gaps=errand.fill_gaps,
    )


class _Teller:
    """Says on standard error what happens."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._file: BinaryIO = sys.stderr.buffer

    def opened(self, call: Call) -> None:
        channels = "+".join(call.channels)
        self._tell(
            "opened",
            call.session_id,
            channels=channels,
            conversation=call.conversation_id,
            codec=call.codec,
            rate=call.rate,
        )

    def notify(self, what: str, call: Call) -> None:
        self._tell(what, call.session_id)

    def event(self, item: CallEvent) -> None:
        # The details may be personal (keys that were pressed): they are in jsonl only.
        self._tell(item.kind, item.call.session_id, position=item.position)

    def closed(self, item: CallClosed) -> None:
        from .listen_outlets import as_event

        if self._as_json:
            self._write(as_event(item))
            return
        totals = item.totals.channels.values()
        late = max(one.missing.get("late", 0) for one in totals)
        self._tell(
            "closed",
            item.call.session_id,
            reason=item.reason,
            delivered=min(one.delivered for one in totals),
            missing=max(sum(one.missing.values()) for one in totals) - late,
            # It was gone before we came: not missing, but not delivered either.
            **({"late": late} if late else {}),
            verified=item.totals.verified,
        )

    def trouble(self, error: Exception) -> None:
        self._tell("not connected", "", why=reason_of(error))

    def _tell(self, what: str, session: str, **facts: object) -> None:
        if self._as_json:
            self._write({"type": what, "session": session, **facts})
            return
        words = [what, session, *(f"{name}={value}" for name, value in facts.items())]
        self._file.write((" ".join(word for word in words if word) + "\n").encode())
        self._file.flush()

    def _write(self, line: dict[str, object]) -> None:
        from .listen_outlets import write_line

        write_line(self._file, line)
