"""Results of comparisons. They are apart from the proof, because the check of every copy reads them from a tag."""

from __future__ import annotations

from snapkeep.domain.labels import LabelledEnum
from snapkeep.domain.model import Snapshot
from snapkeep.domain.tag_names import PROOF


class ProofVerdict(LabelledEnum):
    """Result of a comparison."""

    PROVED = "PROVED", "equal to its source"
    DIFFERS = "DIFFERS", "different from its source"
    UNREADABLE = "UNREADABLE", "could not be read"
    INCOMPLETE = "INCOMPLETE", "not compared to the end"


_PROVED = f"{ProofVerdict.PROVED} "


def is_compared(copy: Snapshot) -> bool:
    """Whether the tag of a copy has the result of a comparison: equal to its source, or different."""
    return copy.tags.get(PROOF, "").partition(" ")[0] in (ProofVerdict.PROVED, ProofVerdict.DIFFERS)


def is_proved(copy: Snapshot) -> bool:
    """Whether the tag of a copy has the proof that it equals its source."""
    return copy.tags.get(PROOF, "").startswith(_PROVED)
