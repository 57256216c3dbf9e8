"""`python -m shared.migrate`: migrate a database, and copy a SQLite file into PostgreSQL.

- `__main__`: the command line; `commands`: `status`, `up` and `check`.
- `copying`: what `copy` does and guarantees. It uses `tables` (what is copied), `source` (the SQLite file), `target`
  (the PostgreSQL database) and `checksums` (the comparison).

No module that serves requests imports this package.
"""
