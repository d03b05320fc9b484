"""Recovery: prove that a copy equals its source."""
