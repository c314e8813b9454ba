"""Training: the step of Algorithm 1, the loop around it, and its state and checkpoints."""
