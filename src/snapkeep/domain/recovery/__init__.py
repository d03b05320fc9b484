"""Recovery: which points can be restored, the proof of a copy, what a rebuild needs, and its steps."""
