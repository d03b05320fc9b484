"""The world as data: the records of every account and region, and their relations."""
