"""Data sets of image files, each as it is distributed."""
