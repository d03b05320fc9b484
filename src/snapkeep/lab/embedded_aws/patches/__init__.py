"""Where we reach into ministack: a module for each service, each with ``install``. Each seam has a canary test."""
