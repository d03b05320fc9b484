"""EBS as AWS documents it: a model with a clock, latency, quotas and faults.

One model, three uses: the fake behind the adapters in tests, the world of the simulator, and the EC2 and EBS direct API
of the embedded AWS. What it does and where AWS documents it: docs/ebs-model.md.
"""

from .clock import RealClock, ScaledClock, VirtualClock
from .errors import ApiError, NoAnswer
from .event_options import EventOptions
from .faults import FaultRule, Faults
from .latency import ASSUMED_LATENCY, Latency
from .quotas import Quotas, Speeds
from .world import World

__all__ = [
    "ASSUMED_LATENCY",
    "ApiError",
    "EventOptions",
    "FaultRule",
    "Faults",
    "Latency",
    "NoAnswer",
    "Quotas",
    "RealClock",
    "ScaledClock",
    "Speeds",
    "VirtualClock",
    "World",
]
