"""The evidence of a drill as a page."""

from __future__ import annotations

from snapkeep.domain.drills.ledger import DrillEvidence, hash_of
from snapkeep.domain.drills.run import DrillVerdict
from snapkeep.reports.page import page_templates


def render_drill(evidence: DrillEvidence) -> str:
    """Return the page of an evidence. Everything that comes from AWS is escaped."""
    tone = "ok" if evidence.verdict is DrillVerdict.PASSED else "failed"
    run = evidence.run
    template = page_templates().get_template("drill.html.j2")
    return template.render(evidence=evidence, run=run, checks=run.checks, tone=tone, sha256=hash_of(evidence.text))
