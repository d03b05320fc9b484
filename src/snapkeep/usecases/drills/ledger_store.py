"""The ledger of drills in the bucket of a DR region: written only over the version that was read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snapkeep.domain.drills.ledger import LEDGER_KEY, DrillLedger
from snapkeep.domain.errors import AwsUnavailable, DocumentChanged, DocumentNotFound, InvalidConfiguration
from snapkeep.domain.json_codec import from_text, to_text
from snapkeep.usecases.recovery.record_ports import Documents

ATTEMPTS = 20
"""Writers of one ledger at once: a tick, a sweep, and the drills that end."""


@dataclass(frozen=True, slots=True)
class LedgerStore:
    """Reads and changes the ledger."""

    documents: Documents

    def read(self) -> DrillLedger:
        """Return the ledger; an empty one before the first drill. Raise InvalidConfiguration if it cannot be read."""
        return self._read()[0]

    def _read(self) -> tuple[DrillLedger, str]:
        try:
            document = self.documents.get(LEDGER_KEY)
            return from_text(DrillLedger, document.text), document.version
        except DocumentNotFound:
            return DrillLedger(), ""
        except ValueError as error:
            raise InvalidConfiguration(f"{LEDGER_KEY} in the bucket of reports cannot be read: {error}") from error

    def change(self, decide: Callable[[DrillLedger], DrillLedger]) -> DrillLedger:
        """Write what a decision makes of the ledger; return it. The decision is made anew while others write meanwhile.

        Raise AwsUnavailable if others never stop.
        """
        for _ in range(ATTEMPTS):
            ledger, version = self._read()
            changed = decide(ledger)
            if changed == ledger:
                return ledger
            try:
                self.documents.put(LEDGER_KEY, to_text(changed), version)
            except DocumentChanged:
                continue
            return changed
        raise AwsUnavailable(f"{LEDGER_KEY} was written by others {ATTEMPTS} times meanwhile")
