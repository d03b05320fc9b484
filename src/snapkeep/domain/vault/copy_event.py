"""The event by which a vault confirms its copy of a DR copy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from snapkeep.domain.errors import InvalidEvent
from snapkeep.domain.records import dataclass

SOURCE = "snapkeep.vault"
DETAIL_TYPE = "Vault copy ended"
SUCCEEDED = "succeeded"
_SNAPSHOT = re.compile(r"snap-[0-9a-f]{8,17}")


@dataclass(frozen=True, slots=True)
class VaultCopyEvent:
    """A vault's copy has completed."""

    snapshot_id: str
    """The id of the shared DR copy."""
    copy_id: str
    """The id of the vault's copy."""
    account: str
    """The sender's account, which EventBridge writes."""


def parse_vault_copy_event(event: Mapping[str, Any]) -> VaultCopyEvent:
    """Return the content of a vault's event. Raise InvalidEvent if it is another event, or has no successful copy."""
    detail = event.get("detail")
    if event.get("source") != SOURCE or event.get("detail-type") != DETAIL_TYPE or not isinstance(detail, Mapping):
        raise InvalidEvent(f"this is not an event '{DETAIL_TYPE}' of {SOURCE}")
    ids = detail.get("snapshot"), detail.get("copy")
    if detail.get("result") != SUCCEEDED or not all(
        isinstance(snapshot_id, str) and _SNAPSHOT.fullmatch(snapshot_id) for snapshot_id in ids
    ):
        raise InvalidEvent(f"'{DETAIL_TYPE}' needs snapshot, copy and result = {SUCCEEDED}; it is {dict(detail)}")
    return VaultCopyEvent(str(ids[0]), str(ids[1]), str(event.get("account", "")))
