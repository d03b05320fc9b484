"""`python -m snapkeep` is `snapkeep`."""

from snapkeep.cli import main

main()
