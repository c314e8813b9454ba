"""Runs a plan: the driver, executors with their workers, Sacred records, progress."""
