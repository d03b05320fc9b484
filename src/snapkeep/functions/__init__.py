"""One module for each Lambda function: read the event, call one use case, answer."""

import gc

OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""What a function imports and lists are objects without a cycle. With Python's default of 700 the collector walks them again and
again: a twentieth of a cold start."""

gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
