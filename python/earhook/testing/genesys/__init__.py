"""A fake Genesys Cloud: a real HTTP server on loopback that speaks both dialects.

OAuth, permissions and scopes, rate limits, optimistic locks and late health checks are those of
the platform; what goes wrong is chosen by whoever runs it. Conversations live as long as whoever
runs it wants, and what is monitored or bound is really streamed to its endpoint.
"""

from .call_stream import CallStream, Failure, Way
from .gate import RateLimit
from .health import Endpoint
from .organization import ALL_PERMISSIONS, Conversation, LifeCycle, OAuthClient, Organization
from .reach import Reach
from .refusal import Refusal
from .server import FakeGenesys, Mishap

__all__ = [
    "ALL_PERMISSIONS",
    "CallStream",
    "Conversation",
    "Endpoint",
    "Failure",
    "FakeGenesys",
    "LifeCycle",
    "Mishap",
    "OAuthClient",
    "Organization",
    "RateLimit",
    "Reach",
    "Refusal",
    "Way",
]
