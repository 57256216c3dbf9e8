"""Mutation testing: changes one place of a module at a time, and sees whether a test fails."""
