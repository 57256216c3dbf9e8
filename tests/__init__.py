"""The tests of the service, one folder for each kind."""

from tests.without_linux import enter

enter()  # here, before any module of the project is imported
