"""The service's functions: one file each, one `handler(event, context)` in each."""
