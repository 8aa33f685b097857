"""A consumer of the PCM stream on a Unix socket that takes everything and counts it.

    subscriber.py PATH

It is a program of its own on purpose: the gateway's cost includes handing PCM to another process.
Prints `subscribed` when the gateway has answered, and when the stream ends a line of JSON with
samples and gap samples, over all channels of all calls.
"""

from __future__ import annotations

import json
import socket
import sys

from earhook.media.stream import CONNECTION, FrameDecoder, FrameKind, encode_frame

HELLO = b'{"stream":"earhook-pcm","version":1,"role":"consumer","name":"bench","capabilities":[]}'
SUBSCRIBE = b'{"filter":{"channels":["external","internal"]},"start":"start"}'
CHANNELS = 2
CHUNK_BYTES = 1 << 20
PATIENCE_SECONDS = 600.0


def main(path: str) -> None:
    """Read to the end of the stream."""
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(PATIENCE_SECONDS)
        stream.connect(path)
        stream.sendall(encode_frame(FrameKind.HELLO, CONNECTION, HELLO))
        stream.sendall(encode_frame(FrameKind.SUBSCRIBE, CONNECTION, SUBSCRIBE))
        count(stream)


def count(stream: socket.socket) -> None:
    """Add up what arrives."""
    decoder, chunk = FrameDecoder(), memoryview(bytearray(CHUNK_BYTES))
    samples, gap_samples, greeted = 0, 0, False
    while length := stream.recv_into(chunk):
        for kind, _call, _channel, _position, count, _reason, _body in decoder.feed(chunk[:length]):
            if kind == FrameKind.AUDIO:
                samples += count
            elif kind == FrameKind.GAP:
                gap_samples += CHANNELS * count
            elif kind == FrameKind.HELLO and not greeted:
                greeted = True
                print("subscribed", flush=True)
    print(json.dumps({"samples": samples, "gap_samples": gap_samples}), flush=True)


main(sys.argv[1])
