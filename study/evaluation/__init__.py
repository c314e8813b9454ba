"""Evaluation: repairs and scores test images under the protocol. Imports nothing."""
