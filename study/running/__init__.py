"""Running a plan: driver, executors, what makes a stage, records, progress."""
