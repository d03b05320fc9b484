"""Results of comparisons, apart from the proof: the check of every copy reads them from a tag."""

from __future__ import annotations

from snapkeep.domain.labels import LabelledEnum


class ProofVerdict(LabelledEnum):
    """Result of a comparison."""

    PROVED = "PROVED", "equal to its source"
    DIFFERS = "DIFFERS", "different from its source"
    UNREADABLE = "UNREADABLE", "could not be read"
    INCOMPLETE = "INCOMPLETE", "not compared to the end"
