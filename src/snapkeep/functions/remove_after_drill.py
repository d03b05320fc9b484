"""RemoveAfterDrill: remove the resources with a drill's tag. Its role can remove nothing else, and cannot tag."""

from __future__ import annotations

from typing import Any

from snapkeep.domain.json_codec import to_object
from snapkeep.functions.composition import Composition, composition
from snapkeep.functions.drill_payloads import RemoveCall
from snapkeep.functions.log import started
from snapkeep.functions.payload_reader import from_json
from snapkeep.usecases.drills.remove import RemoveAfterDrill


def build(parts: Composition) -> RemoveAfterDrill:
    """Make the use case of the composition."""
    return RemoveAfterDrill(parts.drill_ec2, parts.clock, parts.environment.system)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Remove the resources of the drill of a `RemoveCall`; return the `Removal`."""
    log = started(event, context)
    call = from_json(RemoveCall, event)
    removal = build(composition()).run(call.run, call.removed)
    log.info("removed", extra={"audit": "drill_removed", "run": call.run, "more": removal.more, "left": list(removal.left)})
    return to_object(removal)
