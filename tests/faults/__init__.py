"""Faults, each really caused: with processes, files, locks and limits of the system, and through the handlers."""
