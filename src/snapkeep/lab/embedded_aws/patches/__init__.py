"""Patches of ministack: a module for each service, each with ``apply``. Each patch has a canary test."""
