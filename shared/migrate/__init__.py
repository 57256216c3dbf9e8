"""`python -m shared.migrate`: the schema of a database, and the move of a SQLite file into PostgreSQL.

- `__main__`: the command line; `commands`: what `status`, `up` and `check` say; `databases`: opening, and refusing;
- `copying`: what `copy` does and promises, with `tables` (what is moved), `source` (read), `target` (written),
  `checksums` (compared) and `progress` (shown).

Nothing that serves requests imports any of it.
"""
