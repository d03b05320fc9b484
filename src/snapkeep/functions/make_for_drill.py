"""MakeForDrill: make the volume of a drill, or the snapshot of that volume; or an AMI and an instance.

Its role tags in the making call alone.
"""

from __future__ import annotations

from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.drill_payloads import MakeCall
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.usecases.drills.make import MakeForDrill


def build(parts: Composition) -> MakeForDrill:
    """Make the use case of the composition."""
    return MakeForDrill(parts.drill_ec2)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make what the drill of a `MakeCall` needs next; return the `MadeResource`."""
    log = started(event, context)
    call = from_json(MakeCall, event)
    made = build(composition()).run(call.run, call.request)
    log.info("made", extra={"audit": "drill_made", "run": call.run.id, **to_object(made)})
    return to_object(made)
