"""Choose the copies that a person requests to compare with their sources."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from snapkeep.domain.model import Snapshot
from snapkeep.domain.tag_names import MANAGED


def choose_copies(
    listed: Iterable[Snapshot], system: str, snapshot_ids: Collection[str], volume_id: str, policy: str
) -> list[Snapshot]:
    """Return a system's completed copies, by source volume: those that are named, or are copies of the named sources.

    Without names: the newest copy of the volume, or of each volume of the policy. A copy that was found wrong is compared
    only when it is named.
    """
    copies = [copy for copy in listed if copy.is_copy and copy.completed and copy.tags.get(MANAGED) == system]
    if snapshot_ids:
        chosen = [copy for copy in copies if copy.id in snapshot_ids or copy.origin.snapshot_id in snapshot_ids]
    else:
        newest: dict[str, Snapshot] = {}
        for copy in sorted(copies, key=lambda copy: copy.origin.start_time):
            if not copy.found_wrong and (copy.policy == policy if policy else copy.origin.volume_id == volume_id):
                newest[copy.origin.volume_id] = copy
        chosen = list(newest.values())
    return sorted(chosen, key=lambda copy: (copy.origin.volume_id, copy.origin.start_time, copy.id))
