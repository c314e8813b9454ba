"""The plan of a study: runs cut into stages, each with a key."""
