"""The networks of a method: layers, receptive fields, parameters and cost, with the paper's tables."""
