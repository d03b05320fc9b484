"""``python -m snapkeep.lab.embedded_aws.server --port 0`` serves, and prints one line of JSON once it is ready."""

from snapkeep.lab.embedded_aws.server.process import main

main()
