"""Checks the guarantees of the service: against a model, and against a record of what processes saw."""
