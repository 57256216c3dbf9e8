"""`python -m shared.migrate`: migrate a database, and copy a SQLite file into PostgreSQL.

- `__main__`: the command line; `commands`: `status`, `up` and `check`; `databases`: opening, and errors for the user.
- `copying`: what `copy` does and guarantees. It uses `tables` (what is copied), `source` (the SQLite file), `target`
  (the PostgreSQL database), `checksums` (the comparison) and `progress` (the display).

No module that serves requests imports this package.
"""
