"""Data sets of image files, in the layouts in which they are distributed."""
