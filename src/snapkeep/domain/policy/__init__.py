"""Policies: what they say, how a document is read, which one governs a volume."""
