"""Sweeps of the primary and the DR regions."""
