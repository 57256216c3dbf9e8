"""What REST APIs have beyond HTTP APIs: API keys, validation of requests, preflights, Lambda integrations."""
