"""Real PostgreSQL servers for tests and benchmarks: from the test requirements' wheel, each in a folder of its own."""
