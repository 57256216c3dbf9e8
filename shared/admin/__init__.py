"""`python -m shared.admin`: the operator's commands for the life of data, safe while the service runs.

- `__main__`: the command line; `moments`: dates and ages in it; `databases`: an open database with its writer.
- `exporting` and `formats`: sessions with their messages as NDJSON or CSV.
- `purging`: deleting sessions by the age of their end; `erasing`: a person's data; `reporting`: what is held about a
  person; `statistics`: how much there is.
- `batches`: steps of a purge or an erasure, in transactions so short that no class waits for them.

Only the function `purge` imports this package, and no function that serves requests.
"""
