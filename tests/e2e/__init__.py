"""The whole of it, as a person uses it."""
