"""Family H: requests to the ingest port that are no HTTP, no audio that we take, or no call.

Expected is the status and the word of the answer, if it has one, and `goes on` where the
connection must be good for the next request. What is doubtful about framing ends it.
"""

from __future__ import annotations

from hostile.test_ingest_framing import REFUSED

from .cases import ORGANIZATION_ID, SESSION_ID, Case

PATH = "/stream/v1/audiohook"
TOKEN = "a-token-that-opens-the-ingest"
BOUND_TOKEN = "a-token-of-one-organization"
LINE = f"POST {PATH} HTTP/1.1\r\n".encode()
HOST = b"Host: gateway.example\r\n"
BEARER = f"Authorization: Bearer {TOKEN}\r\n".encode()
PCMU = b"Content-Type: audio/PCMU\r\n"
BODY = b"\xff" * 160
UNSUPPORTED = "415 unsupported-media-type, goes on"
TAKEN = "200, 160, goes on"
WRONG_CODING = "415 unsupported-content-encoding, goes on"


def post(*headers: bytes, body: bytes = BODY, line: bytes = LINE, bearer: bytes = BEARER) -> bytes:
    """A POST of known length with these header lines."""
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    return line + HOST + bearer + b"".join(headers) + length + body


def header(text: str) -> bytes:
    """One header line."""
    return text.encode("latin-1") + b"\r\n"


def typed(value: str, expected: str = UNSUPPORTED) -> tuple[bytes, str]:
    """A block of another content type."""
    return post(header(f"Content-Type: {value}")), expected


def coded(value: str, expected: str = WRONG_CODING) -> tuple[bytes, str]:
    """A block in another content coding."""
    return post(PCMU, header(f"Content-Encoding: {value}")), expected


def marked(text: str, word: str, status: int = 400) -> tuple[bytes, str]:
    """A block with one more header, which is wrong."""
    return post(PCMU, header(text)), f"{status} {word}, goes on"


def stamped(value: str) -> tuple[bytes, str]:
    """A block with a timestamp that cannot be: it is counted, and the audio is taken."""
    stamp = header(f"X-Genesys-Cloud-Timestamp: {value}")
    return post(PCMU, stamp, b"Earhook-End: true\r\n"), TAKEN


def asked(line: str, expected: str, *headers: bytes) -> tuple[bytes, str]:
    """A request of another line, without a body."""
    return header(line) + HOST + BEARER + b"".join(headers) + b"\r\n", expected


MEDIA_TYPES = {
    "no content type": (post(), UNSUPPORTED),
    "empty content type": typed(""),
    "text": typed("text/plain"),
    "JSON": typed("application/json"),
    "a form": typed("application/x-www-form-urlencoded"),
    "several parts": typed("multipart/form-data; boundary=a"),
    "any bytes": typed("application/octet-stream"),
    "no slash": typed("audioPCMU"),
    "no subtype": typed("audio/"),
    "no type": typed("/PCMU"),
    "a wildcard": typed("audio/*"),
    "a space in the type": typed("audio/ PCMU"),
    "another codec": typed("audio/G722"),
    "an old name": typed("audio/x-mulaw"),
    "MP3": typed("audio/mpeg"),
    "WAV": typed("audio/wav"),
    "WebM": typed("audio/webm;codecs=opus"),
    "24 bits": typed("audio/L24;rate=8000"),
    "two types": typed("audio/PCMU, audio/PCMA"),
    "a parameter without a value": typed("audio/PCMU;rate"),
    "a parameter without a name": typed("audio/PCMU;=8000"),
    "a parameter twice": typed("audio/PCMU;rate=8000;rate=8000"),
    "a parameter twice in capitals": typed("audio/PCMU;rate=8000;RATE=16000"),
    "an open quote": typed('audio/PCMU;rate="8000'),
    "a colon": typed("audio/PCMU:rate=8000"),
    "a comma for a semicolon": typed("audio/PCMU,rate=8000"),
    "rate of nothing": typed("audio/PCMU;rate=0"),
    "rate below nothing": typed("audio/PCMU;rate=-8000"),
    "rate with a point": typed("audio/PCMU;rate=8000.0"),
    "rate with an exponent": typed("audio/PCMU;rate=8e3"),
    "rate in hexadecimal": typed("audio/PCMU;rate=0x1f40"),
    "a rate that nobody has": typed("audio/PCMU;rate=7999"),
    "a rate beyond all": typed("audio/PCMU;rate=99999999999999999999"),
    "rate with a space": typed("audio/PCMU;rate= 8000"),
    "L16 without a rate": typed("audio/L16"),
    "L16 with an empty rate": typed('audio/L16;rate=""'),
    "no channels": typed("audio/PCMU;channels=0"),
    "three channels": typed("audio/PCMU;channels=3"),
    "channels in words": typed("audio/PCMU;channels=two"),
    "channels below nothing": typed("audio/PCMU;channels=-1"),
    "Opus of three channels": typed("audio/opus;channels=3"),
    "Ogg of no codec": typed("audio/ogg"),
    "Ogg with Vorbis": typed("audio/ogg;codecs=vorbis"),
    "Ogg with two codecs": typed('audio/ogg;codecs="opus, vorbis"'),
    "Ogg as an application": typed("application/ogg;codecs=opus"),
    "a type that is not ASCII": typed("audio/PCMÜ"),
    "a type of 8,000 letters": typed("audio/" + "x" * 8000),
    "a thousand semicolons": typed("audio/PCMU" + ";" * 1000 + "rate"),
    "a thousand parameters": typed(
        "audio/PCMU" + "".join(f";a{n}=b" for n in range(1000)) + ";a1=c"
    ),
    "two content types": (post(PCMU, PCMU), "400"),
}

CODINGS = {
    "gzip": coded("gzip"),
    "deflate": coded("deflate"),
    "br": coded("br"),
    "zstd": coded("zstd"),
    "compress in capitals": coded("COMPRESS"),
    "an older encryption": coded("aesgcm"),
    "encrypted twice": coded("aes128gcm, aes128gcm"),
    "gzip, then encrypted": coded("gzip, aes128gcm"),
    "encrypted, then gzip": coded("aes128gcm, gzip"),
    "encrypted with a parameter": coded("aes128gcm;q=1"),
    "identity and gzip": coded("identity, gzip"),
    "a quoted coding": coded('"aes128gcm"'),
    "two lines of coding": (
        post(PCMU, b"Content-Encoding: aes128gcm\r\n", b"Content-Encoding: gzip\r\n"),
        "400",
    ),
}

OTHER_ID = "11111111-2222-4333-8444-555555555555"
MARKS = {
    "session of no shape": marked("Audiohook-Session-Id: me", "session-id"),
    "session that climbs": marked("Audiohook-Session-Id: ../../etc/passwd", "session-id"),
    "session in braces": marked(f"Audiohook-Session-Id: {{{SESSION_ID}}}", "session-id"),
    "empty session": marked("Audiohook-Session-Id:", "session-id"),
    "organization of no shape": marked("Audiohook-Organization-Id: acme", "organization-id"),
    "organization with a quote": marked(
        f"Audiohook-Organization-Id: '{ORGANIZATION_ID}'", "organization-id"
    ),
    "conversation of no shape": marked("Audiohook-Conversation-Id: 1", "conversation-id"),
    "correlation of no shape": marked(
        "Audiohook-Correlation-Id: <script>alert(1)</script>", "correlation-id"
    ),
    "two sessions": (post(PCMU, *[header(f"Audiohook-Session-Id: {OTHER_ID}")] * 2), "400"),
    "two sequences": (post(PCMU, *[b"Earhook-Sequence: 0\r\n"] * 2), "400"),
    "channel of both": marked("Audiohook-Channel: both", "channel"),
    "channel as a number": marked("Audiohook-Channel: 0", "channel"),
    "sequence below nothing": marked("Earhook-Sequence: -1", "sequence"),
    "sequence of a half": marked("Earhook-Sequence: 0.5", "sequence"),
    "sequence in words": marked("Earhook-Sequence: first", "sequence"),
    "sequence with a sign": marked("Earhook-Sequence: +1", "sequence"),
    "sequence of 400 digits": marked("Earhook-Sequence: " + "9" * 400, "sequence"),
    "empty sequence": marked("Earhook-Sequence:", "sequence"),
    "sequence in superscript": marked("Earhook-Sequence: \xb2", "sequence"),
    "position below nothing": marked("Earhook-Position: -1", "position"),
    "position with an exponent": marked("Earhook-Position: 1e3", "position"),
    "position in hexadecimal": marked("Earhook-Position: 0x10", "position"),
    "position far beyond": marked("Earhook-Position: 999999999999999", "beyond"),
    "end in other words": marked("Earhook-End: yes", "end"),
    "end as a number": marked("Earhook-End: 1", "end"),
    "empty end": marked("Earhook-End:", "end"),
    "end of a call that is not there": (
        post(header(f"Audiohook-Session-Id: {OTHER_ID}"), b"Earhook-End: true\r\n", body=b""),
        "404 unknown-session, goes on",
    ),
    "end of no call": (post(b"Earhook-End: true\r\n", body=b""), "404 unknown-session, goes on"),
    "another organization than the token's": (
        post(
            PCMU,
            header("Audiohook-Organization-Id: " + OTHER_ID),
            bearer=f"Authorization: Bearer {BOUND_TOKEN}\r\n".encode(),
        ),
        "403, goes on",
    ),
    "a block of chunks that is too long": (
        LINE
        + HOST
        + BEARER
        + PCMU
        + b"Earhook-Sequence: 0\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"10000\r\n" + bytes(65_536) + b"\r\n") * 17
        + b"0\r\n\r\n",
        "413 too-large",
    ),
}

STAMPS = {
    f"timestamp {name}": stamped(value)
    for name, value in {
        "in words": "yesterday",
        "below nothing": "-1",
        "of nothing": "0",
        "of 400 digits": "9" * 400,
        "far ahead": "99999999999999",
        "of no month": "2026-13-01T00:00:00Z",
        "without an offset": "2026-01-01T00:00:00",
        "of the year 0": "0000-01-01T00:00:00Z",
        "with an exponent": "1e12",
        "not a number": "NaN",
    }.items()
}

REQUESTS = {
    "another path": asked("GET /admin HTTP/1.1", "404, goes on"),
    "another path, with a body": (
        post(PCMU, line=b"POST /metrics HTTP/1.1\r\n"),
        "404, goes on",
    ),
    "path with more letters": asked(f"GET {PATH}s HTTP/1.1", "404, goes on"),
    "path with dot segments": asked(f"GET {PATH}/../../admin HTTP/1.1", "404, goes on"),
    "path with two slashes": asked(f"GET /{PATH} HTTP/1.1", "404, goes on"),
    "path in capitals": asked("GET /Stream/V1/AudioHook HTTP/1.1", "404, goes on"),
    "upgrade to a WebSocket": asked(
        "GET /audiohook HTTP/1.1", "404, goes on", b"Upgrade: websocket\r\nConnection: upgrade\r\n"
    ),
    "put": asked(f"PUT {PATH} HTTP/1.1", "405"),
    "delete": asked(f"DELETE {PATH} HTTP/1.1", "405"),
    "patch": asked(f"PATCH {PATH} HTTP/1.1", "405"),
    "options": asked(f"OPTIONS {PATH} HTTP/1.1", "405"),
    "a method of WebDAV": asked(f"PROPFIND {PATH} HTTP/1.1", "501"),
}

TABLE = [
    *(
        Case(name, *row)
        for rows in (MEDIA_TYPES, CODINGS, MARKS, STAMPS, REQUESTS)
        for name, row in rows.items()
    ),
    *(Case(f"framing: {name}", sent, str(status)) for name, (sent, status) in REFUSED.items()),
]
