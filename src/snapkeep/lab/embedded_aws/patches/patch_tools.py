"""Replacements of ministack's names, with a clear error if a release no longer has a name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class PatchBrokenError(Exception):
    """A release of ministack lacks a name or a text that a patch needs; the message says which."""


def replace(module: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Replace a name in a module by `wrap(old value)`. Raise PatchBrokenError if the module has no such name."""
    if not hasattr(module, name):
        raise PatchBrokenError(f"{module.__name__} has no {name} any more")
    setattr(module, name, wrap(getattr(module, name)))


def replace_text(module: Any, name: str, old: str, new: str) -> None:
    """Replace a part of a text in a module. Raise PatchBrokenError unless it occurs exactly once."""

    def exchanged(text: str) -> str:
        if text.count(old) != 1:
            raise PatchBrokenError(f"{module.__name__}.{name} has {text.count(old)} times what is to be replaced: {old}")
        return text.replace(old, new)

    replace(module, name, exchanged)
