"""YAML with lines, from files of a limited size and in limited time."""
