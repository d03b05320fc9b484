"""The whole system at work in the embedded AWS: a story that is made to happen, followed, and checked against what must hold."""
