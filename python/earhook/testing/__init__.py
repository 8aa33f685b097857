"""Fakes to test with, shipped because others need them too.

`CallPeer` is the Genesys side of a call on a real socket; `PeerSession` is the same without a
socket. Both know at any time what a receiver must hold, sample for sample. `HttpSender` sends a
call over HTTPS, in blocks or as a stream, `PayloadKey` encrypts it. `CollectingSink` and
`StallingSink` stand beside a sink of your own, and `sink_suite` holds the laws it must keep.
"""

from .clock import ManualClock
from .http_sender import HttpSender, SenderReply
from .payload_key import PayloadKey
from .peer import CallPeer, CallPlan
from .peer_record import Ladder, PeerRecord, Rung, Span
from .peer_session import PeerSession, PeerState
from .peer_setup import CallSetup, MediaChoice, Pace, PeerCredential, PeerManners
from .sinks import CollectingSink, StallingSink
from .sources import Source, Track

__all__ = [
    "CallPeer",
    "CallPlan",
    "CallSetup",
    "CollectingSink",
    "HttpSender",
    "Ladder",
    "ManualClock",
    "MediaChoice",
    "Pace",
    "PayloadKey",
    "PeerCredential",
    "PeerManners",
    "PeerRecord",
    "PeerSession",
    "PeerState",
    "Rung",
    "SenderReply",
    "Source",
    "Span",
    "StallingSink",
    "Track",
]
