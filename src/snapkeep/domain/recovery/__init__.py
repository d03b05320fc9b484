"""Recovery: the points that can be restored, the proof of a copy, the records for a rebuild, and its steps."""
