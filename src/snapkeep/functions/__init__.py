"""One module for each Lambda function: read the event, call one use case, answer."""

from snapkeep.domain.records import collect_rarely

collect_rarely()  # a twentieth of a cold start
