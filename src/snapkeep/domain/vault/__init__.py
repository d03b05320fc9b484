"""Copies that a vault in another account pulls: their shares, and the permissions of the vault."""
