"""Training: the paper's Algorithm 1, a step and its loop, checkpoints."""
