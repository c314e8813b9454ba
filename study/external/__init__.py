"""Scores of external methods: folders of images, scored on their own or as runs of a study."""
