"""The forms that act: the region and the moment that they name, and the checks before anything is begun."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from snapkeep.cli.errors import WrongUse
from snapkeep.console.guard import FormTokens
from snapkeep.console.page import NotThere, Query, moment_of
from snapkeep.console.reading import Reading
from snapkeep.console.recoveries import consent_to
from snapkeep.domain.recovery.choice import Lineages
from snapkeep.domain.recovery.recovery_plan import RecoveryStep


def chosen(reading: Reading, query: Query) -> tuple[Lineages, datetime]:
    """Return the points of the region that a query names, and its moment. Raise NotThere."""
    region = query.get("in", "")
    if region not in reading.lineages:
        raise NotThere(f"{region or 'a region without a name'} was not read: nothing there can be planned")
    moment, problem = moment_of(query, reading.at)
    if problem:
        raise NotThere(problem)
    return reading.lineages[region], moment


def check_confirmed(forms: FormTokens, fields: Query, typed: str) -> None:
    """Raise WrongUse where a form was sent before, or does not have what is typed to confirm it; empty asks for nothing."""
    if not forms.take(fields.get("token", "")):
        raise WrongUse("this form was sent already, or is too old: confirm the one that is shown now")
    if typed and fields.get("typed", "").strip() != typed:
        raise WrongUse(f"type {typed} to confirm")


def check_consent(fields: Query, steps: Sequence[RecoveryStep]) -> None:
    """Raise WrongUse where the steps are not those that were shown."""
    if consent_to(steps) != fields.get("consent"):
        raise WrongUse("the plan has changed since it was shown: check it, and confirm it again")
