"""What the service's command lines have in common; `shared.migrate` and `shared.admin` use it.

- `program`: options -> lines and an exit code; `databases`: opening, and errors for the user.
- `progress`: the display of a long command; `output`: a result that goes to a file or to standard output.

No module that serves requests imports this package.
"""
