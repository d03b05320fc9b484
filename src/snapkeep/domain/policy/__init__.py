"""Policies: their content, their document, and the selection of the one that governs a volume."""
