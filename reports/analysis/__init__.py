"""What is computed: frames in, numbers and tables out. No drawing, no torch."""
