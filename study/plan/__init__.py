"""From a study to its plan: runs cut into stages, each known by its key."""
