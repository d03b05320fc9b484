"""The store of a sweep's count of AMIs and locks, for the runs until the next sweep."""

from __future__ import annotations

from snapkeep.domain.errors import DocumentNotFound, SnapkeepError
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.domain.records import dataclass
from snapkeep.domain.retention.guarded_count import GuardedCount
from snapkeep.usecases.recovery.record_ports import Documents

KEY = "memory/guarded.json"


@dataclass(frozen=True, slots=True)
class StoredCount:
    """The count in the stack's bucket."""

    documents: Documents

    def load(self) -> GuardedCount | None:
        """Return the last count; None where there is none that can be read: then a run looks itself."""
        try:
            return from_text(GuardedCount, self.documents.get(KEY).text)
        except (SnapkeepError, ValueError, RecursionError):  # it may be another system's
            return None

    def save(self, counted: GuardedCount) -> None:
        """Replace the last count. Raise DocumentChanged if another sweep has replaced it, AwsRefused, …."""
        try:
            version = self.documents.get(KEY).version
        except DocumentNotFound:
            version = ""
        self.documents.put(KEY, to_text(counted), version)
