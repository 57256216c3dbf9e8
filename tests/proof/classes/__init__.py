"""Checks the promises to connected clients: by what each of them received from the emulator while functions died."""
