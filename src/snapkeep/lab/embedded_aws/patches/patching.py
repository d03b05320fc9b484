"""How a seam is made: one name of ministack's replaced by ours, and a clear word when a release no longer has that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SeamBrokenError(Exception):
    """A release of ministack changed what a seam rests on; the message says what."""


def replace(module: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Given a module, a name in it and what makes the new value of the old, replace it. Raise SeamBrokenError if it is gone."""
    if not hasattr(module, name):
        raise SeamBrokenError(f"{module.__name__} has no {name} any more")
    setattr(module, name, wrap(getattr(module, name)))


def replace_text(module: Any, name: str, old: str, new: str) -> None:
    """Given a module and the name of a text in it, replace a part. Raise SeamBrokenError unless it is there exactly once."""

    def exchanged(text: str) -> str:
        if text.count(old) != 1:
            raise SeamBrokenError(f"{module.__name__}.{name} has {text.count(old)} times what is to be replaced: {old}")
        return text.replace(old, new)

    replace(module, name, exchanged)
