"""Nouns in the singular and the plural."""

from __future__ import annotations

import pytest

from snapkeep.domain.plural import counted, noun_for


@pytest.mark.parametrize(
    ("number", "plural", "noun"),
    [
        (1, "volumes", "volume"),
        (0, "volumes", "volumes"),
        (2, "volumes", "volumes"),
        (1, "copies waiting", "copy waiting"),
        (1, "volumes with a copy", "volume with a copy"),
        (1, "volumes not as their policy asks", "volume not as its policy asks"),
        (1, "minutes that the oldest copy has waited", "minute that the oldest copy has waited"),
        (1, "runs under way", "run under way"),
        (1, "late", "late"),
    ],
)
def test_a_noun_fits_its_number(number: int, plural: str, noun: str) -> None:
    assert noun_for(number, plural) == noun


def test_a_noun_follows_its_number() -> None:
    assert [counted(number, "copy", "copies") for number in (0, 1, 1200)] == ["0 copies", "1 copy", "1,200 copies"]
    assert counted(1, "volume") == "1 volume"
