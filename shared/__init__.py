"""What the functions share: the rules of a session's life, its storage, and the edge to the gateway."""
