"""Recovery: which points can be restored, and the proof that a copy equals its source."""
