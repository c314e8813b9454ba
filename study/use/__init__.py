"""Using a finished run: repair images of any size, export the model."""
