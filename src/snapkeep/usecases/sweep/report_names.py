"""The names of reports and of signals in the bucket, and their media types."""

JSON, PAGE = "application/json", "text/html; charset=utf-8"
REPORTS = "reports/"
"""The prefix of published reports; the day follows, so that names are in the order of time."""
SIGNALS = "signals/"
"""The prefix of the records of signals, in the same form."""
