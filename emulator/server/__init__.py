"""The HTTP server, and the routes that are the emulator's own."""
