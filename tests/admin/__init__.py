"""The operator's commands for the life of data."""
