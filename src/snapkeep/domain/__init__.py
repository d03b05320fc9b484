"""Decisions. Standard library only: no AWS client, environment, clock or logging."""
