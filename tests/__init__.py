"""The tests of the service, one folder for each kind."""
