"""What an engineer would check by hand when Genesys Cloud does not reach a server, in order.

Name, connection, TLS, certificate, HTTP, upgrade, credentials, clock, probe, a call: each step has
a verdict, its evidence and a cure. It works against any AudioHook server and any ingest.
"""

from .errand import Errand, FarEnd, Limits, Target
from .examination import examine
from .finding import Finding, Step, Verdict
from .trust import Authorities, Trust

__all__ = [
    "Authorities",
    "Errand",
    "FarEnd",
    "Finding",
    "Limits",
    "Step",
    "Target",
    "Trust",
    "Verdict",
    "examine",
]
