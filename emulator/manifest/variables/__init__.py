"""`${…}`: sources, fallbacks and placeholders."""
