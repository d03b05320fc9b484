"""Reports in an S3 bucket."""

from __future__ import annotations

from datetime import date

from snapkeep.adapters.s3_bucket import S3Bucket
from snapkeep.domain.errors import ReportNotFound
from snapkeep.usecases.sweep.report_names import REPORTS


class S3Reports(S3Bucket):
    """`ReportStore` over an S3 client; the bucket encrypts by default."""

    def put(self, name: str, content: str, content_type: str) -> str:
        """Store a report; return its location."""
        self._write(name, content, content_type)
        return self.location(name)

    def get(self, name: str) -> str:
        """Return a stored report. Raise ReportNotFound if there is none."""
        return self._read(name, ReportNotFound)[0]

    def names_since(self, day: date, prefix: str = REPORTS) -> list[str]:
        """Return the names of sweeps' reports (JSON), or of objects with another prefix, from a day on, the oldest first."""
        names = self._keys(prefix, StartAfter=f"{prefix}{day:%Y/%m/%d}")
        return [name for name in names if name.endswith(".json")]
