"""One module for each Lambda function: read the event, call one use case, answer."""

import gc

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""A function imports and lists objects without a cycle. With Python's default, 700 to 2,000 by version, the collector walks them
again and again: a twentieth of a cold start."""

gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
