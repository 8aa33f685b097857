"""Parsers of peer bytes in Python, each with laws that hold for any input.

A target takes bytes and returns; anything else that it does is a finding. Where an input is
several texts, lines separate them (`\\x1e`, which no header can hold).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import orjson

from earhook.control.bearer import BearerTokens, StaticToken, token_digest
from earhook.control.ip_ranges import read_networks_of, read_rows
from earhook.control.jwks import FixedKeys, KeySet, parse_key_set
from earhook.control.jwt import Flaw, Issuer
from earhook.control.settings import IpRangesSettings
from earhook.edge.proxies import TrustedProxies
from earhook.edge.proxy_protocol import (
    MAX_HEADER_BYTES,
    ProxyFault,
    ProxyHeader,
    ProxyHeaderReader,
)
from earhook.edge.request import Fault, HeadReader, RequestHead, parse_head
from earhook.edge.settings import ProxySettings
from earhook.errors import CommandRefused, ProtocolViolation
from earhook.ids import KeyName, is_uuid
from earhook.ingest.block_head import BlockHead, read_block_head
from earhook.ingest.delay import BEHIND_SECONDS, read_delay
from earhook.ingest.framing import Broken, Ended, Opened, RequestFraming, Stage
from earhook.ingest.media_type import Unsupported, read_media_type
from earhook.ingest.settings import IngestLimits
from earhook.media.intake import StreamFormat
from earhook.protocol.codec import decode_client
from earhook.protocol.keyring import Credential, KeyRing
from earhook.protocol.position import format_samples, parse_samples
from earhook.protocol.settings import SignatureSettings
from earhook.protocol.signature import Accepted, SignedRequest, verify
from earhook.protocol.signature_input import REQUIRED_COMPONENTS, Claim, read_claim
from earhook.sinks.pcm_stream.commands import read_command, read_order
from earhook.sinks.pcm_stream.messages import ObjectionError, read_consumer_hello, read_subscribe

__all__ = ["SEPARATOR", "TARGETS"]

SEPARATOR: Final = b"\x1e"
HEAD_BYTES: Final = 4096
HEAD_LINES: Final = 32
MOST_SAMPLES: Final = 10**10 * 8000
WALL_SECONDS: Final = 1_767_225_601.5
API_KEY: Final = "Z2F0ZXdheS10ZXN0LWtleS0wMDE="
SECRET: Final = b"the secret of the fuzzed key"
KEYRING: Final = KeyRing([Credential(KeyName("k"), API_KEY, (SECRET,))], b"\x5a" * 32)


def request_head(data: bytes) -> None:
    """Any cutting of a head gives the same verdict; an accepted one can be read in one way."""
    stride, sent = (data[0] + 1 if data else 1), data[1:]
    whole, pieces = _head(sent, len(sent) or 1), _head(sent, stride)
    # A fault that is certain early may be found before one that stands earlier in the text.
    assert type(whole) is type(pieces), (whole, pieces)
    if not isinstance(whole, RequestHead):
        return
    assert whole == pieces
    names = [name.lower() for name, _ in whole.headers]
    assert names.count("host") == 1 or (whole.minor_version == 0 and "host" not in names)
    assert names.count("content-length") <= 1
    for name, value in whole.headers:
        assert not set("\r\n\0 \t:") & set(name)
        assert not set("\r\n\0") & set(value)
    written = b"%b %b HTTP/1.%d" % (whole.method.encode(), whole.target, whole.minor_version)
    for name, value in whole.headers:
        written += b"\r\n" + f"{name}: {value}".encode("latin-1")
    assert parse_head(written, HEAD_LINES) == whole


def _head(sent: bytes, stride: int) -> RequestHead | Fault | None:
    reader = HeadReader(HEAD_BYTES, HEAD_LINES)
    for at in range(0, len(sent), stride):
        verdict = reader.feed(sent[at : at + stride])
        if verdict is not None:
            return verdict
    return None


def signature_headers(data: bytes) -> None:
    """The two headers are read, or refused, and never more than they hold."""
    texts = data.decode("latin-1").split(SEPARATOR.decode())
    claim = read_claim(texts[0], texts[1] if len(texts) > 1 else None)
    if isinstance(claim, Claim):
        assert len(claim.mac) == 32
        assert len(set(claim.components)) == len(claim.components) <= 16
        for number in (claim.created, claim.expires):
            assert number is None or (type(number) is int and number >= 0)


def signed_request(data: bytes) -> None:
    """No change of a signed request that touches what is signed gets in.

    The key of `KEYRING` is not in the corpus, only one request that was signed with it.
    """
    target, *lines = data.split(SEPARATOR)
    headers = [_pair(line) for line in lines[:24]]
    verdict = verify(SignedRequest(target, headers), KEYRING, SignatureSettings(), WALL_SECONDS)
    if isinstance(verdict, Accepted):
        from seeds import SIGNED_HEADERS, SIGNED_TARGET

        assert target == SIGNED_TARGET
        signed = {name.lower(): value for name, value in SIGNED_HEADERS}
        sent = {name.lower(): value.strip(" \t") for name, value in headers}
        for name in REQUIRED_COMPONENTS:
            if not name.startswith("@"):
                assert sent[name] == signed[name], name
        assert sent["host"].lower() == signed["host"].lower()


def _pair(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(": ")
    return name, value


def client_message(data: bytes) -> None:
    """A text frame is a message or a violation whose text holds nothing of it."""
    try:
        message = decode_client(data)
    except ProtocolViolation as violation:
        message, said = None, str(violation)
    if message is None:
        assert said.isascii()
        assert len(said) < 100
        return
    assert is_uuid(message.session_id)
    for number in (message.seq, message.serverseq, message.position):
        assert 0 <= number <= 2**63


def durations(data: bytes) -> None:
    """What is read as a duration is written and read again as the same samples."""
    samples = parse_samples(data.decode("latin-1"))
    # The longest that ten digits of seconds can say rounds up to eleven.
    if samples is not None and samples < MOST_SAMPLES:
        assert samples >= 0
        assert parse_samples(format_samples(samples)) == samples


def consumer_messages(data: bytes) -> None:
    """What consumers of the PCM stream say in JSON is read, or refused by name."""
    for read in (read_consumer_hello, read_subscribe):
        with suppress(ObjectionError):
            read(data)
    with suppress(orjson.JSONDecodeError):
        body = orjson.loads(data)
        if isinstance(body, dict):
            with suppress(CommandRefused):
                read_command(read_order(body), "PCMU")


def http_framing(data: bytes) -> None:
    """Any cutting of a connection gives the same requests, bodies and fault."""
    stride, sent = (data[0] + 1 if data else 1), data[1:]
    whole, pieces = _requests(sent, len(sent) or 1), _requests(sent, stride)
    assert [row[1:] for row in whole] == [row[1:] for row in pieces]
    for (head, length, body, ended), (other, *_) in zip(whole, pieces, strict=True):
        if isinstance(head, RequestHead):
            assert head == other
            assert head.method in {"GET", "HEAD", "POST"}
            assert length is None or len(body) <= length <= LIMITS.body_bytes
            assert not ended or length is None or len(body) == length
        else:
            assert type(head) is type(other)


_Request = tuple[RequestHead | None, int | None, bytes, bool | str]


def _requests(sent: bytes, stride: int) -> list[_Request]:
    """Each request: head, told length, body, and whether it ended or how it broke."""
    framing = RequestFraming(LIMITS)
    requests: list[_Request] = []
    head, length, body = None, None, b""
    for at in range(0, len(sent), stride):
        framing.feed(sent[at : at + stride])
        while True:
            event = framing.next_event()
            if event is None:
                assert not framing.is_behind
                break
            if isinstance(event, Opened):
                assert framing.stage is Stage.BODY
                head, length, body = event.head, event.body_bytes, b""
            elif isinstance(event, bytes):
                assert event
                body += event
            elif isinstance(event, Ended):
                requests.append((head, length, body, True))
                head, length, body = None, None, b""
                framing.proceed()
            else:
                assert isinstance(event, Broken)
                # Which rule of a head is found first depends on how much of it is there.
                said = "head" if head is None else event.reason.value
                return [*requests, (head, length, body, said)]
    return [*requests, (head, length, body, False)]


def proxy_header(data: bytes) -> None:
    """Any cutting gives the same client, and no byte behind the header is taken."""
    stride, sent = (data[0] + 1 if data else 1), data[1:]
    whole, taken = _announced(sent, len(sent) or 1)
    pieces, also_taken = _announced(sent, stride)
    if isinstance(whole, ProxyHeader) or isinstance(pieces, ProxyHeader):
        assert (whole, taken) == (pieces, also_taken)
        assert taken <= MAX_HEADER_BYTES
        assert sent[:taken].endswith(b"\r\n") or sent.startswith(b"\r\n\r\n\0\r\nQUIT\n")
        assert whole.address is None or TRUSTED.client_address(PROXY, whole.address) is not None
    else:
        assert type(whole) is type(pieces)


def _announced(sent: bytes, stride: int) -> tuple[ProxyHeader | ProxyFault | None, int]:
    """What a peeking reader makes of bytes that come by and by, and how many it takes."""
    reader, taken = ProxyHeaderReader(), 0
    for arrived in range(stride, len(sent) + stride, stride):
        while taken < min(arrived, len(sent)):
            seen = sent[taken : min(arrived, len(sent))]
            count = reader.belonging(seen)
            assert count >= 1
            verdict = reader.feed(seen[:count])
            taken += min(count, len(seen))
            if verdict is not None:
                return verdict, taken
    return None, taken


def forwarded_for(data: bytes) -> None:
    """The client is an address, or the header is malformed; what is left of it is not looked at."""
    header = data.decode("latin-1")
    client = TRUSTED.client_address(PROXY, header)
    assert TRUSTED.client_address("192.0.2.1", header) == "192.0.2.1"
    if client is not None:
        assert client == PROXY or client in header
        assert TRUSTED.client_address(PROXY, f"evil, {header}") in (
            {client} if not TRUSTED.trusts(client) else {None, client}
        )


def content_type(data: bytes) -> None:
    """A format that can be taken, or a word of ours."""
    read = read_media_type(data.decode("latin-1"))
    if isinstance(read, StreamFormat):
        assert read.codec in {"PCMU", "PCMA", "L16BE", "OPUS", "OGG"}
        assert read.channels in {1, 2}
        assert 8000 <= read.wire_rate <= 48_000
    else:
        assert isinstance(read, Unsupported)


def timestamp(data: bytes) -> None:
    """A delay that can be, or none."""
    delay = read_delay(data.decode("latin-1"), WALL_SECONDS)
    assert delay is None or 0 <= delay <= BEHIND_SECONDS


def block_head(data: bytes) -> None:
    """The headers of a POST: ids that are UUIDs, numbers that can be counted with."""
    head = parse_head(b"POST / HTTP/1.1\r\nHost: a\r\n" + data, HEAD_LINES, chunked=True)
    if isinstance(head, RequestHead):
        read = read_block_head(head)
        if isinstance(read, BlockHead):
            ids = (read.organization, read.session, read.conversation, read.correlation)
            assert all(each is None or is_uuid(each) for each in ids)
            for number in (read.sequence, read.position):
                assert number is None or 0 <= number < 10**15


def bearer_token(data: bytes) -> None:
    """No token gets in but the one that was signed, as it stands in the corpus."""
    from seeds import WEB_TOKENS

    text = data.decode("latin-1")
    judging = BearerTokens([STATIC], ISSUERS).judge(text, WALL_SECONDS)
    try:
        judging.send(None)
    except StopIteration as ended:
        verdict = ended.value
    else:
        raise AssertionError("it waits for something")
    if not isinstance(verdict, Flaw):
        # base64 ignores the last bits, so a token has some spellings; all that is signed is its.
        assert any(_spoken(text) == _spoken(token) for token in WEB_TOKENS), text


def _spoken(token: str) -> list[str]:
    return token.split(".")[:2]


def key_set(data: bytes) -> None:
    """A key set holds keys with their algorithm, or is refused as a whole."""
    with suppress(ValueError):
        keys = parse_key_set(data)
        assert keys.keys
        assert {key.algorithm for key in keys.keys} <= {"RS256", "ES256"}


def ip_ranges(data: bytes) -> None:
    """The networks that are let in are networks, and none of them is everybody's."""
    with suppress(ValueError):
        networks = read_networks_of(read_rows(data), RANGES)
        assert networks
        for network in networks:
            assert network.prefixlen >= 8


LIMITS: Final = IngestLimits(body_bytes=4096, head_bytes=HEAD_BYTES, headers=HEAD_LINES)
PROXY: Final = "10.0.0.1"
TRUSTED: Final = TrustedProxies(
    ProxySettings(networks=("10.0.0.0/8", "fd00::/8"), protocol="x-forwarded-for")
)
RANGES: Final = IpRangesSettings(url="https://api.example/ipranges")
STATIC: Final = StaticToken(KeyName("static"), token_digest("a static token that nobody knows"))
ISSUERS: Final = [
    Issuer(
        KeyName("shared"),
        "https://issuer.example",
        "earhook",
        frozenset({"HS256"}),
        FixedKeys(KeySet(())),
        5.0,
        organization_claim="orgs",
        secret=b"the secret of the fuzzed issuer, long enough",
    )
]

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "request_head": request_head,
    "signature_headers": signature_headers,
    "signed_request": signed_request,
    "client_message": client_message,
    "durations": durations,
    "consumer_messages": consumer_messages,
    "http_framing": http_framing,
    "proxy_header": proxy_header,
    "forwarded_for": forwarded_for,
    "content_type": content_type,
    "timestamp": timestamp,
    "block_head": block_head,
    "bearer_token": bearer_token,
    "key_set": key_set,
    "ip_ranges": ip_ranges,
}
