"""The command line that migrates and moves databases."""
