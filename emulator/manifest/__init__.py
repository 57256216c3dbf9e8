"""serverless.yml: read, checked and turned into a model."""
