"""Proof of the service's promises: a model that it must agree with, and a checker of what processes saw."""
