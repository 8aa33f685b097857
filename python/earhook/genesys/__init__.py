"""A client of the Genesys Cloud API, as far as AudioHook goes: provision, bind, watch.

Two dialects. `integrations` is what the vendor's public SDK contains; `audiohooks` is what a
community guide describes and the SDK does not contain.
"""

from .audiohooks import AudioHook, AudioHooks
from .cloud import GenesysCloud
from .conversations import ConversationState
from .endpoint import Finding, examine_endpoint
from .events import OperationalEvent
from .fields import AudioHookWish, MonitorWish, require_audiohook, require_monitor
from .integrations import Configuration, Integration, Integrations
from .networks import IpRange
from .regions import REGIONS, Region, custom_region, find_region
from .settings import AccountSettings, NetworkSettings, PatienceSettings
from .timing import Timing

__all__ = [
    "REGIONS",
    "AccountSettings",
    "AudioHook",
    "AudioHookWish",
    "AudioHooks",
    "Configuration",
    "ConversationState",
    "Finding",
    "GenesysCloud",
    "Integration",
    "Integrations",
    "IpRange",
    "MonitorWish",
    "NetworkSettings",
    "OperationalEvent",
    "PatienceSettings",
    "Region",
    "Timing",
    "custom_region",
    "examine_endpoint",
    "find_region",
    "require_audiohook",
    "require_monitor",
]
