"""Care of output folders: they are joined, cleaned and checked."""
