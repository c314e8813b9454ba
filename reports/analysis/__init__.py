"""Analysis: frames in; statistics, tables and claims out. No drawing, no torch."""
