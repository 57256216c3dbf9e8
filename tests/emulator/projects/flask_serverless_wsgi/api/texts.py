"""A module beside the application's."""

GREETING = "hello"
