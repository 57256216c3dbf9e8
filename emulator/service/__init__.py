"""What is served, apart from HTTP: the project, its functions, schedules and logs."""
