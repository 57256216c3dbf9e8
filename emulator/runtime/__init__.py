"""What runs inside an execution environment: standard library only, as cold starts pay for every import."""
