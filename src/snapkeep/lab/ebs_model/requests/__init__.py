"""The parts of a request that actions use: its parameters, its filters, its page."""
