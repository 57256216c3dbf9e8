"""API Gateway: from a request to an event, from an answer to a response."""
