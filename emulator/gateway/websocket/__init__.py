"""WebSocket APIs: connections, and what of them becomes an event."""
