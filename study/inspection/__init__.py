"""Networks watched: layers, receptive fields, parameters, cost, beside the paper's tables."""
