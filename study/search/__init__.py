"""Searching what the paper set by hand."""
