"""What every corpus begins with: material as real peers send it, by target."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from earhook.protocol.signing import RequestToSign, production_parameters, sign

__all__ = ["SEEDS", "SIGNED_HEADERS", "SIGNED_TARGET", "WEB_TOKENS"]

ROOT: Final = Path(__file__).parents[2]
SIGNED_TARGET: Final = b"/audiohook?site=4"
_KEY: Final = "Z2F0ZXdheS10ZXN0LWtleS0wMDE="
_SECRET: Final = b"the secret of the fuzzed key"
_AUTHORITY: Final = "Gateway.example.net:8443"
_FIELDS: Final = [
    ("Host", _AUTHORITY),
    ("Audiohook-Organization-Id", "6f1c1f0e-9a5b-4c1d-8e2f-0a1b2c3d4e5f"),
    ("Audiohook-Session-Id", "0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"),
    ("Audiohook-Correlation-Id", "b7a9c1d2-3e4f-4051-8263-748596a7b8c9"),
    ("X-API-KEY", _KEY),
]
_SIGNATURE: Final = sign(
    RequestToSign(SIGNED_TARGET.decode(), _AUTHORITY, _FIELDS),
    _SECRET,
    production_parameters(_KEY, "QUJDREVGR0hJSktMTU5PUFFS", 1_767_225_600),
)
SIGNED_HEADERS: Final = [*_FIELDS, *_SIGNATURE]
WEB_TOKENS: Final = [
    jwt.encode(
        {"iss": "https://issuer.example", "aud": audience, "orgs": orgs, "exp": 1_767_225_700},
        "the secret of the fuzzed issuer, long enough",
        "HS256",
        {"kid": "a"},
    )
    for audience, orgs in (("earhook", ["a"]), (["earhook", "b"], "a"))
]
_UPGRADE: Final = (
    b"GET /audiohook HTTP/1.1\r\nHost: a.example:8443\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Signature: sig1=:AAAA:\r\nX-Empty:\r\n\r\n"
)


_POST: Final = b"POST /stream/v1/audiohook HTTP/1.1\r\nHost: a.example\r\n"
_PROXY_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"


def _golden_frames() -> list[bytes]:
    """The frames that hold Rust and Python to the page of the PCM stream, good and refused."""
    seeds = []
    for name in ("frames", "refused"):
        rows = json.loads((ROOT / f"tests/data/pcm_stream/{name}.json").read_text())
        seeds += [b"\x06" + bytes.fromhex(row["hex"]) for row in rows]
    return [*seeds, b"\xff" + b"".join(seed[1:] for seed in seeds[:12])]


def _conversations() -> list[bytes]:
    """What the peers of the written conversations say."""
    texts: set[bytes] = set()
    for path in sorted((ROOT / "tests/protocol/conversations").glob("*.txt")):
        for line in re.findall(r"^C +(\{.*\})$", path.read_text(), re.MULTILINE):
            texts.add(line.replace('"…"', '"0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40"').encode())
    return sorted(texts)


def _signed_request() -> bytes:
    lines = [f"{name}: {value}".encode("latin-1") for name, value in SIGNED_HEADERS]
    return b"\x1e".join([SIGNED_TARGET, *lines])


def _recordings() -> list[bytes]:
    """Ogg Opus files of real encoders: CELT, SILK, stereo, in-band FEC."""
    return [path.read_bytes() for path in sorted((ROOT / "fuzz/seeds").glob("*.opus"))]


def _packets(recording: bytes) -> list[bytes]:
    """The packets of an Ogg Opus file without its two headers."""
    packets, begun, at = [], b"", 0
    while at < len(recording):
        table = recording[at + 27 : at + 27 + recording[at + 26]]
        at += 27 + len(table)
        for length in table:
            begun += recording[at : at + length]
            at += length
            if length < 255:
                packets.append(begun)
                begun = b""
    return packets[2:]


def _framed(packets: list[bytes]) -> bytes:
    """Packets, each behind its length in 16 bits."""
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


def _packet_streams() -> list[bytes]:
    """For both numbers of channels: packets, and packets with losses, FEC and resets between."""
    seeds = []
    for recording in _recordings():
        framed = _framed(_packets(recording)[:8])
        lossy = b"".join(
            bytes([len(packet) >> 8 | number % 16 << 4, len(packet) & 255]) + packet
            for number, packet in enumerate(_packets(recording)[:8])
        )
        seeds += [b"\x00" + framed, b"\x01" + framed, b"\x00" + lossy, b"\x01" + lossy]
    return seeds


def _bodies() -> list[bytes]:
    """A body of every format: three bytes of choices, see `fuzz_targets/intake.rs`."""
    ramp = bytes(range(256)) * 8
    seeds = [bytes([codec | more, 40, 128]) + ramp for codec in (0, 1, 2) for more in (0, 8, 0x50)]
    for recording in _recordings():
        framed = _framed(_packets(recording)[:12])
        lossy = framed[:400] + bytes(6) + framed[400:]
        seeds += [bytes([3 | more, 7, share]) + framed for more, share in ((0, 255), (0x48, 128))]
        seeds += [b"\x03\x09\xff" + lossy, b"\x04\x06\xff" + recording, b"\x4c\xff\xff" + recording]
    seeds.append(b"\x00\x09\xff" + b"RIFF\x24\x08\x00\x00WAVEfmt " + ramp)
    return seeds


def _sealed(samples: int, record_bytes: int, salt: bytes, padding: int = 0) -> bytes:
    """The first samples of what `fuzz_targets/encrypted.rs` calls spoken, in RFC 8188."""
    key, base_nonce = (
        HKDF(SHA256(), length, salt, b"Content-Encoding: " + purpose + b"\x00").derive(b"\x0b" * 16)
        for purpose, length in ((b"aes128gcm", 16), (b"nonce", 12))
    )
    plain = b"".join(struct.pack(">H", index * 257 & 0xFFFF) for index in range(samples))
    step = record_bytes - 17 - padding
    pieces = [plain[at : at + step] for at in range(0, len(plain), step)]
    body = salt + struct.pack(">IB", record_bytes, 4) + b"fuzz"
    for number, piece in enumerate(pieces):
        nonce = (int.from_bytes(base_nonce, "big") ^ number).to_bytes(12, "big")
        delimiter = b"\x02" if number == len(pieces) - 1 else b"\x01"
        body += AESGCM(key).encrypt(nonce, piece + delimiter + bytes(padding), None)
    return body


def _payloads() -> list[bytes]:
    ramp = struct.pack("<64h", *range(-32768, 32768, 1024))
    return [bytes([choice, 64]) + ramp for choice in (0, 1, 2, 3, 0x80, 0x81, 0x82, 0x83)]


SEEDS: Final[dict[str, list[bytes]]] = {
    "pcm_stream": _golden_frames(),
    "payload": _payloads(),
    "ogg": [choice + recording for recording in _recordings() for choice in (b"\x00", b"\x07")],
    "opus_packets": _packet_streams(),
    "intake": _bodies(),
    "encrypted": [
        b"\x10" + _sealed(100, 64, bytes(16)),
        b"\xff" + _sealed(100, 1024, bytes(range(16))),
        b"\x03" + _sealed(30, 18, b"sixteen octets!!"),
        b"\x2f" + _sealed(200, 100, b"0123456789abcdef", padding=7),
    ],
    "request_head": [
        b"\xff" + _UPGRADE,
        b"\x00" + _UPGRADE,
        b"\x10POST /stream HTTP/1.1\r\nHost: [::1]:8444\r\nContent-Length: 4\r\n\r\nabcd",
        b"\x10POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x10HEAD /livez?a=%20 HTTP/1.0\r\n\r\n",
    ],
    "signature_headers": [
        f"{_SIGNATURE[0][1]}\x1e{_SIGNATURE[1][1]}".encode(),
        b'a=("@method";req);created=1;expires=9;alg="hmac-sha256", b=()\x1ea=:AA==:, b=:AA==:',
    ],
    "signed_request": [_signed_request()],
    "client_message": _conversations(),
    "durations": [b"PT0S", b"PT1.2S", b"PT0.30000000000000004S", b"PT.5S", b"PT9999999999S"],
    "http_framing": [
        b"\xff" + _POST + b"Content-Length: 4\r\n\r\nabcd" + _POST + b"Content-Length: 0\r\n\r\n",
        b"\x09"
        + _POST
        + b"Transfer-Encoding: chunked\r\n\r\n4;a=b\r\nabcd\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
        b"\x00"
        + _POST
        + b"Expect: 100-continue\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n",
        b"\x30" + _POST + b"Content-Length: 5000\r\n\r\n",
        b"\x30" + _POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
    ],
    "proxy_header": [
        b"\xffPROXY TCP4 192.0.2.1 198.51.100.2 65535 443\r\n\x16\x03\x01",
        b"\x00PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 2\r\n",
        b"\x04PROXY UNKNOWN\r\n",
        b"\x04" + _PROXY_2 + b"\x21\x11\x00\x0c" + bytes(range(12)) + b"\x16",
        b"\x20" + _PROXY_2 + b"\x21\x21\x00\x2a" + bytes(range(36)) + b"\x04\x00\x03abc",
        b"\xff" + _PROXY_2 + b"\x20\x00\x00\x00",
    ],
    "forwarded_for": [
        b"192.0.2.1",
        b"evil, 192.0.2.1:99, 10.1.1.1",
        b"[2001:db8::1]:443, fd00::1",
        b"2001:db8::1, 10.0.0.9",
        b"unknown",
    ],
    "content_type": [
        b"audio/PCMU;rate=8000;channels=2",
        b'audio/L16 ; rate="16000"; channels=1',
        b"audio/opus; sprop-stereo=1",
        b"audio/ogg;codecs=opus",
        b'audio/ogg; codecs="op\\us";',
    ],
    "timestamp": [
        b"1767225601000",
        b"2026-01-01T00:00:01.123456789Z",
        b"2026-01-01T02:00:01,5+02:00",
        b"2026-01-01t00:00:01-0000",
    ],
    "block_head": [
        (
            b"Audiohook-Session-Id: 0d9f5c52-7f3e-4b7a-9c43-5b8c1d2e3f40\r\nEarhook-Sequence: 7\r\n"
            b"Earhook-Position: 1600\r\nEarhook-End: true\r\nAudiohook-Channel: internal"
        ),
        b"Earhook-End: FALSE\r\nEarhook-Position: 0",
    ],
    "bearer_token": [
        *(token.encode() for token in WEB_TOKENS),
        jwt.encode({"iss": "https://issuer.example"}, "x" * 32, "HS256").encode(),
        b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.AA",
    ],
    "key_set": [
        (
            b'{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","alg":"ES256",'
            b'"x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
            b'"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'
        ),
        b'{"keys":[{"kty":"RSA","key_ops":["verify"],"e":"AQAB","n":"' + b"u1" * 171 + b'"}]}',
    ],
    "ip_ranges": [
        (
            b'{"entities":[{"cidr":"192.0.2.0/24","service":"audiohook","region":"a"},'
            b'{"cidr":"2001:db8::/32","service":"audio-connector"},{"cidr":"0.0.0.0/0"}]}'
        ),
        b'{"entities":[{"cidr":"0.0.0.0/0","service":"audiohook"}]}',
    ],
    "consumer_messages": [
        b'{"stream":"earhook-pcm","version":1,"role":"consumer","name":"a","token":"t"}',
        (
            b'{"filter":{"organizations":["a"],"channels":["external"]},"start":"now",'
            b'"resume":{"s":800},"done":["x"]}'
        ),
        b'{"command":"pause","id":1,"session":"s"}',
        b'{"command":"disconnect","reason":"completed","info":"x","output_variables":{"a":"b"}}',
        b'{"command":"play","codec":"L16","audio":"AAAA"}',
        b'{"command":"event","entities":[{"type":"a","data":{}}]}',
    ],
}
