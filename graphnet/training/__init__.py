"""Running a model over data."""
