"""What `earhook check` looks at, besides the configuration itself. One file a subject.

Nothing is changed: a port is bound and closed again, a file is created and removed, a service
is dialled and left.
"""

from .all import examine
from .finding import Finding, Level, faults_from

__all__ = ["Finding", "Level", "examine", "faults_from"]
