"""What is fast and what is slow, measured: ``python -m benchmarks [NAME ...] [--json]``.

Each module here is a benchmark: its docstring says what is compared, and its function ``rows()`` measures and yields
rows. ``timing`` and ``training`` are shared. A new benchmark is one file with such a function.
"""
