"""The live classroom: who is connected, which messages they still have to get, and how an end closes connections."""
