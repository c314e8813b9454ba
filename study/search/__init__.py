"""Hyperparameter search with Optuna, judged on the validation images."""
