"""The live classroom on both engines: what each connection receives, whatever fails or dies."""
