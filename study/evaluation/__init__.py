"""Evaluation: test images repaired and scored under the protocol."""
