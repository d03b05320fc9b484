"""A model of EBS as AWS documents it, with a clock, latency, quotas and faults.

One model, three uses: the fake behind the adapters in tests, the world of the simulator, and the EC2 and EBS direct API
of the embedded AWS. Its rules, and AWS's documents for each: docs/ebs-model.md.
"""

from snapkeep.lab.ebs_model.conditions.clock import RealClock, ScaledClock, VirtualClock
from snapkeep.lab.ebs_model.conditions.event_options import EventOptions
from snapkeep.lab.ebs_model.conditions.faults import FaultRule, Faults
from snapkeep.lab.ebs_model.conditions.latency import ASSUMED_LATENCY, Latency
from snapkeep.lab.ebs_model.conditions.quotas import Quotas, Speeds
from snapkeep.lab.ebs_model.errors import ApiError, NoAnswer
from snapkeep.lab.ebs_model.store.content import ContentFaults
from snapkeep.lab.ebs_model.store.public_images import PUBLIC_LINUX
from snapkeep.lab.ebs_model.world import World

__all__ = [
    "ASSUMED_LATENCY",
    "PUBLIC_LINUX",
    "ApiError",
    "ContentFaults",
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
