"""The whole system at work in the embedded AWS: a story that is carried out, followed, and checked against requirements."""
