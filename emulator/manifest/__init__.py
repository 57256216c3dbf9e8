"""Reads and checks serverless.yml, and makes a model of it."""
