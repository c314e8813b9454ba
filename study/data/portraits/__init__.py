"""The embedded data set: portraits drawn from a seed."""
