"""The same seed gives the same year: nothing that the simulator does depends on the order of a set."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from snapkeep.domain.copies.request import CopyRequest
from snapkeep.domain.json_codec import to_json
from snapkeep.domain.model import Origin
from snapkeep.functions.payloads import CopyOrder, EnqueueCall
from snapkeep.lab.simulator.functions import Functions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGIONS = [f"eu-west-{number}" for number in range(12)]


def order_to(region: str) -> CopyOrder:
    origin = Origin("us-east-1", "vol-1", "snap-1", NOW)
    return CopyOrder("snap-1", "vol-1", region, 3600, CopyRequest(origin, "gold", region, "", NOW, 1, encrypted=False))


def test_dispatchers_are_woken_in_the_order_of_the_copies() -> None:
    woken: list[str] = []
    queue: Any = SimpleNamespace(run_all=lambda requests, run: None)
    composition: Any = SimpleNamespace(enqueue=lambda: queue)
    surroundings: Any = SimpleNamespace(wake_by_stream=woken.append)
    execution: Any = SimpleNamespace(id="protect:1")
    call = to_json(EnqueueCall("protect:1", tuple(map(order_to, REGIONS))))

    Functions(composition, surroundings).copy_snapshot_to_dr(execution, call)

    assert woken == REGIONS
